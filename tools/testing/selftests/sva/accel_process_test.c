// SPDX-License-Identifier: GPL-2.0
/* fork, exec, exit and kill: whose memory is it? */

#include <signal.h>

#include "accel.h"
#include "debugfs.h"

#define DEVICE "mock_accel.0"

FIXTURE(process) {
	int fd;
	unsigned int pasid;
	/* Shared with children; see post() and seen(). */
	uint64_t *mailbox;
};

static void post(uint64_t *mailbox, uint64_t value)
{
	__atomic_store_n(mailbox, value, __ATOMIC_RELEASE);
}

static uint64_t seen(const uint64_t *mailbox)
{
	return __atomic_load_n(mailbox, __ATOMIC_ACQUIRE);
}

FIXTURE_SETUP(process)
{
	self->fd = accel_open(0);
	ASSERT_LE(0, self->fd);
	self->pasid = accel_pasid(self->fd);
	self->mailbox = mmap(NULL, page_size(), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->mailbox);
}

FIXTURE_TEARDOWN(process)
{
	close(self->fd);
}

/* What a process finds that has the file, but other memory. */
static int use_of_a_foreign_file(int fd, unsigned int pasid)
{
	struct mock_accel_completion done;
	uint64_t word = 0;
	struct job job = fill_job(&word, 1, 8);

	if (accel_submit(fd, &job) != -EPERM)
		return 1;
	if (accel_wait(fd, 1, &done) != -EPERM)
		return 2;
	if (accel_pasid(fd) != pasid)
		return 3;
	return 0;
}

TEST_F(process, forked_child_is_refused)
{
	uint64_t word = 0;
	pid_t child = fork();

	if (!child)
		_exit(use_of_a_foreign_file(self->fd, self->pasid));
	EXPECT_EQ(0, child_status(child));
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(self->fd, &word, 1, 8));
	EXPECT_EQ(1, word);
}

TEST_F(process, executed_program_is_refused)
{
	char fd[16], pasid[16];
	pid_t child;

	ASSERT_EQ(0, fcntl(self->fd, F_SETFD, 0));
	snprintf(fd, sizeof(fd), "%d", self->fd);
	snprintf(pasid, sizeof(pasid), "%u", self->pasid);
	child = fork();
	if (!child) {
		execl("/proc/self/exe", "accel_process_test", "--foreign", fd, pasid, NULL);
		_exit(99);
	}
	EXPECT_EQ(0, child_status(child));
}

/* The opener itself executes a program: the memory that was bound is gone. */
TEST_F(process, exec_ends_the_bond)
{
	pid_t child = fork();

	if (!child) {
		int fd = open("/dev/mock_accel0", O_RDWR);
		char number[16], pasid[16];

		post(&self->mailbox[0], accel_pasid(fd));
		snprintf(number, sizeof(number), "%d", fd);
		snprintf(pasid, sizeof(pasid), "%u", accel_pasid(fd));
		execl("/proc/self/exe", "accel_process_test", "--foreign", number, pasid, NULL);
		_exit(99);
	}
	EXPECT_EQ(0, child_status(child));
	EXPECT_NE(0, seen(&self->mailbox[0]));
	EXPECT_TRUE(bond_vanishes(DEVICE, seen(&self->mailbox[0])));
}

TEST_F(process, child_has_a_pasid_of_its_own)
{
	uint64_t *word = map_fresh(page_size());
	pid_t child;

	*word = 1;
	child = fork();
	if (!child) {
		int fd = accel_open(0);

		if (fd < 0 || accel_pasid(fd) == self->pasid || !accel_pasid(fd))
			_exit(1);
		if (accel_fill(fd, word, 2, 8) != MOCK_ACCEL_SUCCESS || *word != 2)
			_exit(2);
		_exit(0);
	}
	EXPECT_EQ(0, child_status(child));
	EXPECT_EQ(1, *word);
}

TEST_F(process, fork_keeps_what_was_there)
{
	const size_t length = 16 * page_size();
	uint64_t *memory = map_fresh(length);
	pid_t child;

	ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(self->fd, memory, 1, length));
	child = fork();
	if (!child) {
		post(&self->mailbox[0], 1);
		while (seen(&self->mailbox[0]) != 2)
			;
		_exit(!all_words(memory, 1, length));
	}
	while (seen(&self->mailbox[0]) != 1)
		;
	/* The device's translations were writable before the fork. */
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(self->fd, memory, 2, length));
	EXPECT_TRUE(all_words(memory, 2, length));
	post(&self->mailbox[0], 2);
	EXPECT_EQ(0, child_status(child));
}

