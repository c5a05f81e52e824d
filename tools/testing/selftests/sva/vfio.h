/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A device of the mock SMMU that a process drives by VFIO.
 *
 * All functions return 0 or more, or a negative errno, unless they say otherwise.
 */
#ifndef SELFTESTS_SVA_VFIO_H
#define SELFTESTS_SVA_VFIO_H

#include "accel.h"

#include <dirent.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <linux/mock_vfio.h>
#include <linux/vfio.h>

#include "configfs.h"
#include "iommufd.h"

#define DEVICE LOADED "/ksv0"
#define OTHER LOADED "/ksv1"

#define RID MOCK_VFIO_NO_PASID
#define IOVA 0x12340000ULL

/* Opens the character device of the platform device @name. */
static inline int vfio_open(const char *name)
{
	char path[320] = "";
	struct dirent *entry;
	DIR *dir;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/platform/devices/%s/vfio-dev", name);
	dir = opendir(path);
	if (!dir)
		return -errno;
	path[0] = 0;
	while ((entry = readdir(dir)))
		if (!strncmp(entry->d_name, "vfio", 4))
			snprintf(path, sizeof(path), "/dev/vfio/devices/%s", entry->d_name);
	closedir(dir);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Gives it to @iommufd; the ID that it has there. */
static inline int vfio_bind(int fd, int iommufd)
{
	struct vfio_device_bind_iommufd arg = { .argsz = sizeof(arg), .iommufd = iommufd };

	return ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, &arg) ? -errno : (int)arg.out_devid;
}

/* Has accesses with @pasid, or with RID those without, go to @pt, in place of what was there. */
static inline int vfio_attach(int fd, uint32_t pasid, int pt)
{
	struct vfio_device_attach_iommufd_pt arg = {
		.argsz = sizeof(arg),
		.flags = pasid == RID ? 0 : VFIO_DEVICE_ATTACH_PASID,
		.pt_id = pt,
		.pasid = pasid == RID ? 0 : pasid,
	};

	return ioctl(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &arg) ? -errno : 0;
}

static inline int vfio_detach(int fd, uint32_t pasid)
{
	struct vfio_device_detach_iommufd_pt arg = {
		.argsz = sizeof(arg),
		.flags = pasid == RID ? 0 : VFIO_DEVICE_DETACH_PASID,
		.pasid = pasid == RID ? 0 : pasid,
	};

	return ioctl(fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &arg) ? -errno : 0;
}

/* An eventfd that tells of interrupt @index. */
static inline int vfio_irq(int fd, int index)
{
	union {
		struct vfio_irq_set set;
		char bytes[sizeof(struct vfio_irq_set) + sizeof(int)];
	} arg = { .set = {
		.argsz = sizeof(arg),
		.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
		.index = index,
		.count = 1,
	} };
	int event = eventfd(0, EFD_CLOEXEC);

	if (event < 0)
		return -errno;
	memcpy(arg.set.data, &event, sizeof(event));
	if (!ioctl(fd, VFIO_DEVICE_SET_IRQS, &arg))
		return event;
	close(event);
	return -errno;
}

static inline off_t regs_at(int channel)
{
	return channel * MOCK_VFIO_CHANNEL_SIZE;
}

static inline off_t data_at(int channel)
{
	return regs_at(channel) + MOCK_VFIO_DATA;
}

/* Has a channel do @command. */
static inline int dma_start(int fd, int channel, uint32_t command, uint32_t pasid, uint64_t iova,
			    size_t length)
{
	struct mock_vfio_regs regs = {
		.command = command,
		.pasid = pasid,
		.iova = iova,
		.length = length,
	};
	ssize_t len = pwrite(fd, &regs, sizeof(regs), regs_at(channel));

	return len < 0 ? -errno : 0;
}

/* The channel's state, or a negative errno. */
static inline int dma_state(int fd, int channel)
{
	struct mock_vfio_regs regs;
	ssize_t len = pread(fd, &regs, sizeof(regs), regs_at(channel));

	return len < 0 ? -errno : (int)regs.state;
}

/* How it ends: 0, or a negative errno, which is the device's. */
static inline int dma_wait(int fd, int channel)
{
	struct mock_vfio_regs regs;

	if (!WAIT_UNTIL(dma_state(fd, channel) != MOCK_VFIO_BUSY))
		return -ETIME;
	if (pread(fd, &regs, sizeof(regs), regs_at(channel)) < 0)
		return -errno;
	return regs.state == MOCK_VFIO_DONE ? -(int)regs.error : -ENODATA;
}

