// SPDX-License-Identifier: GPL-2.0
/* What a mock SMMU does wrong on request is survived, with the right errors. */

#include "accel.h"
#include "inject.h"

#define OWN MOCK_CONFIG "/kst"
#define DEVICE OWN "/kst0"
#define DEBUG MOCK_DEBUG "/kst"
#define PAGES 256

FIXTURE(inject) {
	int fd;
	char *memory;
};

FIXTURE_SETUP(inject)
{
	if (!can_inject())
		SKIP(return, "this kernel has no fault injection");
	ASSERT_EQ(0, config_make(OWN, "online", "1", NULL));
	ASSERT_EQ(0, config_make(DEVICE, "timeout_ms", "500", "online", "1", NULL));
	self->fd = accel_open(config_number(DEVICE));
	ASSERT_LE(0, self->fd);
	self->memory = map_fresh(PAGES * page_size());
	ASSERT_NE(NULL, self->memory);
}

FIXTURE_TEARDOWN(inject)
{
	close(self->fd);
	if (!access(DEVICE, F_OK))
		EXPECT_EQ(0, config_rmdir(DEVICE));
	if (!access(OWN, F_OK))
		EXPECT_EQ(0, config_rmdir(OWN));
}

TEST_F(inject, queue_full)
{
	const size_t length = PAGES * page_size();

	ASSERT_EQ(0, inject("kst", "fail_queue_full", 3));
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(self->fd, self->memory, 3, length));
	EXPECT_TRUE(all_words((uint64_t *)self->memory, 3, length));
	EXPECT_EQ(0, inject_left("kst", "fail_queue_full"));
}

TEST_F(inject, queue_full_for_ever)
{
	struct job job = fill_job(self->memory, 1, 8);

	/* Descriptor and record must be there before. */
	ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_run(self->fd, &job));
	job = fill_job(self->memory + page_size(), 1, 8);
	ASSERT_EQ(0, inject("kst", "fail_queue_full", -1));
	EXPECT_EQ(MOCK_ACCEL_BUS_ERROR, accel_run(self->fd, &job));
	ASSERT_EQ(0, inject("kst", "fail_queue_full", 0));
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_run(self->fd, &job));
}

/* A response that is lost: the access fails in time, and the device goes on. */
static void drop_response(struct __test_metadata *_metadata, int fd, char *memory)
{
	struct job job = fill_job(memory, 1, 8);
	uint64_t begin;

	ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_run(fd, &job));
	job = fill_job(memory + page_size(), 1, 8);
	ASSERT_EQ(0, inject("kst", "fail_response_drop", -1));
	begin = now_ms();
	EXPECT_EQ(MOCK_ACCEL_BUS_ERROR, accel_run(fd, &job));
	EXPECT_LE(450, now_ms() - begin);
	EXPECT_EQ((uintptr_t)memory + page_size(), job.done.fault_address);
	/* The device and its SMMU go on. */
	ASSERT_EQ(0, inject("kst", "fail_response_drop", 0));
	job = fill_job(memory + 2 * page_size(), 1, 8);
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_run(fd, &job));
}

/* One that is late. */
static void slow_response(struct __test_metadata *_metadata, int fd, char *memory)
{
	struct job job = fill_job(memory, 1, 8);
	uint64_t begin;

	ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_run(fd, &job));
	job = fill_job(memory + page_size(), 1, 8);
	ASSERT_EQ(0, inject("kst", "fail_response_slow", 1));
	begin = now_ms();
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_run(fd, &job));
	EXPECT_LE(100, now_ms() - begin);
	EXPECT_EQ(0, inject_left("kst", "fail_response_slow"));
}

TEST_F(inject, response_drop)
{
	drop_response(_metadata, self->fd, self->memory);
	EXPECT_LT(0, debugfs_counter("kst", "hw_pri_resp_lost"));
}

TEST_F(inject, response_slow)
{
	slow_response(_metadata, self->fd, self->memory);
}

/* The same device, but that it stalls. Opens it. */
static int open_stalling(int fd)
{
	int ret;

	close(fd);
	ret = config_rmdir(DEVICE);
	ret = ret ?: config_make(DEVICE, "timeout_ms", "500", "ats", "0", "pri", "0",
				 "stall", "1", "online", "1", NULL);
	return ret ?: accel_open(config_number(DEVICE));
}

TEST_F(inject, resume_drop)
{
	self->fd = open_stalling(self->fd);
	ASSERT_LE(0, self->fd);
	drop_response(_metadata, self->fd, self->memory);
	EXPECT_LT(0, debugfs_counter("kst", "hw_resume_lost"));
	EXPECT_EQ(0, debugfs_counter("kst", "hw_pri_resp_lost"));
	/* Somebody waits for nothing: that is no reason for it to stay. What it leaves is ended. */
	EXPECT_EQ(0, debugfs_counter("kst", "hw_stall_term"));
	EXPECT_EQ(0, config_set(DEVICE, "online", "0"));
	EXPECT_EQ(1, debugfs_counter("kst", "hw_stall_term"));
	EXPECT_EQ(0, config_set(OWN, "online", "0"));
}

TEST_F(inject, resume_slow)
{
	self->fd = open_stalling(self->fd);
	ASSERT_LE(0, self->fd);
	slow_response(_metadata, self->fd, self->memory);
}

/* The device goes while responses are slow. */
TEST_F(inject, leaving_while_slow)
{
	static struct job job;

	job = fill_job(self->memory, 1, PAGES * page_size());
	ASSERT_EQ(0, inject("kst", "fail_response_slow", -1));
	ASSERT_LT(0, accel_submit(self->fd, &job));
	usleep(50000);
	EXPECT_EQ(0, config_set(DEVICE, "online", "0"));
	EXPECT_EQ(0, config_set(DEVICE, "online", "1"));
}

TEST_F(inject, alloc)
{
	int number = config_number(DEVICE);

	/* First the address space has no memory, then its attachment. */
	close(self->fd);
	for (int i = 1; i <= 2; i++) {
		ASSERT_EQ(0, config_set(DEBUG "/fail_alloc", "interval", i == 1 ? "1" : "2"));
		ASSERT_EQ(0, inject("kst", "fail_alloc", 1));
		self->fd = accel_open(number);
		EXPECT_EQ(-ENOMEM, self->fd);
		EXPECT_EQ(0, inject_left("kst", "fail_alloc"));
	}
	self->fd = accel_open(number);
	ASSERT_LE(0, self->fd);
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(self->fd, self->memory, 1, 8));
}

TEST_HARNESS_MAIN
