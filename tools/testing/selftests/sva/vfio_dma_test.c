// SPDX-License-Identifier: GPL-2.0
/* A device that a process drives: by character device and by group, and where its DMA goes. */

#include "vfio.h"

FIXTURE(vfio) {
	struct vfio_user user;
	uint64_t *memory;
};

FIXTURE_SETUP(vfio)
{
	ASSERT_EQ(0, config_make(DEVICE, "driver", "mock_vfio", "online", "1", NULL));
	ASSERT_EQ(0, vfio_use(&self->user, DEVICE));
	self->memory = map_fresh(4 * page_size());
	ASSERT_NE(NULL, self->memory);
}

FIXTURE_TEARDOWN(vfio)
{
	vfio_leave(&self->user);
	remove_devices(_metadata);
}

TEST_F(vfio, tells_what_it_has)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct vfio_region_info region = { .argsz = sizeof(region) };
	struct vfio_irq_info irq = { .argsz = sizeof(irq) };
	int fd = self->user.device;

	ASSERT_EQ(0, ioctl(fd, VFIO_DEVICE_GET_INFO, &info));
	EXPECT_EQ(1, info.num_regions);
	EXPECT_EQ(MOCK_VFIO_IRQS, info.num_irqs);
	EXPECT_TRUE(info.flags & VFIO_DEVICE_FLAGS_RESET);
	ASSERT_EQ(0, ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &region));
	EXPECT_EQ(MOCK_VFIO_CHANNELS * MOCK_VFIO_CHANNEL_SIZE, region.size);
	region.index = 1;
	EXPECT_EQ(-1, ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &region));
	ASSERT_EQ(0, ioctl(fd, VFIO_DEVICE_GET_IRQ_INFO, &irq));
	EXPECT_EQ(1, irq.count);
	irq.index = MOCK_VFIO_IRQS;
	EXPECT_EQ(-1, ioctl(fd, VFIO_DEVICE_GET_IRQ_INFO, &irq));
}

TEST_F(vfio, dma_goes_to_what_is_mapped)
{
	const size_t size = page_size();
	const struct vfio_user *user = &self->user;
	char data[64];

	ASSERT_EQ(0, ioas_map(user->iommufd, user->ioas, self->memory, 2 * size, IOVA));
	/* Bound, and attached to nothing: it reaches nothing. */
	EXPECT_NE(0, dma_read(user->device, RID, IOVA, data, sizeof(data)));
	ASSERT_EQ(0, vfio_attach(user->device, RID, user->ioas));
	EXPECT_TRUE(reaches(user->device, RID, IOVA, self->memory));
	EXPECT_TRUE(reaches(user->device, RID, IOVA + size + 8, self->memory + size / 8 + 1));

	/* One access across both pages. */
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = i;
	EXPECT_EQ(0, dma_write(user->device, RID, IOVA + size - 32, data, sizeof(data)));
	EXPECT_EQ(0, memcmp((char *)self->memory + size - 32, data, sizeof(data)));

	/* Behind them, at the process's own address, and where memory is. */
	EXPECT_EQ(-EFAULT, dma_read(user->device, RID, IOVA + 2 * size, data, sizeof(data)));
	EXPECT_EQ(-EFAULT, dma_read(user->device, RID, (uintptr_t)self->memory, data, 8));
	EXPECT_EQ(-EFAULT, dma_read(user->device, RID, 0x40000000, data, 8));
	EXPECT_NE(0, dma_read(user->device, 5, IOVA, data, 8));

	ASSERT_EQ(0, ioas_unmap(user->iommufd, user->ioas, 2 * size, IOVA));
	EXPECT_EQ(-EFAULT, dma_read(user->device, RID, IOVA, data, sizeof(data)));
	ASSERT_EQ(0, ioas_map_as(user->iommufd, user->ioas, self->memory, size, IOVA,
				 IOMMU_IOAS_MAP_READABLE));
	EXPECT_EQ(0, dma_read(user->device, RID, IOVA, data, sizeof(data)));
	EXPECT_EQ(-EFAULT, dma_write(user->device, RID, IOVA, data, sizeof(data)));

	ASSERT_EQ(0, vfio_detach(user->device, RID));
	EXPECT_NE(0, dma_read(user->device, RID, IOVA, data, sizeof(data)));
}

