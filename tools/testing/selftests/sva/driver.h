/* SPDX-License-Identifier: GPL-2.0 */
/* Takes the driver of the accelerators from a device, and gives it back. */
#ifndef SELFTESTS_SVA_DRIVER_H
#define SELFTESTS_SVA_DRIVER_H

#include "file.h"

#define DRIVER "/sys/bus/platform/drivers/mock_accel/"

static inline int driver_bind(const char *device)
{
	return write_file(device, DRIVER "bind");
}

static inline int driver_unbind(const char *device)
{
	return write_file(device, DRIVER "unbind");
}

#endif /* SELFTESTS_SVA_DRIVER_H */
