// SPDX-License-Identifier: GPL-2.0
/* The driver leaves the device while processes use it. */

#include "accel.h"
#include "debugfs.h"
#include "driver.h"

#define DEVICE "mock_accel.1"

FIXTURE(unbind) {
	int fd;
	unsigned int pasid;
};

FIXTURE_SETUP(unbind)
{
	self->fd = accel_open(1);
	ASSERT_LE(0, self->fd);
	self->pasid = accel_pasid(self->fd);
}

FIXTURE_TEARDOWN(unbind)
{
	close(self->fd);
	/* Whatever came before, the device is there for others. */
	if (access(DRIVER DEVICE, F_OK))
		EXPECT_EQ(0, driver_bind(DEVICE));
	self->fd = accel_open(1);
	EXPECT_LE(0, self->fd);
	close(self->fd);
}

TEST_F(unbind, open_files_get_enodev)
{
	struct mock_accel_completion done;
	uint64_t word = 0;
	struct job job = fill_job(&word, 1, 8);
	struct mock_accel_info info;

	ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_run(self->fd, &job));
	ASSERT_EQ(0, driver_unbind(DEVICE));
	EXPECT_EQ(0, bond_refs(DEVICE, self->pasid));
	EXPECT_EQ(-ENOENT, accel_open(1));
	EXPECT_EQ(-ENODEV, accel_submit(self->fd, &job));
	EXPECT_EQ(-ENODEV, accel_wait(self->fd, 1, &done));
	EXPECT_EQ(0, accel_query(self->fd, &info));
	EXPECT_EQ(1, info.jobs);
}

TEST_F(unbind, jobs_in_flight_end)
{
	struct mock_accel_completion done;
	static struct endless endless;
	int64_t number = accel_submit_endless(self->fd, &endless);
	uint64_t begin = now_ms();

	ASSERT_LT(0, number);
	ASSERT_EQ(0, driver_unbind(DEVICE));
	EXPECT_GT(5000, now_ms() - begin);
	EXPECT_EQ(-ENODEV, accel_wait(self->fd, number, &done));
	EXPECT_EQ(MOCK_ACCEL_PENDING, endless.job.done.status);
}

TEST_F(unbind, page_requests_in_flight)
{
	const size_t length = 256 << 20;
	static struct job job;

	for (int i = 0; i < 5; i++) {
		uint64_t *memory = map_fresh(length);

		ASSERT_NE(NULL, memory);
		job = fill_job(memory, 1, length);
		ASSERT_LT(0, accel_submit(self->fd, &job));
		while (!__atomic_load_n(memory, __ATOMIC_RELAXED))
			;
		ASSERT_EQ(0, driver_unbind(DEVICE));
		EXPECT_EQ(0, bond_refs(DEVICE, self->pasid));
		ASSERT_EQ(0, munmap(memory, length));
		close(self->fd);
		ASSERT_EQ(0, driver_bind(DEVICE));
		self->fd = accel_open(1);
		ASSERT_LE(0, self->fd);
		ASSERT_EQ(self->pasid, accel_pasid(self->fd));
	}
}

TEST_F(unbind, waiters_are_woken)
{
	static struct endless endless;
	pid_t child;

	child = fork();
	if (!child) {
		struct mock_accel_completion done;
		int fd = accel_open(1);
		int64_t number = accel_submit_endless(fd, &endless);

		_exit(accel_wait(fd, number, &done) != -ENODEV);
	}
	usleep(100000);
	ASSERT_EQ(0, driver_unbind(DEVICE));
	EXPECT_EQ(0, child_status(child));
}

TEST_F(unbind, other_device_goes_on)
{
	int other = accel_open(0);
	uint64_t word = 0;

	ASSERT_LE(0, other);
	ASSERT_EQ(0, driver_unbind(DEVICE));
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(other, &word, 4, 8));
	EXPECT_EQ(4, word);
	close(other);
}

TEST_F(unbind, new_files_work_beside_old_ones)
{
	uint64_t word = 0;
	struct job job = fill_job(&word, 1, 8);
	int again;

	ASSERT_EQ(0, driver_unbind(DEVICE));
	ASSERT_EQ(0, driver_bind(DEVICE));
	again = accel_open(1);
	ASSERT_LE(0, again);
	EXPECT_EQ(-ENODEV, accel_submit(self->fd, &job));
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_run(again, &job));
	EXPECT_EQ(1, word);
	EXPECT_EQ(1, bond_refs(DEVICE, accel_pasid(again)));
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(1, bond_refs(DEVICE, accel_pasid(again)));
	self->fd = again;
}

TEST_HARNESS_MAIN
