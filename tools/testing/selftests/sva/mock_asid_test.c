// SPDX-License-Identifier: GPL-2.0
/* An SMMU with ASIDs of 8 bits: when they are used up, processes are refused, and none is lost. */

#include <signal.h>
#include <sys/prctl.h>

#include "accel.h"
#include "configfs.h"

#define OWN MOCK_CONFIG "/asid8"
#define BEHIND OWN "/device"
#define ASIDS 255

FIXTURE(asid) {
	int number;
};

FIXTURE_SETUP(asid)
{
	ASSERT_EQ(0, config_make(OWN, "asid16", "0", "online", "1", NULL));
	ASSERT_EQ(0, config_make(BEHIND, "online", "1", NULL));
	self->number = config_number(BEHIND);
	ASSERT_LE(0, self->number);
}

FIXTURE_TEARDOWN(asid)
{
	EXPECT_EQ(0, config_rmdir(BEHIND));
	EXPECT_EQ(0, config_rmdir(OWN));
}

/* Opens the device, does a job, tells how that was, and stays until it is killed. */
static void holder(int number, int tell)
{
	uint64_t word = 0;
	int fd = accel_open(number), ret = fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (fd >= 0)
		ret = accel_fill(fd, &word, 7, 8) == MOCK_ACCEL_SUCCESS && word == 7 ? 0 : -EIO;
	if (write(tell, &ret, sizeof(ret)) == sizeof(ret) && !ret)
		pause();
	_exit(0);
}

/* A new process that does that; 0, or its error. */
static int hold(int number, pid_t *child)
{
	int ends[2], ret = -EPIPE;

	if (pipe(ends))
		return -errno;
	*child = fork();
	if (!*child)
		holder(number, ends[1]);
	close(ends[1]);
	if (read(ends[0], &ret, sizeof(ret)) != sizeof(ret))
		ret = -EPIPE;
	close(ends[0]);
	return ret;
}

static void let_go(pid_t child)
{
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

/* An address space is there a little longer than its process. */
static int hold_soon(int number, pid_t *child)
{
	uint64_t end = now_ms() + PATIENCE_MS;
	int ret;

	while ((ret = hold(number, child)) == -ENOSPC && now_ms() < end) {
		waitpid(*child, NULL, 0);
		usleep(1000);
	}
	return ret;
}

TEST_F_TIMEOUT(asid, asid_exhaustion, 100)
{
	pid_t children[ASIDS], more;
	uint64_t word;
	int held = 0, ret, fd;

	while (held < ASIDS && !(ret = hold(self->number, &children[held])))
		held++;
	ASSERT_EQ(ASIDS, held);
	/* One more is refused, as often as it tries. */
	for (int i = 0; i < 20; i++) {
		EXPECT_EQ(-ENOSPC, hold(self->number, &more));
		waitpid(more, NULL, 0);
		EXPECT_EQ(-ENOSPC, accel_open(self->number));
	}
	/* Another SMMU has its own. */
	fd = accel_open(0);
	ASSERT_LE(0, fd);
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(fd, &word, 1, 8));
	close(fd);

	/* One goes, one comes. */
	for (int i = 0; i < 5; i++) {
		let_go(children[i]);
		EXPECT_EQ(0, hold_soon(self->number, &children[i]));
	}
	EXPECT_EQ(-ENOSPC, accel_open(self->number));
	for (int i = 0; i < held; i++)
		let_go(children[i]);
	ASSERT_EQ(0, hold_soon(self->number, &more));
	let_go(more);
}

TEST_HARNESS_MAIN
