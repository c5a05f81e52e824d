// SPDX-License-Identifier: GPL-2.0
/*
 * The memory of a process that is killed is back before any driver hears of it: who is
 * slow then, as the OOM killer found of mm_exit in 2020, keeps it from nobody.
 */

#include <signal.h>

#include "accel.h"
#include "meminfo.h"
#include "uffd.h"

#include "../../../../drivers/iommu/sva/tests/pin_file.h"

#define SIZE	(128 << 20)
/* The handler takes so long, in ms. */
#define SLOW	3000

FIXTURE(exit_memory) {
	int fd;
	int told[2];
};

FIXTURE_SETUP(exit_memory)
{
	self->fd = open("/dev/sva_test_pin", O_RDWR | O_CLOEXEC);
	if (self->fd < 0 && errno == ENOENT)
		SKIP(return, "the module with the test devices is not loaded");
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, pipe(self->told));
}

FIXTURE_TEARDOWN(exit_memory)
{
	close(self->fd);
}

TEST_F(exit_memory, back_before_the_handler)
{
	uint64_t begin;
	long before;
	pid_t child;
	char byte;

	child = fork();
	if (!child) {
		char *memory = map_fresh(SIZE);

		memset(memory, 1, SIZE);
		if (ioctl(self->fd, SVA_TEST_BIND_SLOW) || write(self->told[1], "", 1) != 1)
			_exit(1);
		pause();
	}
	close(self->told[1]);
	ASSERT_EQ(1, read(self->told[0], &byte, 1));
	before = anon_pages();
	begin = now_ms();
	EXPECT_EQ(0, kill(child, SIGKILL));
	EXPECT_EQ(-EINTR, child_status(child));
	while (before - anon_pages() < (SIZE >> 10) * 9 / 10 && now_ms() - begin < SLOW)
		usleep(10000);
	EXPECT_GT(SLOW / 2, now_ms() - begin);
	/* The unbind waits for the handler, which is at it still. */
	EXPECT_EQ(0, ioctl(self->fd, SVA_TEST_EXITING));
	close(self->fd);
	EXPECT_LE(SLOW, now_ms() - begin + 10);
	self->fd = -1;
}

/* One page that never comes does not hold up the end of the process. */
TEST_F(exit_memory, killed_with_a_job_on_a_page_that_never_comes)
{
	int fds[2], uffd;
	uint64_t begin;
	pid_t child;

	ASSERT_EQ(0, pipe(fds));
	child = fork();
	if (!child) {
		char *memory = map_fresh(SIZE), *area = map_fresh(page_size());
		struct job job = crc32_job(area, 8, 0);
		int fd = accel_open(0);

		memset(memory, 1, SIZE);
		uffd = uffd_for(area, page_size());
		if (uffd < 0 || accel_submit(fd, &job) <= 0 || !uffd_missed(uffd) ||
		    write(fds[1], "", 1) != 1)
			_exit(1);
		pause();
	}
	close(fds[1]);
	ASSERT_EQ(1, read(fds[0], &(char){ 0 }, 1));
	begin = now_ms();
	EXPECT_EQ(0, kill(child, SIGKILL));
	EXPECT_EQ(-EINTR, child_status(child));
	/* Far from the 10 s that the device itself would wait. */
	EXPECT_GT(5000, now_ms() - begin);
	TH_LOG("%llu ms", (unsigned long long)(now_ms() - begin));
	close(fds[0]);
}

TEST_HARNESS_MAIN
