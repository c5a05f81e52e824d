// SPDX-License-Identifier: GPL-2.0
/* The file: open, close, ioctls, several files of one process. */

#include "accel_file.h"

TEST_F(file, open_binds_and_close_unbinds)
{
	struct bond bond;

	ASSERT_EQ(1, find_bond(DEVICE, self->pasid, &bond));
	EXPECT_EQ(getpid(), bond.pid);
	EXPECT_EQ(1, bond.refs);
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, bond_refs(DEVICE, self->pasid));
	self->fd = -1;
}

TEST_F(file, open_and_close_many_times)
{
	int64_t bonds = read_stat("bonds");

	for (int i = 0; i < 100; i++) {
		int fd = accel_open(0);

		ASSERT_LE(0, fd);
		ASSERT_EQ(self->pasid, accel_pasid(fd));
		ASSERT_EQ(2, bond_refs(DEVICE, self->pasid));
		close(fd);
	}
	EXPECT_EQ(1, bond_refs(DEVICE, self->pasid));
	close(self->fd);
	for (int i = 0; i < 100; i++) {
		self->fd = accel_open(0);
		ASSERT_LE(0, self->fd);
		/* All numbers come back: the lowest is free again each time. */
		ASSERT_EQ(self->pasid, accel_pasid(self->fd));
		close(self->fd);
	}
	EXPECT_EQ(bonds - 1, read_stat("bonds"));
	self->fd = -1;
}

TEST_F(file, query)
{
	struct mock_accel_info info;

	memset(&info, 0xff, sizeof(info));
	ASSERT_EQ(0, accel_query(self->fd, &info));
	EXPECT_EQ(self->pasid, info.pasid);
	EXPECT_GT(1 << 20, info.pasid);
	EXPECT_LE(16, info.queue_depth);
	EXPECT_EQ(0x7e, info.operations);
	EXPECT_LE(64 << 20, info.max_length);
	EXPECT_LE(100000, info.max_nodes);
	EXPECT_EQ(0, info.jobs);
	EXPECT_EQ(0, info.errors);
	EXPECT_EQ(0, info.bytes);
}

TEST_F(file, wrong_ioctls)
{
	struct mock_accel_submit submit = {};

	EXPECT_EQ(-1, ioctl(self->fd, _IO(MOCK_ACCEL_IOC_MAGIC, 3), 0));
	EXPECT_EQ(ENOTTY, errno);
	/* The size is part of the number. */
	EXPECT_EQ(-1, ioctl(self->fd, _IOR(MOCK_ACCEL_IOC_MAGIC, 0, int), &submit));
	EXPECT_EQ(ENOTTY, errno);
	EXPECT_EQ(-1, ioctl(self->fd, MOCK_ACCEL_IOC_QUERY, NULL));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, ioctl(self->fd, MOCK_ACCEL_IOC_SUBMIT, NULL));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, ioctl(self->fd, MOCK_ACCEL_IOC_WAIT, 8));
	EXPECT_EQ(EFAULT, errno);
}

TEST_F(file, wait_for_what_is_not_there)
{
	struct mock_accel_completion done;
	uint64_t word;
	struct job job = fill_job(&word, 1, 8);
	int64_t number;

	EXPECT_EQ(-ENOENT, accel_wait(self->fd, 0, &done));
	EXPECT_EQ(-ENOENT, accel_wait(self->fd, 1, &done));
	EXPECT_EQ(-ENOENT, accel_wait(self->fd, -1, &done));
	number = accel_submit(self->fd, &job);
	ASSERT_EQ(1, number);
	EXPECT_EQ(0, accel_wait(self->fd, number, &done));
	EXPECT_EQ(-ENOENT, accel_wait(self->fd, number, &done));
}

TEST_F(file, queue_is_bounded)
{
	struct mock_accel_info info;
	static struct endless endless;
	static struct job job;
	static uint64_t word;
	unsigned int queued = 1;

	ASSERT_EQ(0, accel_query(self->fd, &info));
	job = fill_job(&word, 1, 8);
	ASSERT_LT(0, accel_submit_endless(self->fd, &endless));
	while (accel_submit(self->fd, &job) > 0)
		queued++;
	EXPECT_EQ(info.queue_depth, queued);
	EXPECT_EQ(-EBUSY, accel_submit(self->fd, &job));
	EXPECT_EQ(0, word);
}

