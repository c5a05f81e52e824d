/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Address spaces that a process makes for devices, by /dev/iommu.
 *
 * All functions return 0 or more, or a negative errno.
 */
#ifndef SELFTESTS_SVA_IOMMUFD_H
#define SELFTESTS_SVA_IOMMUFD_H

#include <linux/iommufd.h>

#include "file.h"

#define UNSAFE_INTERRUPTS "/sys/module/iommufd/parameters/allow_unsafe_interrupts"

static inline int iommufd_open(void)
{
	/* The mock's devices send no interrupts as messages, so that none is unsafe. */
	int fd = write_file("Y", UNSAFE_INTERRUPTS);

	if (fd)
		return fd;
	fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static inline int iommufd_ioctl(int fd, unsigned long cmd, void *arg)
{
	return ioctl(fd, cmd, arg) ? -errno : 0;
}

/* Makes an address space; its ID. */
static inline int ioas_alloc(int fd)
{
	struct iommu_ioas_alloc arg = { .size = sizeof(arg) };
	int ret = iommufd_ioctl(fd, IOMMU_IOAS_ALLOC, &arg);

	return ret ? ret : (int)arg.out_ioas_id;
}

static inline int ioas_map_as(int fd, int ioas, void *memory, size_t length, uint64_t iova,
			      uint32_t flags)
{
	struct iommu_ioas_map arg = {
		.size = sizeof(arg),
		.flags = flags | IOMMU_IOAS_MAP_FIXED_IOVA,
		.ioas_id = ioas,
		.user_va = (uintptr_t)memory,
		.length = length,
		.iova = iova,
	};

	return iommufd_ioctl(fd, IOMMU_IOAS_MAP, &arg);
}

static inline int ioas_map(int fd, int ioas, void *memory, size_t length, uint64_t iova)
{
	return ioas_map_as(fd, ioas, memory, length, iova,
			   IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE);
}

static inline int ioas_unmap(int fd, int ioas, size_t length, uint64_t iova)
{
	struct iommu_ioas_unmap arg = {
		.size = sizeof(arg),
		.ioas_id = ioas,
		.iova = iova,
		.length = length,
	};

	return iommufd_ioctl(fd, IOMMU_IOAS_UNMAP, &arg);
}

/* Makes a page table with @flags for @device, which has what @ioas maps; its ID. */
static inline int hwpt_alloc(int fd, int device, int ioas, uint32_t flags, int fault)
{
	struct iommu_hwpt_alloc arg = {
		.size = sizeof(arg),
		.flags = flags,
		.dev_id = device,
		.pt_id = ioas,
		.fault_id = fault,
	};
	int ret = iommufd_ioctl(fd, IOMMU_HWPT_ALLOC, &arg);

	return ret ? ret : (int)arg.out_hwpt_id;
}

static inline int iommufd_destroy(int fd, int id)
{
	struct iommu_destroy arg = { .size = sizeof(arg), .id = id };

	return iommufd_ioctl(fd, IOMMU_DESTROY, &arg);
}

/* A queue of page requests. */
struct pager {
	int id;
	int fd;
};

static inline int pager_alloc(int fd, struct pager *pager)
{
	struct iommu_fault_alloc arg = { .size = sizeof(arg) };
	int ret = iommufd_ioctl(fd, IOMMU_FAULT_QUEUE_ALLOC, &arg);

	pager->id = arg.out_fault_id;
	pager->fd = arg.out_fault_fd;
	return ret;
}

/* Whether a request is there to be read, or comes soon. */
static inline bool pager_asked(const struct pager *pager)
{
	struct pollfd fd = { .fd = pager->fd, .events = POLLIN };

	return poll(&fd, 1, PATIENCE_MS) == 1 && fd.revents & POLLIN;
}

/* Waits for a request, and takes it. A larger group is refused. */
static inline int pager_read(const struct pager *pager, struct iommu_hwpt_pgfault *asked)
{
	ssize_t len;

	if (!pager_asked(pager))
		return -ETIME;
	len = read(pager->fd, asked, sizeof(*asked));
	if (len < 0)
		return -errno;
	return len == sizeof(*asked) ? 0 : -EBADMSG;
}

static inline int pager_answer(const struct pager *pager, uint32_t cookie, uint32_t code)
{
	struct iommu_hwpt_page_response answer = { .cookie = cookie, .code = code };

	return write(pager->fd, &answer, sizeof(answer)) < 0 ? -errno : 0;
}

#endif /* SELFTESTS_SVA_IOMMUFD_H */
