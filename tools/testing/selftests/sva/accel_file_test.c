// SPDX-License-Identifier: GPL-2.0
/* The file: open, close, ioctls, several files and threads of one process. */

#include <pthread.h>
#include <signal.h>

#include "accel.h"
#include "debugfs.h"

#define DEVICE "mock_accel.0"

FIXTURE(file) {
	int fd;
	unsigned int pasid;
};

FIXTURE_SETUP(file)
{
	self->fd = accel_open(0);
	ASSERT_LE(0, self->fd);
	self->pasid = accel_pasid(self->fd);
	ASSERT_NE(0, self->pasid);
}

FIXTURE_TEARDOWN(file)
{
	close(self->fd);
}

TEST_F(file, open_binds_and_close_unbinds)
{
	struct bond bond;

	ASSERT_EQ(1, find_bond(DEVICE, self->pasid, &bond));
	EXPECT_EQ(getpid(), bond.pid);
	EXPECT_EQ(1, bond.refs);
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, bond_refs(DEVICE, self->pasid));
	self->fd = -1;
}

TEST_F(file, open_and_close_many_times)
{
	int64_t bonds = read_stat("bonds");

	for (int i = 0; i < 100; i++) {
		int fd = accel_open(0);

		ASSERT_LE(0, fd);
		ASSERT_EQ(self->pasid, accel_pasid(fd));
		ASSERT_EQ(2, bond_refs(DEVICE, self->pasid));
		close(fd);
	}
	EXPECT_EQ(1, bond_refs(DEVICE, self->pasid));
	close(self->fd);
	for (int i = 0; i < 100; i++) {
		self->fd = accel_open(0);
		ASSERT_LE(0, self->fd);
		/* All numbers come back: the lowest is free again each time. */
		ASSERT_EQ(self->pasid, accel_pasid(self->fd));
		close(self->fd);
	}
	EXPECT_EQ(bonds - 1, read_stat("bonds"));
	self->fd = -1;
}

TEST_F(file, query)
{
	struct mock_accel_info info;

	memset(&info, 0xff, sizeof(info));
	ASSERT_EQ(0, accel_query(self->fd, &info));
	EXPECT_EQ(self->pasid, info.pasid);
	EXPECT_GT(1 << 20, info.pasid);
	EXPECT_LE(16, info.queue_depth);
	EXPECT_EQ(0x7e, info.operations);
	EXPECT_LE(64 << 20, info.max_length);
	EXPECT_LE(100000, info.max_nodes);
	EXPECT_EQ(0, info.jobs);
	EXPECT_EQ(0, info.errors);
	EXPECT_EQ(0, info.bytes);
}

TEST_F(file, wrong_ioctls)
{
	struct mock_accel_submit submit = {};

	EXPECT_EQ(-1, ioctl(self->fd, _IO(MOCK_ACCEL_IOC_MAGIC, 3), 0));
	EXPECT_EQ(ENOTTY, errno);
	/* The size is part of the number. */
	EXPECT_EQ(-1, ioctl(self->fd, _IOR(MOCK_ACCEL_IOC_MAGIC, 0, int), &submit));
	EXPECT_EQ(ENOTTY, errno);
	EXPECT_EQ(-1, ioctl(self->fd, MOCK_ACCEL_IOC_QUERY, NULL));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, ioctl(self->fd, MOCK_ACCEL_IOC_SUBMIT, NULL));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, ioctl(self->fd, MOCK_ACCEL_IOC_WAIT, 8));
	EXPECT_EQ(EFAULT, errno);
}

TEST_F(file, wait_for_what_is_not_there)
{
	struct mock_accel_completion done;
	uint64_t word;
	struct job job = fill_job(&word, 1, 8);
	int64_t number;

	EXPECT_EQ(-ENOENT, accel_wait(self->fd, 0, &done));
	EXPECT_EQ(-ENOENT, accel_wait(self->fd, 1, &done));
	EXPECT_EQ(-ENOENT, accel_wait(self->fd, -1, &done));
	number = accel_submit(self->fd, &job);
	ASSERT_EQ(1, number);
	EXPECT_EQ(0, accel_wait(self->fd, number, &done));
	EXPECT_EQ(-ENOENT, accel_wait(self->fd, number, &done));
}

