// SPDX-License-Identifier: GPL-2.0
/* The walker agrees with the kernel on every kind of memory. */

#include "walker.h"

FIXTURE(walker) {
	struct walker w;
	size_t page;
};

FIXTURE_SETUP(walker)
{
	ASSERT_EQ(0, walker_open(&self->w));
	self->page = page_size();
}

FIXTURE_TEARDOWN(walker)
{
	EXPECT_EQ(0, walker_close(&self->w));
}

TEST_F(walker, agrees_with_gup_anonymous)
{
	const size_t length = 512 * self->page;
	char *p = map_fresh(length);

	ASSERT_NE(NULL, p);
	/* Nothing there yet; zeros where it was read; pages of its own. */
	EXPECT_TRUE(walker_agrees(&self->w, p, length));
	EXPECT_EQ(0, self->w.sum.readable);
	look(p, length / 2);
	EXPECT_TRUE(walker_agrees(&self->w, p, length));
	EXPECT_EQ(0, self->w.sum.writable);
	touch(p + length / 4, length / 2, 1);
	EXPECT_TRUE(walker_agrees(&self->w, p, length));
	/* And what the device itself has faulted in. */
	ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(self->w.accel, p, 1, length));
	EXPECT_TRUE(walker_agrees(&self->w, p, length));
	EXPECT_EQ(2 * 512 + 2 * 256, self->w.sum.writable);
	EXPECT_TRUE(walker_report(&self->w, "anonymous", 4 * 1024));
}

static void agrees_on_file(struct __test_metadata *_metadata, struct walker *w, int fd,
			   size_t length)
{
	char *shared = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	char *private = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	char *code = mmap(NULL, length, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);

	ASSERT_NE(MAP_FAILED, shared);
	ASSERT_NE(MAP_FAILED, private);
	ASSERT_NE(MAP_FAILED, code);
	look(shared, length);
	look(private, length);
	look(code, length / 2);
	EXPECT_TRUE(walker_agrees(w, shared, length));
	EXPECT_TRUE(walker_agrees(w, private, length));
	EXPECT_TRUE(walker_agrees(w, code, length));
	EXPECT_LT(0, w->sum.executable);

	touch(shared, length / 2, 7);
	touch(private + length / 4, length / 2, 9);
	EXPECT_TRUE(walker_agrees(w, shared, length));
	EXPECT_TRUE(walker_agrees(w, private, length));
	/* Written back, the pages of a file on a disk are write-protected again. */
	ASSERT_EQ(0, msync(shared, length, MS_SYNC));
	EXPECT_TRUE(walker_agrees(w, shared, length));
	ASSERT_EQ(0, madvise(private, length / 2, MADV_DONTNEED));
	EXPECT_TRUE(walker_agrees(w, private, length));
	munmap(shared, length);
	munmap(private, length);
	munmap(code, length);
	EXPECT_TRUE(walker_agrees(w, shared, length));
}

TEST_F(walker, agrees_with_gup_tmpfs_file)
{
	const size_t length = 256 * self->page;
	int fd = memfd_create("walker", MFD_CLOEXEC);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, length));
	agrees_on_file(_metadata, &self->w, fd, length);
	EXPECT_TRUE(walker_report(&self->w, "tmpfs", 2 * 1024));
	/* Its holes were never written. */
	ASSERT_EQ(0, ftruncate(fd, 0));
	close(fd);
}

TEST_F(walker, agrees_with_gup_disk_file)
{
	const size_t length = 256 * self->page;
	int fd = open("/dev/ram1", O_RDWR | O_CLOEXEC);

	ASSERT_LE(0, fd);
	agrees_on_file(_metadata, &self->w, fd, length);
	EXPECT_TRUE(walker_report(&self->w, "disk", 2 * 1024));
	close(fd);
}

TEST_F(walker, agrees_with_gup_transparent_huge_pages)
{
	const size_t length = 2 * HUGE;
	char *p = map_aligned(length, HUGE);

	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, madvise(p, length, MADV_HUGEPAGE));
	touch(p, length, 1);
	EXPECT_TRUE(walker_agrees(&self->w, p, length));
	EXPECT_LE(HUGE / self->page, self->w.sum.large);
	ASSERT_EQ(0, mprotect(p, HUGE, PROT_READ));
	EXPECT_TRUE(walker_agrees(&self->w, p, length));
	EXPECT_TRUE(walker_report(&self->w, "thp", 4 * length / self->page));
}

