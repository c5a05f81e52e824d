/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The device behind uacce in sysfs: its attributes, and its driver.
 *
 * All functions return 0, or a negative errno.
 */
#ifndef SELFTESTS_SVA_UACCE_SYSFS_H
#define SELFTESTS_SVA_UACCE_SYSFS_H

#define UACCE_CLASS "/sys/class/uacce/mock_uacce-0/"
#define UACCE_DRIVER "/sys/bus/platform/drivers/mock_uacce/"
#define UACCE_PLATFORM_DEVICE "mock_uacce.0"

static inline int uacce_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int ret;

	if (fd < 0)
		return -errno;
	ret = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

static inline int uacce_read(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), ret;

	if (fd < 0)
		return -errno;
	ret = read(fd, text, size - 1);
	if (ret < 0)
		ret = -errno;
	close(fd);
	text[ret < 0 ? 0 : ret] = '\0';
	return ret < 0 ? ret : 0;
}

/* Whether an attribute says exactly that. */
static inline bool uacce_says(const char *path, const char *text)
{
	char is[64];

	return !uacce_read(path, is, sizeof(is)) && !strcmp(is, text);
}

static inline int uacce_unbind_driver(void)
{
	return uacce_write(UACCE_DRIVER "unbind", UACCE_PLATFORM_DEVICE);
}

static inline int uacce_bind_driver(void)
{
	return uacce_write(UACCE_DRIVER "bind", UACCE_PLATFORM_DEVICE);
}

static inline bool uacce_has_driver(void)
{
	return !access(UACCE_DRIVER UACCE_PLATFORM_DEVICE, F_OK);
}

#endif /* SELFTESTS_SVA_UACCE_SYSFS_H */