TEST_F(vfio, address_spaces_take_turns)
{
	const struct vfio_user *user = &self->user;
	int other = ioas_alloc(user->iommufd);

	ASSERT_LE(0, other);
	ASSERT_EQ(0, ioas_map(user->iommufd, user->ioas, self->memory, page_size(), IOVA));
	ASSERT_EQ(0, ioas_map(user->iommufd, other, (char *)self->memory + page_size(),
			      page_size(), IOVA));
	for (int i = 0; i < 4; i++) {
		ASSERT_EQ(0, vfio_attach(user->device, RID, user->ioas));
		EXPECT_TRUE(reaches(user->device, RID, IOVA, self->memory));
		ASSERT_EQ(0, vfio_attach(user->device, RID, other));
		EXPECT_TRUE(reaches(user->device, RID, IOVA, self->memory + page_size() / 8));
	}
}

TEST_F(vfio, registers)
{
	struct mock_vfio_regs regs;
	int fd = self->user.device;
	char bytes[16] = "";

	ASSERT_EQ(sizeof(regs), pread(fd, &regs, sizeof(regs), regs_at(3)));
	EXPECT_EQ(MOCK_VFIO_IDLE, regs.state);
	EXPECT_EQ(MOCK_VFIO_NO_PASID, regs.pasid);
	/* What is not there. */
	ASSERT_EQ(0, dma_start(fd, 3, 77, RID, IOVA, 8));
	EXPECT_EQ(-EINVAL, dma_wait(fd, 3));
	ASSERT_EQ(0, dma_start(fd, 3, MOCK_VFIO_READ, RID, IOVA, MOCK_VFIO_DATA_SIZE + 1));
	EXPECT_EQ(-EINVAL, dma_wait(fd, 3));
	EXPECT_EQ(-1, pread(fd, bytes, sizeof(bytes), regs_at(0) + sizeof(regs) - 8));
	EXPECT_EQ(-1, pread(fd, bytes, sizeof(bytes), data_at(0) - 8));
	EXPECT_EQ(-1, pwrite(fd, bytes, sizeof(bytes), regs_at(1) - 8));
	EXPECT_EQ(-1, pread(fd, bytes, 1, regs_at(MOCK_VFIO_CHANNELS)));

	/* The process cannot write what the device tells; all else, one by one. */
	regs.state = MOCK_VFIO_BUSY;
	ASSERT_EQ(4, pwrite(fd, &regs.state, 4, offsetof(struct mock_vfio_regs, state)));
	EXPECT_EQ(MOCK_VFIO_IDLE, dma_state(fd, 0));
	ASSERT_EQ(0, ioas_map(self->user.iommufd, self->user.ioas, self->memory, page_size(),
			      IOVA));
	ASSERT_EQ(0, vfio_attach(fd, RID, self->user.ioas));
	regs = (struct mock_vfio_regs) { .command = MOCK_VFIO_READ, .iova = IOVA, .length = 8 };
	self->memory[0] = 0x77;
	ASSERT_EQ(8, pwrite(fd, &regs.iova, 8, offsetof(struct mock_vfio_regs, iova)));
	ASSERT_EQ(4, pwrite(fd, &regs.length, 4, offsetof(struct mock_vfio_regs, length)));
	EXPECT_EQ(MOCK_VFIO_IDLE, dma_state(fd, 0));
	ASSERT_EQ(4, pwrite(fd, &regs.command, 4, 0));
	EXPECT_EQ(0, dma_wait(fd, 0));
	ASSERT_EQ(1, pread(fd, bytes, 1, data_at(0)));
	EXPECT_EQ(0x77, bytes[0]);

	ASSERT_EQ(0, ioctl(fd, VFIO_DEVICE_RESET));
	EXPECT_EQ(MOCK_VFIO_IDLE, dma_state(fd, 0));
	ASSERT_EQ(1, pread(fd, bytes, 1, data_at(0)));
	EXPECT_EQ(0, bytes[0]);
}

TEST_F(vfio, interrupt_when_done)
{
	int done = vfio_irq(self->user.device, MOCK_VFIO_IRQ_DONE);
	uint64_t times;

	ASSERT_LE(0, done);
	for (int channel = 0; channel < MOCK_VFIO_CHANNELS; channel++) {
		ASSERT_EQ(0, dma_start(self->user.device, channel, MOCK_VFIO_READ, RID, IOVA, 8));
		ASSERT_EQ(sizeof(times), read(done, &times, sizeof(times)));
		EXPECT_EQ(1, times);
		EXPECT_EQ(MOCK_VFIO_DONE, dma_state(self->user.device, channel));
	}
	close(done);
}

