// SPDX-License-Identifier: GPL-2.0
/* The walker, and what caches remember, agree with the kernel after every kind of change. */

#include <dirent.h>
#include <sys/swap.h>

#include "walker.h"

#define KSM "/sys/kernel/mm/ksm/"
#define SWAP_DEVICE "/dev/ram0"

FIXTURE(change) {
	struct walker w;
	size_t page, length;
	char *p;
};

FIXTURE_SETUP(change)
{
	ASSERT_EQ(0, walker_open(&self->w));
	self->page = page_size();
	self->length = 128 * self->page;
	self->p = map_aligned(HUGE, HUGE);
	ASSERT_NE(NULL, self->p);
	touch(self->p, self->length, 1);
	/* Caches know all of it. */
	ASSERT_TRUE(walker_agrees(&self->w, self->p, self->length));
	ASSERT_EQ(self->w.sum.pages, self->w.sum.writable);
}

FIXTURE_TEARDOWN(change)
{
	EXPECT_EQ(0, walker_close(&self->w));
}

TEST_F(change, agrees_after_mprotect)
{
	static const int prots[] = { PROT_READ, PROT_NONE, PROT_READ | PROT_WRITE,
				     PROT_READ | PROT_EXEC, PROT_EXEC, PROT_READ | PROT_WRITE };

	for (int i = 0; i < 6; i++) {
		ASSERT_EQ(0, mprotect(self->p + i * self->page, self->length / 2, prots[i]));
		EXPECT_TRUE(walker_agrees(&self->w, self->p, self->length));
	}
	EXPECT_TRUE(walker_report(&self->w, "mprotect", 1024));
}

TEST_F(change, agrees_after_munmap)
{
	for (int i = 0; i < 4; i++) {
		ASSERT_EQ(0, munmap(self->p + 4 * i * self->page, 32 * self->page));
		EXPECT_TRUE(walker_agrees(&self->w, self->p, self->length));
		ASSERT_EQ(self->p, mmap(self->p, 20 * self->page, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
		touch(self->p, 10 * self->page, 3);
		EXPECT_TRUE(walker_agrees(&self->w, self->p, self->length));
	}
	EXPECT_TRUE(walker_report(&self->w, "munmap", 1024));
}

TEST_F(change, agrees_after_mremap)
{
	for (int i = 0; i < 3; i++) {
		char *other = map_fresh(self->length);
		char *from = self->p;

		touch(other, self->length, 5);
		EXPECT_TRUE(walker_agrees(&self->w, other, self->length));
		ASSERT_EQ(other, mremap(from, self->length, self->length,
					MREMAP_MAYMOVE | MREMAP_FIXED, other));
		EXPECT_TRUE(walker_agrees(&self->w, other, self->length));
		EXPECT_TRUE(walker_agrees(&self->w, from, self->length));
		self->p = other;
	}
	EXPECT_TRUE(walker_report(&self->w, "mremap", 2 * 1024));
}

/* In a child: its own address space, of which the parent's pages are still part. */
static int child_agrees(char *p, size_t length, size_t page)
{
	struct walker w;

	if (walker_open(&w))
		return 1;
	if (!walker_agrees(&w, p, length) || w.sum.writable)
		return 2;
	touch(p, length / 2, 9);
	if (!walker_agrees(&w, p, length))
		return 3;
	return walker_report(&w, "child", 4 * length / page) ? 0 : 4;
}

TEST_F(change, agrees_after_fork)
{
	pid_t child;

	for (int i = 0; i < 2; i++) {
		fflush(stdout);
		child = fork();
		if (!child) {
			int ret = child_agrees(self->p, self->length, self->page);

			fflush(stdout);
			_exit(ret);
		}
		EXPECT_TRUE(walker_agrees(&self->w, self->p, self->length));
		touch(self->p + self->length / 4, self->length / 4, 4);
		EXPECT_TRUE(walker_agrees(&self->w, self->p, self->length));
		EXPECT_EQ(0, child_status(child));
		touch(self->p, self->length, 5);
		EXPECT_TRUE(walker_agrees(&self->w, self->p, self->length));
	}
	/* Copied on a write of the device, not of the process. */
	child = fork();
	if (!child) {
		pause();
		_exit(0);
	}
	ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(self->w.accel, self->p, 1, self->length / 2));
	EXPECT_TRUE(walker_agrees(&self->w, self->p, self->length));
	kill(child, SIGKILL);
	child_status(child);
	EXPECT_TRUE(walker_agrees(&self->w, self->p, self->length));
	EXPECT_TRUE(walker_report(&self->w, "fork", 2 * 1024));
}

/* Each page goes to another place in memory. */
TEST_F(change, agrees_after_migration)
{
	for (size_t at = 0; at < self->length; at += 4 * self->page)
		ASSERT_EQ(0, madvise(self->p + at, self->page, MADV_SOFT_OFFLINE));
	EXPECT_TRUE(walker_agrees(&self->w, self->p, self->length));
	EXPECT_EQ(self->w.sum.pages, self->w.sum.writable);
	/* Moved together into one huge page. */
	touch(self->p, HUGE, 1);
	EXPECT_TRUE(walker_agrees(&self->w, self->p, HUGE));
	ASSERT_EQ(0, madvise(self->p, HUGE, MADV_COLLAPSE));
	EXPECT_TRUE(walker_agrees(&self->w, self->p, HUGE));
	EXPECT_LE(2 * HUGE / self->page, self->w.sum.large);
	EXPECT_TRUE(walker_report(&self->w, "migration", 2 * 1024));
}

TEST_F(change, agrees_after_ksm)
{
	uint64_t end = now_ms() + PATIENCE_MS;

	for (size_t at = 0; at < self->length; at += self->page)
		memset(self->p + at, 0x5a + at / self->page % 4, self->page);
	ASSERT_EQ(0, madvise(self->p, self->length, MADV_MERGEABLE));
	ASSERT_EQ(0, write_file("0", KSM "sleep_millisecs"));
	ASSERT_EQ(0, write_file("1000", KSM "pages_to_scan"));
	ASSERT_EQ(0, write_file("1", KSM "run"));
	/* While pages are being merged, and when they are. */
	while (read_number(KSM "pages_sharing") < 100 && now_ms() < end)
		ASSERT_TRUE(walker_agrees(&self->w, self->p, self->length));
	EXPECT_LE(100, read_number(KSM "pages_sharing"));
	EXPECT_TRUE(walker_agrees(&self->w, self->p, self->length));
	touch(self->p, self->length / 2, 7);
	EXPECT_TRUE(walker_agrees(&self->w, self->p, self->length));
	ASSERT_EQ(0, write_file("2", KSM "run"));
	EXPECT_TRUE(walker_agrees(&self->w, self->p, self->length));
	ASSERT_EQ(0, write_file("0", KSM "run"));
	EXPECT_TRUE(walker_report(&self->w, "ksm", 1024));
}

TEST_F(change, agrees_after_thp_split)
{
	char range[80], *p = map_aligned(3 * HUGE, HUGE);

	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, madvise(p, 3 * HUGE, MADV_HUGEPAGE));
	touch(p, 3 * HUGE, 1);
	EXPECT_TRUE(walker_agrees(&self->w, p, 3 * HUGE));
	EXPECT_LE(2 * HUGE / self->page, self->w.sum.large);

	/* A hole; a border within; the kernel's own wish. */
	ASSERT_EQ(0, madvise(p + 9 * self->page, self->page, MADV_DONTNEED));
	ASSERT_EQ(0, mprotect(p + HUGE, HUGE / 2, PROT_READ));
	snprintf(range, sizeof(range), "%d,0x%lx,0x%lx", getpid(), (long)(p + 2 * HUGE),
		 (long)(p + 3 * HUGE));
	ASSERT_EQ(0, write_file(range, "/sys/kernel/debug/split_huge_pages"));
	EXPECT_TRUE(walker_agrees(&self->w, p, 3 * HUGE));
	ASSERT_EQ(0, munmap(p + HUGE / 2, HUGE));
	EXPECT_TRUE(walker_agrees(&self->w, p, 3 * HUGE));
	EXPECT_TRUE(walker_report(&self->w, "thp split", 3 * 1024));
}

