// SPDX-License-Identifier: GPL-2.0
/*
 * The walker, and what caches remember, agree with the kernel after compaction has
 * moved pages, under a device that is at work on them.
 *
 * A guest without sysctls has no switch for that, so compaction is given a reason: memory
 * is left with holes, and the pool of huge pages is to grow when no free block is as large.
 * The kernel then makes such blocks, at once or in the background, and what it moves for
 * that, and where to, is up to it: the test goes by what it sees of its own pages.
 */

#include "pagemap.h"
#include "trace.h"
#include "walker.h"

#define THP "/sys/kernel/mm/transparent_hugepage/hugepages-2048kB/enabled"
#define POOL "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
/* Memory in pieces of 64 KB, each among holes, and how many of them are to be moved. */
#define PIECES 512
#define WINDOW (8 * CONTIGUOUS)
#define ENOUGH 16
/* The kernel keeps half of this to itself when memory is short: it is not to get there. */
#define RESERVE (64 * HUGE)
/* How often the pool is to grow. */
#define PATIENCE 32
/* The device's jobs between two looks. */
#define BATCH 32
/* Longer than the kernel's background compaction sleeps. */
#define BACKGROUND_MS 1000

struct piece {
	char *p;
	/* Where the device adds, in the first page, and what it has added. */
	uint64_t *sum, added;
	/* The first page's place in memory at first, and whether it has left it. */
	uint64_t frame;
	bool moved;
};

FIXTURE(compaction) {
	struct walker w;
	int pagemap;
	long pool;
	struct piece pieces[PIECES];
};

/* The number of the page frame at @p, or 0. */
static uint64_t frame(int pagemap, const char *p)
{
	uint64_t entry;

	if (!pagemap_read(pagemap, p, &entry, 1))
		return 0;
	return entry >> PRESENT & 1 ? entry & FRAME : 0;
}

static int set_pool(long count)
{
	char text[24];

	snprintf(text, sizeof(text), "%ld", count);
	return write_file(text, POOL);
}

FIXTURE_SETUP(compaction)
{
	uint64_t random = random_seed();
	char *p = map_aligned(PIECES * WINDOW, HUGE);

	self->pool = read_number(POOL);
	if (self->pool < 0)
		SKIP(return, "this kernel has no huge pages of 2 MB");
	ASSERT_EQ(0, walker_open(&self->w));
	self->pagemap = pagemap_open();
	ASSERT_LE(0, self->pagemap);
	ASSERT_EQ(0, trace_begin());
	ASSERT_EQ(0, trace_write("events/sva/enable", "0"));
	ASSERT_EQ(0, trace_write("events/migrate/mm_migrate_pages/enable", "1"));

	ASSERT_EQ(0, allow_contiguous_folios());
	ASSERT_EQ(0, write_file("never", THP));
	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, madvise(p, PIECES * WINDOW, MADV_HUGEPAGE));
	touch(p, PIECES * WINDOW, 1);
	/*
	 * At random, as compaction looks for holes in strides: of a regular pattern it
	 * may see none.
	 */
	for (struct piece *piece = self->pieces; piece < self->pieces + PIECES; piece++) {
		size_t before = random_next(&random) % 8 * CONTIGUOUS;

		piece->p = p + before;
		ASSERT_EQ(0, madvise(p, before, MADV_DONTNEED));
		ASSERT_EQ(0, madvise(piece->p + CONTIGUOUS, WINDOW - before - CONTIGUOUS,
				     MADV_DONTNEED));
		piece->sum = (uint64_t *)piece->p + 1;
		piece->frame = frame(self->pagemap, piece->p);
		ASSERT_NE(0, piece->frame);
		p += WINDOW;
	}
}

FIXTURE_TEARDOWN(compaction)
{
	EXPECT_EQ(0, set_pool(self->pool));
	EXPECT_EQ(0, write_file("inherit", THP));
	EXPECT_EQ(0, walker_close(&self->w));
	close(self->pagemap);
	trace_end();
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
		char *at = strstr(line, "zone "), *end;

		if (!at)
			continue;
		/* The zone's name, then a number for each order. */
		at += strlen("zone ");
		at += strspn(at, " ");
		at += strcspn(at, " ");
		for (int order = 0;; order++, at = end) {
			long count = strtol(at, &end, 10);

			if (end == at)
				break;
			if (page_size() << order >= HUGE)
				blocks += count * ((page_size() << order) / HUGE);
		}
	}
	fclose(file);
	return blocks;
}

