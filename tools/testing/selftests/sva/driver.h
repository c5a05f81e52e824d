/* SPDX-License-Identifier: GPL-2.0 */
/* Takes the driver of the accelerators from a device, and gives it back. */
#ifndef SELFTESTS_SVA_DRIVER_H
#define SELFTESTS_SVA_DRIVER_H

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define DRIVER "/sys/bus/platform/drivers/mock_accel/"

static inline int driver_write(const char *path, const char *device)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int ret;

	if (fd < 0)
		return -errno;
	ret = write(fd, device, strlen(device)) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

static inline int driver_bind(const char *device)
{
	return driver_write(DRIVER "bind", device);
}

static inline int driver_unbind(const char *device)
{
	return driver_write(DRIVER "unbind", device);
}

#endif /* SELFTESTS_SVA_DRIVER_H */
