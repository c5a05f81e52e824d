// SPDX-License-Identifier: GPL-2.0
/* Close while jobs are in flight. */

#include "accel_file.h"

TEST_F(file, close_stops_a_job)
{
	static struct endless endless;
	uint64_t begin;

	ASSERT_LT(0, accel_submit_endless(self->fd, &endless));
	begin = now_ms();
	EXPECT_EQ(0, close(self->fd));
	EXPECT_GT(5000, now_ms() - begin);
	EXPECT_EQ(0, bond_refs(DEVICE, self->pasid));
	/* A stopped job leaves no record. */
	EXPECT_EQ(MOCK_ACCEL_PENDING, endless.job.done.status);
	self->fd = -1;
}

/* How many words from the start are not 0, if all of these come first. */
static size_t count_written(const uint64_t *words, size_t count)
{
	size_t written = 0;

	while (written < count) {
		size_t middle = written + (count - written) / 2;

		if (__atomic_load_n(&words[middle], __ATOMIC_RELAXED))
			written = middle + 1;
		else
			count = middle;
	}
	return written;
}

#define COUNT	((size_t)1 << 20)

/* Closes the file at the beginning of a long job; whether anything is written afterwards. */
static bool writes_after_close(int fd)
{
	uint64_t *words = map_fresh(COUNT * 8);
	static struct job job;
	size_t at_close, later;

	if (!words)
		return true;
	job = fill_job(words, 1, COUNT * 8);
	if (accel_submit(fd, &job) < 0)
		return true;
	while (!__atomic_load_n(words, __ATOMIC_RELAXED))
		;
	close(fd);
	at_close = count_written(words, COUNT);
	usleep(5000);
	later = count_written(words, COUNT);
	munmap(words, COUNT * 8);
	return at_close == COUNT || later != at_close || job.done.status != MOCK_ACCEL_PENDING;
}

TEST_F(file, close_ends_all_writes)
{
	for (int i = 0; i < 20; i++) {
		EXPECT_FALSE(writes_after_close(self->fd));
		self->fd = accel_open(0);
		ASSERT_LE(0, self->fd);
	}
}

/* The process stays bound: the driver alone can end the writes, and must wait for that. */
TEST_F(file, close_ends_all_writes_beside_another_file)
{
	for (int i = 0; i < 20; i++) {
		int fd = accel_open(0);

		ASSERT_LE(0, fd);
		EXPECT_FALSE(writes_after_close(fd));
		EXPECT_EQ(1, bond_refs(DEVICE, self->pasid));
	}
}

TEST_HARNESS_MAIN
