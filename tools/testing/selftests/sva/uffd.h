/* SPDX-License-Identifier: GPL-2.0 */
/* Pages that somebody gives on request, or never. */
#ifndef SVA_UFFD_H
#define SVA_UFFD_H

#include <poll.h>
#include <sys/syscall.h>

#include <linux/userfaultfd.h>

#include "accel.h"

/* A userfaultfd for pages that are missing in an area, or a negative errno. */
static inline int uffd_for(void *area, size_t length)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = {
		.range = { .start = (uintptr_t)area, .len = length },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	int fd = syscall(__NR_userfaultfd, O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &range)) {
		close(fd);
		return -errno;
	}
	return fd;
}

/* Waits for somebody to miss a page, and gives its address; 0 if nobody does. */
static inline uintptr_t uffd_missed(int uffd)
{
	struct pollfd wait = { .fd = uffd, .events = POLLIN };
	struct uffd_msg msg;

	if (poll(&wait, 1, PATIENCE_MS) != 1 || read(uffd, &msg, sizeof(msg)) != sizeof(msg) ||
	    msg.event != UFFD_EVENT_PAGEFAULT)
		return 0;
	return msg.arg.pagefault.address;
}

static inline int uffd_give(int uffd, void *page, const void *content)
{
	struct uffdio_copy copy = {
		.dst = (uintptr_t)page,
		.src = (uintptr_t)content,
		.len = page_size(),
	};

	return ioctl(uffd, UFFDIO_COPY, &copy) ? -errno : 0;
}

#endif /* SVA_UFFD_H */
