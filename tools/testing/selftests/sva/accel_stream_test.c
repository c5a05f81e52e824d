// SPDX-License-Identifier: GPL-2.0
/* Read-ahead: who asks in order asks less, and nobody gets what they may not have. */

#include <signal.h>

#include "accel.h"
#include "debugfs.h"
#include "pagemap.h"

#define PAGES 1024

FIXTURE(stream) {
	int fd;
	size_t page;
	/* Pages that nobody has touched, and after them one of another mapping. */
	unsigned char *area;
	int64_t requests, ahead;
};

FIXTURE_SETUP(stream)
{
	struct job warm;

	self->fd = accel_open(0);
	ASSERT_LE(0, self->fd);
	self->page = page_size();
	self->area = map_fresh((PAGES + 1) * self->page);
	ASSERT_NE(NULL, self->area);
	/* A page that a test wants to be small must not come as a huge one. */
	ASSERT_EQ(0, madvise(self->area, (PAGES + 1) * self->page, MADV_NOHUGEPAGE));
	ASSERT_EQ(0, mprotect(self->area + PAGES * self->page, self->page, PROT_READ));
	warm = add_job(&(uint64_t){ 0 }, 1);
	ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_run(self->fd, &warm));
	self->requests = read_stat("page_requests");
	self->ahead = read_stat("pages_read_ahead");
	ASSERT_LE(0, self->ahead);
}

FIXTURE_TEARDOWN(stream)
{
	close(self->fd);
}

#define requests()	(read_stat("page_requests") - self->requests)
#define read_ahead()	(read_stat("pages_read_ahead") - self->ahead)

/* How many pages of @count at @p are in the page table. */
static int present(const unsigned char *p, int count)
{
	uint64_t entries[PAGES + 1] = {};
	int fd = pagemap_open(), found = 0;

	if (fd < 0 || !pagemap_read(fd, p, entries, count))
		return -1;
	close(fd);
	for (int i = 0; i < count; i++)
		found += entries[i] >> PRESENT & 1;
	return found;
}

/* The device writes to a page. */
static int touch(int fd, unsigned char *page)
{
	return accel_fill(fd, page, 5, 8);
}

TEST_F(stream, in_order)
{
	for (int i = 0; i < PAGES; i++)
		ASSERT_EQ(MOCK_ACCEL_SUCCESS, touch(self->fd, self->area + i * self->page));
	EXPECT_GE(PAGES / 8, requests());
	EXPECT_LE(PAGES * 7 / 8, read_ahead());
	EXPECT_EQ(PAGES, present(self->area, PAGES));
	/* What was read ahead is memory to write to, like any other. */
	for (int i = 0; i < PAGES; i++)
		ASSERT_EQ(5, self->area[i * self->page]);
}

TEST_F(stream, not_past_the_mapping)
{
	unsigned char *end = self->area + PAGES * self->page;

	for (int i = 16; i > 0; i--)
		ASSERT_EQ(MOCK_ACCEL_SUCCESS, touch(self->fd, end - i * self->page));
	EXPECT_LT(0, read_ahead());
	EXPECT_EQ(0, present(end, 1));
	EXPECT_EQ(0, present(self->area, PAGES - 16));
	EXPECT_TRUE(write_refused(self->fd, end));
}

TEST_F(stream, not_over_a_hole)
{
	unsigned char *hole = self->area + 40 * self->page;

	ASSERT_EQ(0, munmap(hole, self->page));
	for (int i = 0; i < 40; i++)
		ASSERT_EQ(MOCK_ACCEL_SUCCESS, touch(self->fd, self->area + i * self->page));
	EXPECT_EQ(40, present(self->area, 40));
	EXPECT_EQ(0, present(hole, 100));
	EXPECT_TRUE(write_refused(self->fd, hole));
}

/* Two streams at once, one of which only reads, and so gets no memory of its own. */
TEST_F(stream, copy)
{
	unsigned char *src = self->area, *dst = self->area + PAGES / 2 * self->page;

	for (size_t i = 0; i < PAGES / 2 * self->page; i += self->page) {
		struct job job = copy_job(dst + i, src + i, 8);

		ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_run(self->fd, &job));
	}
	EXPECT_GE(PAGES / 8, requests());
	EXPECT_EQ(0, dst[0]);
}

TEST_F(stream, in_no_order)
{
	unsigned int page = 1;

	/* All numbers of 10 bits but 0, in the order of a shift register. */
	for (int i = 0; i < 256; i++) {
		ASSERT_EQ(MOCK_ACCEL_SUCCESS, touch(self->fd, self->area + page * self->page));
		page = page >> 1 ^ (page & 1 ? 0x240 : 0);
	}
	EXPECT_GE(256 + 64, present(self->area, PAGES));
	EXPECT_GE(64, read_ahead());
}

TEST_F(stream, process_says_random)
{
	ASSERT_EQ(0, madvise(self->area, PAGES * self->page, MADV_RANDOM));
	for (int i = 0; i < 64; i++)
		ASSERT_EQ(MOCK_ACCEL_SUCCESS, touch(self->fd, self->area + i * self->page));
	EXPECT_EQ(0, read_ahead());
	EXPECT_EQ(64, present(self->area, PAGES));
}

/* Pages that are shared since a fork are not copied before somebody writes to them. */
TEST_F(stream, copies_nothing_ahead)
{
	int64_t before;
	pid_t child;

	memset(self->area, 1, 64 * self->page);
	child = fork();
	if (!child)
		_exit(pause());
	for (int i = 0; i < 32; i++)
		EXPECT_EQ(MOCK_ACCEL_SUCCESS, touch(self->fd, self->area + i * self->page));
	before = read_stat("page_requests");
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, touch(self->fd, self->area + 32 * self->page));
	EXPECT_EQ(before + 1, read_stat("page_requests"));
	kill(child, SIGKILL);
	child_status(child);
}

TEST_HARNESS_MAIN
