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

#define COUNT	((size_t)1 << 20)
/* The device writes this much at a time. */
#define CHUNK	(65536 / sizeof(uint64_t))

enum outcome {
	/* The job was not done yet, and wrote nothing any more. */
	CUT_SHORT,
	WRITES,
	/* The device was faster, which says nothing. */
	DONE_BEFORE,
};

/*
 * Closes the file while the device is at the nth chunk of a long job, which is there
 * in memory; whether anything is written afterwards.
 */
static enum outcome close_at(int fd, uint64_t *words, size_t nth)
{
	uint64_t *chunk = words + nth * CHUNK;
	static struct job job;
	size_t at_close = 0;
	bool late = false;

	memset(words, 0, COUNT * 8);
	job = fill_job(words, 1, COUNT * 8);
	if (accel_submit(fd, &job) < 0)
		return WRITES;
	while (!__atomic_load_n(chunk, __ATOMIC_RELAXED))
		;
	close(fd);
	if (job.done.status == MOCK_ACCEL_SUCCESS)
		return DONE_BEFORE;
	while (at_close < COUNT - nth * CHUNK &&
	       __atomic_load_n(chunk + at_close, __ATOMIC_RELAXED))
		at_close += 8;
	usleep(2000);
	for (size_t i = at_close; i < COUNT - nth * CHUNK; i++)
		late |= __atomic_load_n(chunk + i, __ATOMIC_RELAXED);
	return late || job.done.status != MOCK_ACCEL_PENDING ? WRITES : CUT_SHORT;
}

/* The same, as often as it takes; @fd is closed, and those opened for the next tries. */
static bool writes_after_close(int fd, uint64_t *words, size_t nth)
{
	enum outcome outcome = close_at(fd, words, nth);

	for (int tries = 100; outcome == DONE_BEFORE && tries; tries--) {
		fd = accel_open(0);
		if (fd < 0)
			return true;
		outcome = close_at(fd, words, nth);
	}
	return outcome != CUT_SHORT;
}

TEST_F(file, close_ends_all_writes)
{
	uint64_t *words = map_fresh(COUNT * 8);

	ASSERT_NE(NULL, words);
	for (size_t i = 0; i < 30; i++) {
		ASSERT_FALSE(writes_after_close(self->fd, words, i));
		self->fd = accel_open(0);
		ASSERT_LE(0, self->fd);
	}
}

/* The process stays bound: the driver alone can end the writes, and must wait for that. */
TEST_F(file, close_ends_all_writes_beside_another_file)
{
	uint64_t *words = map_fresh(COUNT * 8);

	ASSERT_NE(NULL, words);
	for (size_t i = 0; i < 30; i++) {
		int fd = accel_open(0);

		ASSERT_LE(0, fd);
		ASSERT_FALSE(writes_after_close(fd, words, i));
		ASSERT_EQ(1, bond_refs(DEVICE, self->pasid));
	}
}

TEST_HARNESS_MAIN
