// SPDX-License-Identifier: GPL-2.0
/* Signals and threads at a file. */

#include <pthread.h>
#include <signal.h>

#include "accel_file.h"

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
	job = chase_job(&ring, 50000);
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

TEST_HARNESS_MAIN