/* The device writes @length bytes to memory, with channel 0. */
static inline int dma_write(int fd, uint32_t pasid, uint64_t iova, const void *data, size_t length)
{
	int ret;

	if (pwrite(fd, data, length, data_at(0)) < 0)
		return -errno;
	ret = dma_start(fd, 0, MOCK_VFIO_WRITE, pasid, iova, length);
	return ret ? ret : dma_wait(fd, 0);
}

/* The device reads them. */
static inline int dma_read(int fd, uint32_t pasid, uint64_t iova, void *data, size_t length)
{
	int ret = dma_start(fd, 0, MOCK_VFIO_READ, pasid, iova, length);

	if (!ret)
		ret = dma_wait(fd, 0);
	if (ret)
		return ret;
	return pread(fd, data, length, data_at(0)) < 0 ? -errno : 0;
}

/* Whether the device gets at @word, which is at @iova, and its writes at that alone. */
static inline bool reaches(int fd, uint32_t pasid, uint64_t iova, volatile uint64_t *word)
{
	static uint64_t last;
	uint64_t mine = ++last, seen = 0;

	*word = mine << 32;
	if (dma_read(fd, pasid, iova, &seen, sizeof(seen)) || seen != mine << 32)
		return false;
	return !dma_write(fd, pasid, iova, &mine, sizeof(mine)) && *word == mine;
}

/*
 * A device in use: @device is its file, @group that of its group if it came from there, @id what
 * @iommufd knows it by, @ioas an address space.
 */
struct vfio_user {
	int iommufd;
	int device;
	int group;
	int id;
	int ioas;
};

static const struct vfio_user NO_USER = { .iommufd = -1, .device = -1, .group = -1 };

/* Opens the device that @dir is, and gives it to an iommufd of its own. */
static inline int vfio_use(struct vfio_user *user, const char *dir)
{
	char name[64];
	int ret = config_get(dir, "device", name, sizeof(name));

	*user = NO_USER;
	if (ret)
		return ret;
	user->iommufd = iommufd_open();
	user->device = vfio_open(name);
	if (user->iommufd < 0)
		return user->iommufd;
	if (user->device < 0)
		return user->device;
	user->id = vfio_bind(user->device, user->iommufd);
	if (user->id < 0)
		return user->id;
	user->ioas = ioas_alloc(user->iommufd);
	return user->ioas < 0 ? user->ioas : 0;
}

/*
 * The same with a page table of @ioas attached to @pasid, whose page requests this process
 * answers.
 */
static inline int vfio_use_as_pager(struct vfio_user *user, const char *dir, uint32_t pasid,
				    struct pager *pager)
{
	const uint32_t flags = IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID;
	int ret = vfio_use(user, dir), hwpt;

	if (!ret)
		ret = pager_alloc(user->iommufd, pager);
	if (ret)
		return ret;
	hwpt = hwpt_alloc(user->iommufd, user->id, user->ioas, flags, pager->id);
	return hwpt < 0 ? hwpt : vfio_attach(user->device, pasid, hwpt);
}

/* As vfio_use(), by the group, with the address space that this comes with. It is attached. */
static inline int vfio_use_by_group(struct vfio_user *user, const char *dir)
{
	struct iommu_vfio_ioas ioas = { .size = sizeof(ioas), .op = IOMMU_VFIO_IOAS_GET };
	char name[64], path[64];
	int ret = config_get(dir, "device", name, sizeof(name));

	*user = NO_USER;
	if (ret)
		return ret;
	user->iommufd = iommufd_open();
	if (user->iommufd < 0)
		return user->iommufd;
	snprintf(path, sizeof(path), "/dev/vfio/%d", config_group(dir));
	user->group = open(path, O_RDWR | O_CLOEXEC);
	if (user->group < 0 || ioctl(user->group, VFIO_GROUP_SET_CONTAINER, &user->iommufd))
		return -errno;
	user->device = ioctl(user->group, VFIO_GROUP_GET_DEVICE_FD, name);
	if (user->device < 0)
		return -errno;
	ret = iommufd_ioctl(user->iommufd, IOMMU_VFIO_IOAS, &ioas);
	user->ioas = ioas.ioas_id;
	return ret;
}

/* Lets go what was got, also if only a part of it was. */
static inline void vfio_leave(struct vfio_user *user)
{
	const int files[] = { user->device, user->group, user->iommufd };

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (files[i] >= 0)
			close(files[i]);
	*user = NO_USER;
}

static inline void remove_devices(struct __test_metadata *_metadata)
{
	static const char * const dirs[] = { DEVICE, OTHER };

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		if (!access(dirs[i], F_OK))
			EXPECT_EQ(0, config_rmdir(dirs[i]));
}

#endif /* SELFTESTS_SVA_VFIO_H */
