/* SPDX-License-Identifier: GPL-2.0 */
/* An open file of an accelerator. */
#ifndef SELFTESTS_SVA_ACCEL_FILE_H
#define SELFTESTS_SVA_ACCEL_FILE_H

#include "accel.h"
#include "debugfs.h"

#define DEVICE "mock_accel.0"

FIXTURE(file) {
	int fd;
	unsigned int pasid;
};

FIXTURE_SETUP(file)
{
	self->fd = accel_open(0);
	ASSERT_LE(0, self->fd);
	self->pasid = accel_pasid(self->fd);
	ASSERT_NE(0, self->pasid);
}

FIXTURE_TEARDOWN(file)
{
	close(self->fd);
}

#endif /* SELFTESTS_SVA_ACCEL_FILE_H */
