// SPDX-License-Identifier: GPL-2.0
/*
 * Bonds that sleep between the jobs of their devices: no job fails by that, and none reaches memory
 * that is another process's by now. With JOBS=1000000 in the environment for a long time.
 */

#include <pthread.h>

#include "configfs_fixture.h"
#include "strict.h"

static size_t jobs(void)
{
	const char *jobs = getenv("JOBS");

	return jobs ? strtoul(jobs, NULL, 0) : 2000;
}

/* What has the process's translations flushed until it is told to stop. */
struct flusher {
	pthread_t thread;
	bool stop;
	unsigned int pause;
};

static void *flush(void *arg)
{
	struct flusher *flusher = arg;
	volatile char *page = map_fresh(page_size());

	while (page && !__atomic_load_n(&flusher->stop, __ATOMIC_RELAXED)) {
		*page = 1;
		madvise((void *)page, page_size(), MADV_DONTNEED);
		/* A different mix of flushes and jobs each time. */
		if (flusher->pause++ % 64 == 0)
			usleep(flusher->pause / 64 % 8 * 100);
	}
	return NULL;
}

/* A device whose bonds sleep after @flushes; it stalls, or asks for pages. */
static int make(const char *dir, bool stalls, const char *flushes)
{
	const char *asks = stalls ? "0" : "1";

	return config_make(dir, "ats", asks, "pri", asks, "stall", stalls ? "1" : "0",
			   "sleep_after", flushes, "online", "1", NULL);
}

static void count_jobs(struct __test_metadata *_metadata, bool stalls, const char *flushes)
{
	struct flusher flusher = { };
	size_t failed = 0, wrong = 0;
	volatile uint64_t *area;
	int fd;

	ASSERT_EQ(0, make(FIRST, stalls, flushes));
	fd = open_accel(FIRST);
	ASSERT_LE(0, fd);
	area = map_fresh(8 * page_size());
	ASSERT_NE(NULL, area);
	ASSERT_EQ(0, pthread_create(&flusher.thread, NULL, flush, &flusher));
	for (size_t i = 0; i < jobs(); i++) {
		volatile uint64_t *word = area + i % 8 * page_size() / 8;

		failed += accel_fill(fd, (void *)word, i, 8) != MOCK_ACCEL_SUCCESS;
		wrong += *word != i;
	}
	__atomic_store_n(&flusher.stop, true, __ATOMIC_RELAXED);
	ASSERT_EQ(0, pthread_join(flusher.thread, NULL));
	EXPECT_EQ(0, failed);
	EXPECT_EQ(0, wrong);
	EXPECT_EQ(0, strict_scan("smmu0"));
	close(fd);
}

TEST_F_TIMEOUT(configfs, no_job_fails_of_a_device_that_asks, 3600)
{
	count_jobs(_metadata, false, "1");
}

TEST_F_TIMEOUT(configfs, no_job_fails_of_a_device_that_asks_less_often, 3600)
{
	count_jobs(_metadata, false, "8");
}

TEST_F_TIMEOUT(configfs, no_job_fails_of_a_device_that_stalls, 3600)
{
	count_jobs(_metadata, true, "1");
}

/*
 * A page that was shared with a child by fork() is the child's once the parent has one of its own.
 * Two devices, of which one sleeps when the other has brought translations into the TLB.
 */
TEST_F(configfs, a_page_of_the_child_is_never_written)
{
	volatile uint64_t *word = map_fresh(page_size());
	int fd[2], status;

	ASSERT_NE(NULL, word);
	ASSERT_EQ(0, make(FIRST, false, "1"));
	ASSERT_EQ(0, make(SECOND, false, "100"));
	fd[0] = open_accel(FIRST);
	fd[1] = open_accel(SECOND);
	ASSERT_LE(0, fd[0]);
	ASSERT_LE(0, fd[1]);
	for (uint64_t i = 1; i < 100; i++) {
		uint64_t mine = 2 * i;
		pid_t child;

		*word = mine;
		/* The second reads it, and perhaps the first. */
		ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_read(fd[1], (void *)word, 8));
		if (i % 3 == 0)
			ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_read(fd[0], (void *)word, 8));
		child = fork();
		ASSERT_LE(0, child);
		if (!child) {
			for (int look = 0; look < 20; look++) {
				if (*word != mine)
					_exit(1);
				usleep(50);
			}
			_exit(0);
		}
		/* It is the parent's own from here on. */
		*word = 0;
		ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(fd[i % 2], (void *)word, mine + 1, 8));
		EXPECT_EQ(mine + 1, *word);
		ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(fd[1 - i % 2], (void *)word, i, 8));
		EXPECT_EQ(i, *word);
		ASSERT_EQ(child, waitpid(child, &status, 0));
		EXPECT_EQ(0, status);
	}
	EXPECT_EQ(0, strict_scan("smmu0"));
	close(fd[0]);
	close(fd[1]);
}

TEST_HARNESS_MAIN