/* The first page of a swap area of version 1. */
static int make_swap(const char *path)
{
	struct {
		char boot[1024];
		uint32_t version;
		uint32_t last_page;
		uint32_t bad_pages;
	} header = { .version = 1, .last_page = (4 << 20) / page_size() - 1 };
	int fd = open(path, O_RDWR | O_CLOEXEC);
	bool good;

	if (fd < 0)
		return -errno;
	good = pwrite(fd, &header, sizeof(header), 0) == sizeof(header) &&
	       pwrite(fd, "SWAPSPACE2", 10, page_size() - 10) == 10 && !fsync(fd);
	close(fd);
	return good ? 0 : -EIO;
}

TEST_F(change, agrees_after_swap)
{
	unsigned long long there;

	ASSERT_EQ(0, make_swap(SWAP_DEVICE));
	ASSERT_EQ(0, swapon(SWAP_DEVICE, 0));
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, madvise(self->p, self->length, MADV_PAGEOUT));
		there = self->w.sum.readable;
		EXPECT_TRUE(walker_agrees(&self->w, self->p, self->length));
		/* Most of it is gone. */
		EXPECT_GT(self->length / self->page, self->w.sum.readable - there);
		look(self->p, self->length / 4);
		touch(self->p + self->length / 2, self->length / 4, i);
		EXPECT_TRUE(walker_agrees(&self->w, self->p, self->length));
		/* The device brings the rest back. */
		ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_read(self->w.accel, self->p, self->length));
		EXPECT_TRUE(walker_agrees(&self->w, self->p, self->length));
	}
	EXPECT_EQ(0, swapoff(SWAP_DEVICE));
	EXPECT_TRUE(walker_agrees(&self->w, self->p, self->length));
	EXPECT_TRUE(walker_report(&self->w, "swap", 2 * 1024));
}

TEST_F(change, agrees_after_prot_none)
{
	for (int i = 0; i < 4; i++) {
		ASSERT_EQ(0, mprotect(self->p + i * self->length / 4, self->length / 4, PROT_NONE));
		EXPECT_TRUE(walker_agrees(&self->w, self->p, self->length));
	}
	ASSERT_EQ(0, mprotect(self->p, self->length, PROT_READ | PROT_WRITE));
	EXPECT_TRUE(walker_agrees(&self->w, self->p, self->length));
	EXPECT_TRUE(walker_report(&self->w, "PROT_NONE", 1024));
}

TEST_F(change, agrees_after_guard)
{
	for (int i = 0; i < 4; i++) {
		ASSERT_EQ(0, madvise(self->p + 7 * i * self->page, 16 * self->page,
				     MADV_GUARD_INSTALL));
		EXPECT_TRUE(walker_agrees(&self->w, self->p, self->length));
	}
	EXPECT_TRUE(write_refused(self->w.accel, self->p));
	ASSERT_EQ(0, madvise(self->p, self->length, MADV_GUARD_REMOVE));
	touch(self->p, 20 * self->page, 1);
	EXPECT_TRUE(walker_agrees(&self->w, self->p, self->length));
	EXPECT_TRUE(walker_report(&self->w, "guard", 1024));
}

TEST_HARNESS_MAIN