/* Who comes next finds nothing of who was there. */
TEST_F(vfio, nothing_stays_behind)
{
	const struct vfio_user *user = &self->user;
	uint64_t word = 0x5ec2e7, seen;

	ASSERT_EQ(0, ioas_map(user->iommufd, user->ioas, self->memory, page_size(), IOVA));
	ASSERT_EQ(0, vfio_attach(user->device, RID, user->ioas));
	EXPECT_EQ(0, dma_write(user->device, RID, IOVA, &word, sizeof(word)));
	vfio_leave(&self->user);

	ASSERT_EQ(0, vfio_use(&self->user, DEVICE));
	ASSERT_EQ(sizeof(seen), pread(user->device, &seen, sizeof(seen), data_at(0)));
	EXPECT_EQ(0, seen);
	EXPECT_EQ(MOCK_VFIO_IDLE, dma_state(user->device, 0));
	EXPECT_NE(0, dma_read(user->device, RID, IOVA, &seen, sizeof(seen)));
}

/* The former interface: a group, and an address space that it comes with. */
TEST_F(vfio, by_group)
{
	struct vfio_user *user = &self->user, second;

	/* Not both ways at once. */
	EXPECT_EQ(-EBUSY, vfio_use_by_group(&second, DEVICE));
	vfio_leave(&second);
	vfio_leave(user);

	ASSERT_EQ(0, vfio_use_by_group(user, DEVICE));
	ASSERT_EQ(0, ioas_map(user->iommufd, user->ioas, self->memory, page_size(), IOVA));
	EXPECT_TRUE(reaches(user->device, RID, IOVA, self->memory));
	EXPECT_EQ(-EBUSY, vfio_use(&second, DEVICE));
	vfio_leave(&second);
}

/* Who has one device of a group may have the others, and nobody else may. */
TEST_F(vfio, two_of_a_group)
{
	struct vfio_user *user = &self->user, stranger;
	char name[64];
	int second;

	vfio_leave(user);
	ASSERT_EQ(0, config_set(DEVICE, "online", "0"));
	ASSERT_EQ(0, config_set(DEVICE, "group", "ksv"));
	ASSERT_EQ(0, config_set(DEVICE, "online", "1"));
	ASSERT_EQ(0, config_make(OTHER, "driver", "mock_vfio", "group", "ksv", "online", "1",
				 NULL));
	ASSERT_EQ(0, vfio_use(user, DEVICE));
	ASSERT_EQ(0, ioas_map(user->iommufd, user->ioas, self->memory, page_size(), IOVA));
	ASSERT_EQ(0, vfio_attach(user->device, RID, user->ioas));
	EXPECT_EQ(-EPERM, vfio_use(&stranger, OTHER));
	vfio_leave(&stranger);

	ASSERT_EQ(0, config_get(OTHER, "device", name, sizeof(name)));
	second = vfio_open(name);
	ASSERT_LE(0, second);
	ASSERT_LE(0, vfio_bind(second, user->iommufd));
	ASSERT_EQ(0, vfio_attach(second, RID, user->ioas));
	EXPECT_TRUE(reaches(user->device, RID, IOVA, self->memory));
	EXPECT_TRUE(reaches(second, RID, IOVA, self->memory));
	close(second);
	EXPECT_TRUE(reaches(user->device, RID, IOVA, self->memory));
}

/* Devices of other names only if told to. */
TEST(driver_override)
{
	char name[64], path[128];
	struct vfio_user user;

	ASSERT_EQ(0, config_make(DEVICE, "driver", "ksv_member", "online", "1", NULL));
	ASSERT_EQ(0, config_get(DEVICE, "device", name, sizeof(name)));
	EXPECT_EQ(-ENOENT, vfio_open(name));
	snprintf(path, sizeof(path), "/sys/bus/platform/devices/%s/driver_override", name);
	ASSERT_EQ(0, write_file("mock_vfio", path));
	ASSERT_EQ(0, write_file(name, "/sys/bus/platform/drivers_probe"));
	EXPECT_EQ(0, vfio_use(&user, DEVICE));
	vfio_leave(&user);
	remove_devices(_metadata);
}

TEST_HARNESS_MAIN
