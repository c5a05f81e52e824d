// SPDX-License-Identifier: GPL-2.0
/*
 * A process is killed for want of memory while it is bound, and its driver is slow to hear
 * of it: its memory is back first, and nobody else has to go. Memory runs out indeed.
 */

#include <signal.h>
#include <sys/prctl.h>

#include "accel.h"
#include "meminfo.h"

#include "../../../../drivers/iommu/sva/tests/pin_file.h"

/* What the device has pinned of the victim's memory. */
#define PINNED	(64 << 20)
/* What another process has, which is the next to go. */
#define OTHERS	(32 << 20)
/* The handler takes so long, in ms. */
#define SLOW	3000

/* How much the kernel would rather kill this process than others, up to 1000. */
static int prefer(int adj)
{
	FILE *file = fopen("/proc/self/oom_score_adj", "we");

	if (!file)
		return -1;
	fprintf(file, "%d", adj);
	return fclose(file);
}

FIXTURE(oom) {
	int fd;
	int told[2];
	pid_t other;
};

FIXTURE_SETUP(oom)
{
	/* It gives up if it gets no memory once. */
	if (!access("/sys/kernel/debug/kmemleak", F_OK))
		SKIP(return, "the kernel looks for leaks");
	self->fd = open("/dev/sva_test_pin", O_RDWR | O_CLOEXEC);
	if (self->fd < 0 && errno == ENOENT)
		SKIP(return, "the module with the test devices is not loaded");
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, pipe(self->told));
	ASSERT_EQ(0, prefer(-1000));
	self->other = fork();
	if (!self->other) {
		/* The test has the last one. */
		close(self->fd);
		if (prefer(500))
			_exit(1);
		memset(map_fresh(OTHERS), 1, OTHERS);
		if (write(self->told[1], "", 1) != 1)
			_exit(1);
		pause();
	}
	ASSERT_EQ(1, read(self->told[0], &(char){ 0 }, 1));
}

FIXTURE_TEARDOWN(oom)
{
	close(self->fd);
	kill(self->other, SIGKILL);
	waitpid(self->other, NULL, 0);
}

/* The victim: has memory pinned, and wants more than there is. */
static void want_all(int fd, int tell)
{
	struct sva_test_range range = { .len = PINNED };
	char *memory = map_fresh(PINNED);

	range.addr = (unsigned long)memory;
	prctl(PR_SET_NAME, "oom_victim");
	if (prefer(1000) || ioctl(fd, SVA_TEST_BIND_SLOW) || ioctl(fd, SVA_TEST_PIN, &range) ||
	    write(tell, "", 1) != 1)
		_exit(1);
	for (;;)
		memset(map_fresh(1 << 20), 1, 1 << 20);
}

TEST_F_TIMEOUT(oom, memory_is_back_before_the_handler, 100)
{
	long total = proc_number("/proc/meminfo", "MemTotal: %ld kB");
	uint64_t begin, back;
	pid_t victim;

	victim = fork();
	if (!victim)
		want_all(self->fd, self->told[1]);
	ASSERT_EQ(1, read(self->told[0], &(char){ 0 }, 1));
	EXPECT_EQ(-EINTR, child_status(victim));
	begin = now_ms();
	while (anon_pages() > total / 10 && now_ms() - begin < PATIENCE_MS)
		usleep(10000);
	back = now_ms();
	/* The unbind waits for the handler, which is at it still. */
	EXPECT_EQ(0, ioctl(self->fd, SVA_TEST_EXITING));
	close(self->fd);
	self->fd = -1;
	EXPECT_LE(SLOW / 3, now_ms() - back);
	/* The kernel's log is looked at for more than one, too. */
	EXPECT_EQ(0, waitpid(self->other, NULL, WNOHANG));
}

TEST_HARNESS_MAIN