TEST_F(process, child_keeps_the_file_open)
{
	pid_t child = fork();

	if (!child) {
		while (!seen(&self->mailbox[0]))
			;
		_exit(0);
	}
	EXPECT_EQ(0, close(self->fd));
	self->fd = -1;
	/* As with any file: the last descriptor counts, and it is the child's. */
	EXPECT_EQ(1, bond_refs(DEVICE, self->pasid));
	post(&self->mailbox[0], 1);
	EXPECT_EQ(0, child_status(child));
	EXPECT_EQ(0, bond_refs(DEVICE, self->pasid));
}

/* The opener dies, its child keeps the file: the bond goes with the memory. */
TEST_F(process, opener_dies_before_the_file)
{
	pid_t opener = fork();

	if (!opener) {
		int fd = accel_open(0);

		post(&self->mailbox[0], accel_pasid(fd));
		if (!fork()) {
			uint64_t word = 0;
			struct job job = fill_job(&word, 1, 8);

			while (!seen(&self->mailbox[1]))
				;
			post(&self->mailbox[2], accel_submit(fd, &job));
			post(&self->mailbox[3], accel_pasid(fd));
			post(&self->mailbox[4], 1);
			_exit(0);
		}
		_exit(0);
	}
	ASSERT_EQ(0, child_status(opener));
	EXPECT_TRUE(bond_vanishes(DEVICE, seen(&self->mailbox[0])));
	post(&self->mailbox[1], 1);
	while (!seen(&self->mailbox[4]))
		;
	EXPECT_EQ(-EPERM, (int64_t)seen(&self->mailbox[2]));
	EXPECT_EQ(seen(&self->mailbox[0]), seen(&self->mailbox[3]));
}

/* Waits until the number of jobs that have ended stays the same. */
static uint64_t settled_jobs(int fd)
{
	struct mock_accel_info info = {};
	uint64_t before;

	do {
		before = info.jobs;
		usleep(100000);
		if (accel_query(fd, &info))
			return 0;
	} while (info.jobs != before);
	return info.jobs;
}

/*
 * A process exits with a job in flight and many that wait. Tells the PASID, how many
 * jobs there were and, when all has settled, how many of them had begun.
 */
static void exit_with_jobs(uint64_t *mailbox)
{
	int fd = open("/dev/mock_accel0", O_RDWR);
	static struct endless endless;
	static struct job job;
	uint64_t submitted = 2;

	accel_submit_endless(fd, &endless);
	job = fill_job(&job.done, 0, 0);
	while (accel_submit(fd, &job) > 0)
		submitted++;
	post(&mailbox[1], submitted);
	post(&mailbox[0], accel_pasid(fd));
	if (!fork()) {
		while (!seen(&mailbox[2]))
			;
		post(&mailbox[3], settled_jobs(fd));
	}
	_exit(0);
}

/* The device must not go on under a PASID that may soon be another's. */
TEST_F(process, exit_drops_the_jobs_that_wait)
{
	uint64_t *mailbox = self->mailbox;
	bool dropped = false;

	/* On a busy machine all may be done before the driver hears of the exit. */
	for (int round = 0; round < 20 && !dropped; round++) {
		pid_t opener;

		memset(mailbox, 0, page_size());
		opener = fork();
		if (!opener)
			exit_with_jobs(mailbox);
		ASSERT_EQ(0, child_status(opener));
		EXPECT_TRUE(bond_vanishes(DEVICE, seen(&mailbox[0])));
		post(&mailbox[2], 1);
		while (!seen(&mailbox[3]))
			;
		EXPECT_LT(16, seen(&mailbox[1]));
		/* The one in flight, and perhaps a few before the driver heard of the exit. */
		EXPECT_LE(2, seen(&mailbox[3]));
		dropped = seen(&mailbox[3]) < seen(&mailbox[1]);
	}
	EXPECT_TRUE(dropped);
}

enum ending { EXIT, KILL, FAULT, RETURN };