TEST_F(file, queue_is_bounded)
{
	struct mock_accel_info info;
	static struct endless endless;
	static struct job job;
	static uint64_t word;
	unsigned int queued = 1;

	ASSERT_EQ(0, accel_query(self->fd, &info));
	job = fill_job(&word, 1, 8);
	ASSERT_LT(0, accel_submit_endless(self->fd, &endless));
	while (accel_submit(self->fd, &job) > 0)
		queued++;
	EXPECT_EQ(info.queue_depth, queued);
	EXPECT_EQ(-EBUSY, accel_submit(self->fd, &job));
	EXPECT_EQ(0, word);
}

TEST_F(file, jobs_run_in_order)
{
	enum { JOBS = 40 };
	static struct job jobs[JOBS];
	static uint64_t words[JOBS + 1];
	struct mock_accel_completion done;
	int64_t last = 0;

	/* Each copies what the one before has copied. */
	words[0] = 0x1234;
	for (int i = 0; i < JOBS; i++) {
		jobs[i] = copy_job(&words[i + 1], &words[i], 8);
		last = accel_submit(self->fd, &jobs[i]);
		ASSERT_EQ(i + 1, last);
	}
	ASSERT_EQ(0, accel_wait(self->fd, last, &done));
	for (int i = 0; i < JOBS; i++)
		EXPECT_EQ(MOCK_ACCEL_SUCCESS, jobs[i].done.status);
	EXPECT_EQ(0x1234, words[JOBS]);
}

TEST_F(file, second_open_of_the_process)
{
	int second = accel_open(0);
	uint64_t word = 0;

	ASSERT_LE(0, second);
	EXPECT_EQ(self->pasid, accel_pasid(second));
	EXPECT_EQ(2, bond_refs(DEVICE, self->pasid));
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(1, bond_refs(DEVICE, self->pasid));
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(second, &word, 5, 8));
	EXPECT_EQ(5, word);
	self->fd = second;
}

/* Each file has numbers, results and statistics of its own. */
TEST_F(file, files_do_not_mix)
{
	struct mock_accel_completion done;
	int second = accel_open(0);
	static uint64_t word;
	static struct job job;
	struct mock_accel_info info;

	job = fill_job(&word, 1, 8);
	ASSERT_EQ(1, accel_submit(self->fd, &job));
	EXPECT_EQ(-ENOENT, accel_wait(second, 1, &done));
	ASSERT_EQ(0, accel_wait(self->fd, 1, &done));
	ASSERT_EQ(0, accel_query(second, &info));
	EXPECT_EQ(0, info.jobs);
	ASSERT_EQ(0, accel_query(self->fd, &info));
	EXPECT_EQ(1, info.jobs);
	EXPECT_EQ(8, info.bytes);
	close(second);
}

TEST_F(file, files_run_side_by_side)
{
	int second = accel_open(0);
	static struct endless endless;
	uint64_t word = 0;

	ASSERT_LT(0, accel_submit_endless(self->fd, &endless));
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(second, &word, 9, 8));
	EXPECT_EQ(9, word);
	EXPECT_EQ(MOCK_ACCEL_PENDING, endless.job.done.status);
	close(second);
}

TEST_F(file, dup_keeps_the_context)
{
	int copy = dup(self->fd);
	uint64_t word = 0;

	ASSERT_LE(0, copy);
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(1, bond_refs(DEVICE, self->pasid));
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(copy, &word, 3, 8));
	EXPECT_EQ(3, word);
	EXPECT_EQ(0, close(copy));
	EXPECT_EQ(0, bond_refs(DEVICE, self->pasid));
	self->fd = -1;
}

TEST_F(file, close_stops_a_job)
{
	static struct endless endless;
	uint64_t begin;

	ASSERT_LT(0, accel_submit_endless(self->fd, &endless));
	begin = now_ms();
	EXPECT_EQ(0, close(self->fd));
	EXPECT_GT(5000, now_ms() - begin);
	EXPECT_EQ(0, bond_refs(DEVICE, self->pasid));
	/* A stopped job leaves no record. */
	EXPECT_EQ(MOCK_ACCEL_PENDING, endless.job.done.status);
	self->fd = -1;
}

/* How many words from the start are not 0, if all of these come first. */
static size_t count_written(const uint64_t *words, size_t count)
{
	size_t written = 0;

	while (written < count) {
		size_t middle = written + (count - written) / 2;

		if (__atomic_load_n(&words[middle], __ATOMIC_RELAXED))
			written = middle + 1;
		else
			count = middle;
	}
	return written;
}