/* How many pages compaction has moved, by the kernel's own account. */
static long compacted(void)
{
	FILE *file = fopen(TRACE_BUFFER "/trace", "re");
	char line[512];
	long pages = 0;

	if (!file)
		return -errno;
	while (fgets(line, sizeof(line), file))
		if (trace_is(line, "reason", "compaction"))
			pages += trace_number(line, "nr_succeeded");
	fclose(file);
	return pages;
}

/*
 * Has the pool take all free blocks, and one more than there are. Returns 1 if the kernel
 * could make that one, 0 if it could not, or a negative errno.
 */
static int ask_for_a_block(void)
{
	long blocks = free_blocks(), pool = read_number(POOL);
	int ret;

	if (blocks < 0 || pool < 0)
		return blocks < 0 ? blocks : pool;
	if (sysconf(_SC_AVPHYS_PAGES) * page_size() < blocks * HUGE + RESERVE)
		return 0;
	ret = set_pool(pool + blocks + 1);
	return ret ? ret : read_number(POOL) > pool + blocks;
}

/* The device adds one in each of @count pieces; whether it could. */
static bool device_adds(int accel, struct piece *pieces, size_t count)
{
	for (struct piece *piece = pieces; piece < pieces + count; piece++) {
		struct job job = add_job(piece->sum, 1);

		if (accel_run(accel, &job) != MOCK_ACCEL_SUCCESS)
			return false;
		piece->added++;
	}
	return true;
}

static int count_moved(int pagemap, struct piece *pieces)
{
	int moved = 0;

	for (struct piece *piece = pieces; piece < pieces + PIECES; piece++) {
		piece->moved = frame(pagemap, piece->p) != piece->frame;
		moved += piece->moved;
	}
	return moved;
}

/* Compares the first page of each piece. */
static bool pieces_agree(struct walker *w, const struct piece *pieces)
{
	for (const struct piece *piece = pieces; piece < pieces + PIECES; piece++)
		if (!walker_agrees(w, piece->p, page_size()))
			return false;
	return true;
}

TEST_F_TIMEOUT(compaction, agrees_after_compaction, 110)
{
	int accel = self->w.accel, moved = 0, asked = 0, batch = 0, looked_at = 0;
	char *copy = map_fresh(CONTIGUOUS);

	ASSERT_NE(NULL, copy);
	/* Caches know them. */
	ASSERT_TRUE(pieces_agree(&self->w, self->pieces));
	while (moved < ENOUGH && asked < PATIENCE) {
		int got = ask_for_a_block();
		/* Who asks too often keeps the kernel from making them in the background. */
		uint64_t pause_end = now_ms() + (got ? 0 : BACKGROUND_MS);

		ASSERT_LE(0, got);
		asked++;
		do {
			struct piece *some = self->pieces + batch++ % (PIECES / BATCH) * BATCH;

			ASSERT_TRUE(device_adds(accel, some, BATCH));
			moved = count_moved(self->pagemap, self->pieces);
		} while (moved < ENOUGH && now_ms() < pause_end);
	}
	printf("# %d of %d pieces were moved, and %ld pages in all; %d blocks were asked for\n",
	       moved, PIECES, compacted(), asked);
	/* It may be busy elsewhere; that it moves none of them would be odd. */
	EXPECT_LE(1, moved);
	EXPECT_LE(moved, compacted());

	EXPECT_TRUE(pieces_agree(&self->w, self->pieces));
	for (struct piece *piece = self->pieces; piece < self->pieces + PIECES; piece++) {
		struct job job = copy_job(copy, piece->p, CONTIGUOUS);

		/* Nothing was lost. */
		EXPECT_EQ(piece->added, *piece->sum);
		if (!piece->moved || looked_at++ >= ENOUGH)
			continue;
		EXPECT_TRUE(walker_agrees(&self->w, piece->p, CONTIGUOUS));
		/* Each sees what the other writes. */
		ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_run(accel, &job));
		EXPECT_EQ(0, memcmp(copy, piece->p, CONTIGUOUS));
		ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(accel, piece->p, asked, CONTIGUOUS));
		EXPECT_TRUE(all_words((uint64_t *)piece->p, asked, CONTIGUOUS));
	}
	EXPECT_TRUE(walker_report(&self->w, "compaction", 2 * 2 * PIECES));
}

TEST_HARNESS_MAIN