TEST_F(file, jobs_run_in_order)
{
	enum { JOBS = 40 };
	static struct job jobs[JOBS];
	static uint64_t words[JOBS + 1];
	struct mock_accel_completion done;
	int64_t last = 0;

	/* Each copies what the one before has copied. */
	words[0] = 0x1234;
	for (int i = 0; i < JOBS; i++) {
		jobs[i] = copy_job(&words[i + 1], &words[i], 8);
		last = accel_submit(self->fd, &jobs[i]);
		ASSERT_EQ(i + 1, last);
	}
	ASSERT_EQ(0, accel_wait(self->fd, last, &done));
	for (int i = 0; i < JOBS; i++)
		EXPECT_EQ(MOCK_ACCEL_SUCCESS, jobs[i].done.status);
	EXPECT_EQ(0x1234, words[JOBS]);
}

TEST_F(file, second_open_of_the_process)
{
	int second = accel_open(0);
	uint64_t word = 0;

	ASSERT_LE(0, second);
	EXPECT_EQ(self->pasid, accel_pasid(second));
	EXPECT_EQ(2, bond_refs(DEVICE, self->pasid));
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(1, bond_refs(DEVICE, self->pasid));
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(second, &word, 5, 8));
	EXPECT_EQ(5, word);
	self->fd = second;
}

/* Each file has numbers, results and statistics of its own. */
TEST_F(file, files_do_not_mix)
{
	struct mock_accel_completion done;
	int second = accel_open(0);
	static uint64_t word;
	static struct job job;
	struct mock_accel_info info;

	job = fill_job(&word, 1, 8);
	ASSERT_EQ(1, accel_submit(self->fd, &job));
	EXPECT_EQ(-ENOENT, accel_wait(second, 1, &done));
	ASSERT_EQ(0, accel_wait(self->fd, 1, &done));
	ASSERT_EQ(0, accel_query(second, &info));
	EXPECT_EQ(0, info.jobs);
	ASSERT_EQ(0, accel_query(self->fd, &info));
	EXPECT_EQ(1, info.jobs);
	EXPECT_EQ(8, info.bytes);
	close(second);
}

TEST_F(file, files_run_side_by_side)
{
	int second = accel_open(0);
	static struct endless endless;
	uint64_t word = 0;

	ASSERT_LT(0, accel_submit_endless(self->fd, &endless));
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(second, &word, 9, 8));
	EXPECT_EQ(9, word);
	EXPECT_EQ(MOCK_ACCEL_PENDING, endless.job.done.status);
	close(second);
}

TEST_F(file, dup_keeps_the_context)
{
	int copy = dup(self->fd);
	uint64_t word = 0;

	ASSERT_LE(0, copy);
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(1, bond_refs(DEVICE, self->pasid));
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(copy, &word, 3, 8));
	EXPECT_EQ(3, word);
	EXPECT_EQ(0, close(copy));
	EXPECT_EQ(0, bond_refs(DEVICE, self->pasid));
	self->fd = -1;
}

TEST_F(file, two_devices_of_one_process)
{
	int other = accel_open(1);
	uint64_t word = 0;
	unsigned int pasid;

	ASSERT_LE(0, other);
	pasid = accel_pasid(other);
	EXPECT_EQ(1, bond_refs("mock_accel.1", pasid));
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(self->fd, &word, 1, 8));
	EXPECT_EQ(1, word);
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(other, &word, 2, 8));
	EXPECT_EQ(2, word);
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, bond_refs(DEVICE, self->pasid));
	EXPECT_EQ(1, bond_refs("mock_accel.1", pasid));
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(other, &word, 3, 8));
	EXPECT_EQ(3, word);
	self->fd = other;
}

TEST_HARNESS_MAIN