TEST_F(file, close_ends_all_writes)
{
	const size_t count = 1 << 20;
	static struct job job;

	for (int i = 0; i < 20; i++) {
		uint64_t *words = map_fresh(count * 8);
		size_t at_close;

		ASSERT_NE(NULL, words);
		job = fill_job(words, 1, count * 8);
		ASSERT_LT(0, accel_submit(self->fd, &job));
		while (!__atomic_load_n(words, __ATOMIC_RELAXED))
			;
		close(self->fd);
		at_close = count_written(words, count);
		usleep(1000);
		EXPECT_EQ(at_close, count_written(words, count));
		EXPECT_GT(count, at_close);
		EXPECT_EQ(MOCK_ACCEL_PENDING, job.done.status);
		munmap(words, count * 8);
		self->fd = accel_open(0);
		ASSERT_LE(0, self->fd);
	}
}

static void on_alarm(int signal)
{
}

TEST_F(file, signal_interrupts_a_wait)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct mock_accel_completion done;
	static struct endless endless;
	int64_t number = accel_submit_endless(self->fd, &endless);

	ASSERT_LT(0, number);
	ASSERT_EQ(0, sigaction(SIGUSR1, &action, NULL));
	for (int i = 0; i < 2; i++) {
		pid_t child = fork();

		/* One of the signals comes during the wait. */
		while (!child) {
			usleep(10000);
			kill(getppid(), SIGUSR1);
		}
		EXPECT_EQ(-EINTR, accel_wait(self->fd, number, &done));
		kill(child, SIGKILL);
		child_status(child);
	}
}

TEST_F(file, signal_with_restart_does_not)
{
	struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	struct mock_accel_completion done;
	static struct node ring;
	static struct job job;
	pid_t child;
	int64_t number;

	ASSERT_EQ(0, sigaction(SIGUSR1, &action, NULL));
	ring.next = &ring;
	job = chase_job(&ring, 200000);
	number = accel_submit(self->fd, &job);
	ASSERT_LT(0, number);
	child = fork();
	if (!child) {
		kill(getppid(), SIGUSR1);
		_exit(0);
	}
	EXPECT_EQ(0, accel_wait(self->fd, number, &done));
	EXPECT_EQ(MOCK_ACCEL_LIMIT, done.status);
	EXPECT_EQ(0, child_status(child));
}

struct adder {
	pthread_t thread;
	int fd;
	int failed;
	uint64_t *counter;
};

#define ADDS 200

static void *add_many(void *arg)
{
	struct adder *adder = arg;

	for (int i = 0; i < ADDS; i++) {
		struct job job = add_job(adder->counter, 1);

		if (accel_run(adder->fd, &job) != MOCK_ACCEL_SUCCESS)
			adder->failed++;
	}
	return NULL;
}

/* Four threads add to one number, through one file or through one each. */
static int add_by_threads(int shared_fd, uint64_t *counter)
{
	struct adder adders[4] = {};
	int failed = 0;

	for (int i = 0; i < 4; i++) {
		adders[i].fd = shared_fd < 0 ? accel_open(0) : shared_fd;
		adders[i].counter = counter;
		failed += !!pthread_create(&adders[i].thread, NULL, add_many, &adders[i]);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(adders[i].thread, NULL);
		failed += adders[i].failed;
		if (shared_fd < 0)
			close(adders[i].fd);
	}
	return failed;
}

TEST_F(file, threads_share_a_file)
{
	uint64_t counter = 0;

	EXPECT_EQ(0, add_by_threads(self->fd, &counter));
	EXPECT_EQ(4 * ADDS, counter);
}

TEST_F(file, threads_with_files_of_their_own)
{
	uint64_t counter = 0;

	EXPECT_EQ(0, add_by_threads(-1, &counter));
	EXPECT_EQ(4 * ADDS, counter);
	EXPECT_EQ(1, bond_refs(DEVICE, self->pasid));
}

TEST_F(file, two_devices_of_one_process)
{
	int other = accel_open(1);
	uint64_t word = 0;
	unsigned int pasid;

	ASSERT_LE(0, other);
	pasid = accel_pasid(other);
	EXPECT_EQ(1, bond_refs("mock_accel.1", pasid));
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(self->fd, &word, 1, 8));
	EXPECT_EQ(1, word);
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(other, &word, 2, 8));
	EXPECT_EQ(2, word);
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, bond_refs(DEVICE, self->pasid));
	EXPECT_EQ(1, bond_refs("mock_accel.1", pasid));
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(other, &word, 3, 8));
	EXPECT_EQ(3, word);
	self->fd = other;
}

TEST_HARNESS_MAIN
