// SPDX-License-Identifier: GPL-2.0
/*
 * The walker, and what caches remember, agree with the kernel after compaction has
 * moved pages: those of a device that is at work.
 *
 * A guest without sysctls has no switch for that. So memory is cut into pieces of 64 KB,
 * every other one free, and huge pages are asked for that are only to be had if the kernel
 * moves the rest together. Smaller pieces would stay in lists of their own when they are
 * freed, where compaction does not look for room.
 */

#include "walker.h"

#define THP "/sys/kernel/mm/transparent_hugepage/hugepages-2048kB/enabled"
#define POOL "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
/* Memory in pieces, in huge pages, and how many shall be made of it. */
#define CHUNKS 112
#define WANTED 32
/* Of every other chunk the first two pieces are looked at, one of which is there. */
#define WINDOWS (CHUNKS / 2)
#define WINDOW (2 * CONTIGUOUS)

/* How many huge pages there shall be; there may be fewer afterwards. */
static int set_pool(long count)
{
	char text[24];

	snprintf(text, sizeof(text), "%ld", count);
	return write_file(text, POOL);
}

FIXTURE(compaction) {
	struct walker w;
	size_t page;
	char *p;
	int pagemap;
	long pool;
};

FIXTURE_SETUP(compaction)
{
	self->page = page_size();
	self->pool = read_number(POOL);
	if (self->pool < 0)
		SKIP(return, "this kernel has no huge pages of 2 MB");
	self->pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, self->pagemap);
	ASSERT_EQ(0, allow_contiguous_folios());
	ASSERT_EQ(0, write_file("never", THP));
	self->p = map_aligned(CHUNKS * HUGE, HUGE);
	ASSERT_NE(NULL, self->p);
	ASSERT_EQ(0, madvise(self->p, CHUNKS * HUGE, MADV_HUGEPAGE));
	touch(self->p, CHUNKS * HUGE, 1);
	for (size_t at = 0; at < CHUNKS * HUGE; at += WINDOW)
		ASSERT_EQ(0, madvise(self->p + at, CONTIGUOUS, MADV_DONTNEED));
	ASSERT_EQ(0, walker_open(&self->w));
}

FIXTURE_TEARDOWN(compaction)
{
	EXPECT_EQ(0, set_pool(self->pool));
	EXPECT_EQ(0, write_file("inherit", THP));
	EXPECT_EQ(0, walker_close(&self->w));
	close(self->pagemap);
}

/* How many free blocks of 2 MB or more there are, in units of 2 MB. */
static long free_blocks(void)
{
	FILE *file = fopen("/proc/buddyinfo", "re");
	long blocks = 0;
	char line[512];

	if (!file)
		return -errno;
	while (fgets(line, sizeof(line), file)) {
		char *at = strstr(line, "zone");
		int used;
		long count;

		if (!at || sscanf(at, "zone %*s%n", &used))
			continue;
		at += used;
		for (int order = 0; sscanf(at, "%ld%n", &count, &used) == 1; order++, at += used)
			if (page_size() << order >= HUGE)
				blocks += count * ((page_size() << order) / HUGE);
	}
	fclose(file);
	return blocks;
}

/* The number of the page frame at @p, or 0. */
static uint64_t frame(int pagemap, const char *p)
{
	uint64_t entry;

	if (pread(pagemap, &entry, sizeof(entry), (uintptr_t)p / page_size() * sizeof(entry)) !=
	    sizeof(entry))
		return 0;
	return entry >> 63 ? entry & ((1ull << 55) - 1) : 0;
}

/* Fills in the frames of all that is looked at; how many there are. */
static unsigned long frames(int pagemap, const char *p, uint64_t *all)
{
	unsigned long there = 0;

	for (size_t i = 0; i < WINDOWS; i++)
		for (size_t at = 0; at < WINDOW; at += page_size()) {
			*all = frame(pagemap, p + 2 * i * HUGE + at);
			there += !!*all++;
		}
	return there;
}

static bool windows_agree(struct walker *w, char *p)
{
	for (size_t i = 0; i < WINDOWS; i++)
		if (!walker_agrees(w, p + 2 * i * HUGE, WINDOW))
			return false;
	return true;
}

/* The kernel has to do with almost all memory, which takes time where all is checked. */
TEST_F_TIMEOUT(compaction, agrees_after_compaction, 100)
{
	const size_t count = WINDOWS * WINDOW / self->page;
	uint64_t *before = calloc(count, sizeof(*before)), *now = calloc(count, sizeof(*now));
	struct endless *busy = (struct endless *)(self->p + CONTIGUOUS);
	unsigned long there, moved = 0;
	long wanted, got = 0;

	/* Caches know all of it. */
	ASSERT_TRUE(windows_agree(&self->w, self->p));
	there = frames(self->pagemap, self->p, before);
	ASSERT_EQ(count / 2, there);

	for (int tries = 0; moved < there / 16 && tries < 10; tries++) {
		int worker = accel_open(0);

		/* Pages are moved under a device that is at work. */
		ASSERT_LE(0, worker);
		ASSERT_LT(0, accel_submit_endless(worker, busy));
		/* Those that are free come first; the rest is up to compaction. */
		wanted = self->pool + free_blocks() + WANTED;
		ASSERT_EQ(0, set_pool(wanted));
		got = read_number(POOL);
		ASSERT_EQ(0, set_pool(self->pool));
		close(worker);

		EXPECT_TRUE(windows_agree(&self->w, self->p));
		ASSERT_EQ(there, frames(self->pagemap, self->p, now));
		moved = 0;
		for (size_t i = 0; i < count; i++)
			moved += now[i] != before[i];
	}
	printf("# %lu of %lu pages were moved, for %ld huge pages of %ld\n", moved, there, got,
	       wanted);
	EXPECT_LE(there / 16, moved);
	EXPECT_TRUE(walker_report(&self->w, "compaction", 2 * there));
}

TEST_HARNESS_MAIN