TEST_F(walker, agrees_with_gup_contiguous_folios)
{
	const size_t length = 32 * CONTIGUOUS;
	char *p = map_aligned(length, CONTIGUOUS);

	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, allow_contiguous_folios());
	ASSERT_EQ(0, madvise(p, length, MADV_HUGEPAGE));
	touch(p, length, 1);
	EXPECT_TRUE(walker_agrees(&self->w, p, length));
	/* Looked at twice, at least half of it in folios. */
	EXPECT_LE(length / self->page, self->w.sum.folios);
	/* The kernel gave the hint, and the walker takes it. */
	EXPECT_LE(length / self->page, self->w.sum.large);
	/* One page of a run is taken out, one is read-only, one is somebody else's. */
	for (size_t at = 0; at + 3 * CONTIGUOUS <= length; at += 3 * CONTIGUOUS) {
		ASSERT_EQ(0, madvise(p + at + 3 * self->page, self->page, MADV_DONTNEED));
		ASSERT_EQ(0, mprotect(p + at + CONTIGUOUS, self->page, PROT_READ));
	}
	EXPECT_TRUE(walker_agrees(&self->w, p, length));
	EXPECT_TRUE(walker_report(&self->w, "contiguous", 4 * length / self->page));
}

/* 64 KB are contiguous entries of the last level, 32 MB such of the level above. */
FIXTURE(hugetlb) {
	struct walker w;
};

FIXTURE_VARIANT(hugetlb) {
	const char *name;
	int shift;
	size_t count;
};

FIXTURE_VARIANT_ADD(hugetlb, contiguous_64k) {
	.name = "hugetlb 64K",
	.shift = 16,
	.count = 16,
};

FIXTURE_VARIANT_ADD(hugetlb, block_2m) {
	.name = "hugetlb 2M",
	.shift = 21,
	.count = 3,
};

FIXTURE_VARIANT_ADD(hugetlb, contiguous_32m) {
	.name = "hugetlb 32M",
	.shift = 25,
	.count = 2,
};

FIXTURE_SETUP(hugetlb)
{
	ASSERT_EQ(0, walker_open(&self->w));
	if (!reserve_hugetlb(1ul << variant->shift >> 10, variant->count))
		SKIP(return, "no huge pages of this size");
}

FIXTURE_TEARDOWN(hugetlb)
{
	EXPECT_EQ(0, walker_close(&self->w));
}

TEST_F(hugetlb, agrees_with_gup)
{
	const size_t size = 1ul << variant->shift, length = size * variant->count;
	/* Of the largest, pieces: everywhere, and across the borders. */
	const size_t piece = 16 * page_size(), step = size > HUGE ? size / 16 : piece;
	char *p = map_hugetlb(length, variant->shift);

	ASSERT_NE(NULL, p);
	for (size_t at = 0; at + size < length; at += size)
		p[at + 1] = 1;
	for (int round = 0; round < 3; round++) {
		for (size_t at = 0; at < length; at += step)
			ASSERT_TRUE(walker_agrees(&self->w, p + at, piece));
		for (size_t at = size; at < length; at += size)
			ASSERT_TRUE(walker_agrees(&self->w, p + at - piece / 2, piece));
		ASSERT_EQ(0, round == 0 ? mprotect(p, size, PROT_READ) : munmap(p, size));
	}
	EXPECT_LE(piece / page_size(), self->w.sum.folios);
	EXPECT_LE(piece / page_size(), self->w.sum.large);
	EXPECT_TRUE(walker_report(&self->w, variant->name, 1024));
	munmap(p + size, length - size);
}

TEST_F(walker, agrees_with_gup_protections)
{
	const size_t length = 32 * self->page;

	for (int prot = 0; prot < 8; prot++) {
		char *cold = mmap(NULL, length, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		char *own = map_fresh(length);
		char *read = map_fresh(length);

		ASSERT_NE(MAP_FAILED, cold);
		touch(own, length, 1);
		look(read, length);
		ASSERT_EQ(0, mprotect(own, length, prot));
		ASSERT_EQ(0, mprotect(read, length, prot));
		EXPECT_TRUE(walker_agrees(&self->w, cold, length));
		EXPECT_TRUE(walker_agrees(&self->w, own, length));
		EXPECT_TRUE(walker_agrees(&self->w, read, length));
	}
	EXPECT_LT(0, self->w.sum.executable);
	EXPECT_GT(self->w.sum.readable, self->w.sum.writable);
	EXPECT_TRUE(walker_report(&self->w, "protections", 1024));
}

/* Code, data, stack, heap, libraries: whatever the process has. */
TEST_F(walker, agrees_with_gup_whole_process)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[256];

	ASSERT_NE(NULL, maps);
	while (fgets(line, sizeof(line), maps)) {
		unsigned long start, end;

		/* The kernel refuses to tell where its own clock pages are. */
		if (strstr(line, "[vvar") || sscanf(line, "%lx-%lx", &start, &end) != 2)
			continue;
		EXPECT_TRUE(walker_agrees(&self->w, (void *)start, end - start));
	}
	fclose(maps);
	EXPECT_LT(0, self->w.sum.executable);
	EXPECT_TRUE(walker_report(&self->w, "process", 128));
}

TEST_HARNESS_MAIN