/* Starts a child that has a job in flight, and ends as told. */
static pid_t child_with_job(uint64_t *mailbox, enum ending ending, bool cold)
{
	pid_t child = fork();
	static struct endless endless;
	static struct job job;
	int fd;

	if (child)
		return child;
	fd = accel_open(0);
	if (cold) {
		uint64_t *memory = map_fresh(512 << 20);

		/* Page requests are in flight at any time. */
		job = fill_job(memory, 1, 512 << 20);
		accel_submit(fd, &job);
		while (!__atomic_load_n(memory, __ATOMIC_RELAXED))
			;
	} else {
		accel_submit_endless(fd, &endless);
	}
	post(&mailbox[0], accel_pasid(fd));
	switch (ending) {
	case EXIT:
		_exit(7);
	case RETURN:
		exit(7);
	case FAULT:
		__builtin_trap();
		break;
	case KILL:
		break;
	}
	for (;;)
		pause();
}

static void ends_with_job(struct __test_metadata *_metadata, uint64_t *mailbox,
			  enum ending ending, bool cold)
{
	pid_t child = child_with_job(mailbox, ending, cold);
	int status;

	while (!seen(&mailbox[0]))
		;
	if (ending == KILL)
		ASSERT_EQ(0, kill(child, SIGKILL));
	status = child_status(child);
	EXPECT_EQ(ending == EXIT || ending == RETURN ? 7 : -EINTR, status);
	EXPECT_TRUE(bond_vanishes(DEVICE, seen(&mailbox[0])));
	post(&mailbox[0], 0);
}

TEST_F(process, exit_with_a_job_in_flight)
{
	ends_with_job(_metadata, self->mailbox, EXIT, false);
	ends_with_job(_metadata, self->mailbox, RETURN, true);
}

TEST_F(process, killed_with_a_job_in_flight)
{
	ends_with_job(_metadata, self->mailbox, KILL, false);
	for (int i = 0; i < 5; i++)
		ends_with_job(_metadata, self->mailbox, KILL, true);
}

TEST_F(process, crash_with_a_job_in_flight)
{
	ends_with_job(_metadata, self->mailbox, FAULT, true);
}

/* Nothing is left behind: the next process gets the same number. */
TEST_F(process, pasids_come_back)
{
	uint64_t first = 0;

	for (int i = 0; i < 20; i++) {
		pid_t child = child_with_job(self->mailbox, KILL, i % 2);

		while (!seen(&self->mailbox[0]))
			;
		if (!first)
			first = seen(&self->mailbox[0]);
		EXPECT_EQ(first, seen(&self->mailbox[0]));
		ASSERT_EQ(0, kill(child, SIGKILL));
		child_status(child);
		ASSERT_TRUE(bond_vanishes(DEVICE, seen(&self->mailbox[0])));
		post(&self->mailbox[0], 0);
	}
}

TEST_F(process, many_at_once)
{
	enum { CHILDREN = 12 };
	pid_t children[CHILDREN];
	uint64_t *word = map_fresh(page_size());
	int64_t bonds = read_stat("bonds");

	for (int i = 0; i < CHILDREN; i++) {
		children[i] = fork();
		if (!children[i]) {
			int fd = accel_open(0);

			post(&self->mailbox[1 + i], accel_pasid(fd));
			while (!seen(&self->mailbox[0]))
				usleep(100);
			for (int n = 0; n < 50; n++) {
				struct job job = add_job(word, i + 1);

				if (accel_run(fd, &job) != MOCK_ACCEL_SUCCESS)
					_exit(1);
			}
			_exit(*word != 50ull * (i + 1));
		}
	}
	for (int i = 0; i < CHILDREN; i++) {
		while (!seen(&self->mailbox[1 + i]))
			usleep(100);
		for (int j = 0; j < i; j++)
			EXPECT_NE(seen(&self->mailbox[1 + j]), seen(&self->mailbox[1 + i]));
	}
	EXPECT_EQ(bonds + CHILDREN, read_stat("bonds"));
	post(&self->mailbox[0], 1);
	for (int i = 0; i < CHILDREN; i++)
		EXPECT_EQ(0, child_status(children[i]));
	for (int i = 0; i < CHILDREN; i++)
		EXPECT_TRUE(bond_vanishes(DEVICE, seen(&self->mailbox[1 + i])));
	EXPECT_EQ(0, *word);
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "--foreign"))
		return use_of_a_foreign_file(atoi(argv[2]), atoi(argv[3]));
	return test_harness_run(argc, argv);
}
