// SPDX-License-Identifier: GPL-2.0
/* Address spaces by PASID, which a process gives to a device that it drives. */

#include "vfio.h"

#define PASID 5
#define FLAGS IOMMU_HWPT_ALLOC_PASID

FIXTURE(pasid) {
	struct vfio_user user;
	uint64_t *memory[3];
	int ioas[3];
	int hwpt[3];
};

FIXTURE_SETUP(pasid)
{
	struct vfio_user *user = &self->user;

	ASSERT_EQ(0, config_make(DEVICE, "driver", "mock_vfio", "pasid_bits", "4",
				 "online", "1", NULL));
	ASSERT_EQ(0, vfio_use(user, DEVICE));
	for (int i = 0; i < 3; i++) {
		self->memory[i] = map_fresh(page_size());
		ASSERT_NE(NULL, self->memory[i]);
		self->ioas[i] = ioas_alloc(user->iommufd);
		ASSERT_LE(0, self->ioas[i]);
		ASSERT_EQ(0, ioas_map(user->iommufd, self->ioas[i], self->memory[i], page_size(),
				      IOVA));
		self->hwpt[i] = hwpt_alloc(user->iommufd, user->id, self->ioas[i], FLAGS, 0);
		ASSERT_LE(0, self->hwpt[i]);
	}
}

FIXTURE_TEARDOWN(pasid)
{
	vfio_leave(&self->user);
	remove_devices(_metadata);
}

TEST_F(pasid, each_goes_to_its_own)
{
	int fd = self->user.device;
	uint64_t word;

	ASSERT_EQ(0, vfio_attach(fd, RID, self->hwpt[0]));
	ASSERT_EQ(0, vfio_attach(fd, PASID, self->hwpt[1]));
	ASSERT_EQ(0, vfio_attach(fd, PASID + 1, self->hwpt[2]));
	for (int i = 0; i < 3; i++) {
		EXPECT_TRUE(reaches(fd, RID, IOVA, self->memory[0]));
		EXPECT_TRUE(reaches(fd, PASID, IOVA, self->memory[1]));
		EXPECT_TRUE(reaches(fd, PASID + 1, IOVA, self->memory[2]));
	}
	EXPECT_NE(0, dma_read(fd, PASID + 2, IOVA, &word, sizeof(word)));

	/* The end of one is not the others'. */
	ASSERT_EQ(0, vfio_detach(fd, PASID));
	EXPECT_NE(0, dma_read(fd, PASID, IOVA, &word, sizeof(word)));
	ASSERT_EQ(0, vfio_detach(fd, RID));
	EXPECT_NE(0, dma_read(fd, RID, IOVA, &word, sizeof(word)));
	EXPECT_TRUE(reaches(fd, PASID + 1, IOVA, self->memory[2]));
	ASSERT_EQ(0, vfio_attach(fd, PASID, self->hwpt[1]));
	EXPECT_TRUE(reaches(fd, PASID, IOVA, self->memory[1]));
}

TEST_F(pasid, one_page_table_for_two)
{
	int fd = self->user.device;
	uint64_t word;

	ASSERT_EQ(0, vfio_attach(fd, PASID, self->hwpt[0]));
	ASSERT_EQ(0, vfio_attach(fd, PASID + 1, self->hwpt[0]));
	EXPECT_TRUE(reaches(fd, PASID, IOVA, self->memory[0]));
	EXPECT_TRUE(reaches(fd, PASID + 1, IOVA, self->memory[0]));
	/* What is unmapped is unmapped for both. */
	ASSERT_EQ(0, ioas_unmap(self->user.iommufd, self->ioas[0], page_size(), IOVA));
	EXPECT_EQ(-EFAULT, dma_read(fd, PASID, IOVA, &word, sizeof(word)));
	EXPECT_EQ(-EFAULT, dma_read(fd, PASID + 1, IOVA, &word, sizeof(word)));
}

/* No access fails in between. */
TEST_F(pasid, replace)
{
	int fd = self->user.device, failed = 0;
	uint64_t word;

	self->memory[1][0] = 0x11;
	self->memory[2][0] = 0x22;
	ASSERT_EQ(0, vfio_attach(fd, PASID, self->hwpt[1]));
	for (int i = 0; i < 200; i++) {
		int to = 1 + !(i & 1);

		ASSERT_EQ(0, dma_start(fd, 0, MOCK_VFIO_READ, PASID, IOVA, sizeof(word)));
		ASSERT_EQ(0, vfio_attach(fd, PASID, self->hwpt[to]));
		failed += dma_wait(fd, 0) != 0;
		ASSERT_EQ(0, dma_read(fd, PASID, IOVA, &word, sizeof(word)));
		ASSERT_EQ(0x11ULL * to, word);
	}
	EXPECT_EQ(0, failed);
	/* The one that is not in use can go, the other cannot. */
	EXPECT_EQ(0, iommufd_destroy(self->user.iommufd, self->hwpt[2]));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->user.iommufd, self->hwpt[1]));
}

TEST_F(pasid, what_is_refused)
{
	struct iommu_hwpt_alloc data = {
		.size = sizeof(data),
		.dev_id = self->user.id,
		.pt_id = self->ioas[0],
		.data_type = 1,
		.data_len = 8,
		.data_uptr = (uintptr_t)self->memory[0],
	};
	int iommufd = self->user.iommufd, id = self->user.id, fd = self->user.device;
	int plain = hwpt_alloc(iommufd, id, self->ioas[0], 0, 0);

	ASSERT_LE(0, plain);
	EXPECT_EQ(-EINVAL, vfio_attach(fd, PASID, plain));
	/* 4 bits. */
	EXPECT_EQ(-EINVAL, vfio_attach(fd, 16, self->hwpt[0]));
	EXPECT_EQ(0, vfio_attach(fd, 15, self->hwpt[0]));
	EXPECT_EQ(-EOPNOTSUPP, hwpt_alloc(iommufd, id, self->ioas[0],
					  IOMMU_HWPT_ALLOC_NEST_PARENT, 0));
	EXPECT_EQ(-EOPNOTSUPP, hwpt_alloc(iommufd, id, self->ioas[0], 1 << 20, 0));
	EXPECT_EQ(-EOPNOTSUPP, iommufd_ioctl(iommufd, IOMMU_HWPT_ALLOC, &data));
}

/* A device that sends none. */
TEST(no_pasids)
{
	struct vfio_user user;
	int hwpt;

	ASSERT_EQ(0, config_make(DEVICE, "driver", "mock_vfio", "pasid_bits", "0",
				 "online", "1", NULL));
	ASSERT_EQ(0, vfio_use(&user, DEVICE));
	hwpt = hwpt_alloc(user.iommufd, user.id, user.ioas, FLAGS, 0);
	ASSERT_LE(0, hwpt);
	EXPECT_EQ(0, vfio_attach(user.device, RID, hwpt));
	vfio_leave(&user);
	remove_devices(_metadata);
}

TEST_HARNESS_MAIN
