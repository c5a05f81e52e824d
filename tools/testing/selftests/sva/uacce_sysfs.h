/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The device behind uacce in sysfs: its attributes, and its driver.
 *
 * All functions return 0, or a negative errno.
 */
#ifndef SELFTESTS_SVA_UACCE_SYSFS_H
#define SELFTESTS_SVA_UACCE_SYSFS_H

#include <stdbool.h>

#include "file.h"

#define UACCE_CLASS "/sys/class/uacce/mock_uacce-0/"
#define UACCE_DRIVER "/sys/bus/platform/drivers/mock_uacce/"
#define UACCE_PLATFORM_DEVICE "mock_uacce.0"

/* Whether an attribute says exactly that. */
static inline bool uacce_says(const char *path, const char *text)
{
	char is[64];

	return !read_whole_file(is, sizeof(is), path) && !strcmp(is, text);
}

static inline int uacce_unbind_driver(void)
{
	return write_file(UACCE_PLATFORM_DEVICE, UACCE_DRIVER "unbind");
}

static inline int uacce_bind_driver(void)
{
	return write_file(UACCE_PLATFORM_DEVICE, UACCE_DRIVER "bind");
}

static inline bool uacce_has_driver(void)
{
	return !access(UACCE_DRIVER UACCE_PLATFORM_DEVICE, F_OK);
}

#endif /* SELFTESTS_SVA_UACCE_SYSFS_H */
