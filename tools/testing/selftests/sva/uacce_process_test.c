// SPDX-License-Identifier: GPL-2.0
/* Processes that use uacce come and go, and so does its device. */

#include <signal.h>

#include "uacce.h"
#include "uacce_sysfs.h"

FIXTURE(process) {
	size_t length;
	/* Shared with children. */
	uint64_t *mailbox;
};

FIXTURE_SETUP(process)
{
	self->length = 256 * page_size();
	self->mailbox = mmap(NULL, page_size(), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->mailbox);
}

FIXTURE_TEARDOWN(process)
{
	struct uacce q;

	/* Whatever came before, the device is there for others. */
	if (!uacce_has_driver())
		EXPECT_EQ(0, uacce_bind_driver());
	ASSERT_EQ(0, uacce_open(&q));
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, uacce_run(&q, fill_job(self->mailbox, 0, 8)));
	uacce_close(&q);
}

static void post(uint64_t *mailbox, uint64_t value)
{
	__atomic_store_n(mailbox, value, __ATOMIC_RELEASE);
}

static bool seen(const uint64_t *mailbox, uint64_t value)
{
	return WAIT_UNTIL(__atomic_load_n(mailbox, __ATOMIC_ACQUIRE) == value);
}

/* The same addresses and other data in each: what @pattern wrote must come back. */
static int work(size_t length, uint64_t *area, uint64_t pattern)
{
	struct uacce q;

	if (uacce_open(&q))
		return 1;
	for (int i = 0; i < 10; i++) {
		if (uacce_run(&q, fill_job(area, pattern + i, length)) != MOCK_ACCEL_SUCCESS)
			return 2;
		if (!all_words(area, pattern + i, length))
			return 3;
		if (madvise(area, length, MADV_DONTNEED))
			return 4;
	}
	uacce_close(&q);
	return 0;
}

TEST_F(process, uacce_two_processes_at_once)
{
	uint64_t *area = map_fresh(self->length);
	pid_t children[2];

	for (int i = 0; i < 2; i++) {
		children[i] = fork();
		if (!children[i])
			_exit(work(self->length, area, 1000 * i));
	}
	for (int i = 0; i < 2; i++)
		EXPECT_EQ(0, child_status(children[i]));
}

TEST_F(process, uacce_fork)
{
	uint64_t *area = map_fresh(self->length);
	struct uacce q;
	pid_t child;

	ASSERT_EQ(0, uacce_open(&q));
	ASSERT_EQ(MOCK_ACCEL_SUCCESS, uacce_run(&q, fill_job(area, 1, self->length)));
	child = fork();
	if (!child) {
		unsigned char page;

		/* It has the file, but neither the doorbell nor the address space. */
		if (!mincore((void *)q.doorbell, 1, &page) && page)
			_exit(1);
		if (ioctl(q.fd, UACCE_CMD_PUT_Q) || uacce_set_ring(&q, q.ring, 4) != -EPERM)
			_exit(2);
		post(self->mailbox, 1);
		if (!seen(self->mailbox, 2) || !all_words(area, 1, self->length))
			_exit(3);
		/* A queue of its own has. */
		_exit(work(self->length, area, 50) ? 4 : 0);
	}
	ASSERT_TRUE(seen(self->mailbox, 1));
	/* The child has stopped the queue, as it may. */
	ASSERT_EQ(0, uacce_start(&q));
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, uacce_run(&q, fill_job(area, 2, self->length)));
	post(self->mailbox, 2);
	EXPECT_TRUE(all_words(area, 2, self->length));
	EXPECT_EQ(0, child_status(child));
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, uacce_run(&q, fill_job(area, 3, self->length)));
	EXPECT_TRUE(all_words(area, 3, self->length));
	uacce_close(&q);
}

/* Dies while the device walks a list, or faults pages in. */
static void busy_child(uint64_t *mailbox, bool faults)
{
	static struct node ring;
	struct uacce q;

	if (uacce_open(&q))
		_exit(1);
	if (faults)
		uacce_submit(&q, fill_job(map_fresh(256 << 20), 1, 256 << 20));
	else
		uacce_submit(&q, uacce_endless(&ring));
	usleep(20000);
	post(mailbox, q.doorbell->head == 0);
	pause();
}

TEST_F(process, uacce_killed_in_the_middle_of_a_job)
{
	for (int i = 0; i < 10; i++) {
		pid_t child = fork();
		uint64_t begin;

		if (!child)
			busy_child(self->mailbox, i % 2);
		ASSERT_TRUE(seen(self->mailbox, 1));
		begin = now_ms();
		kill(child, SIGKILL);
		EXPECT_EQ(-EINTR, child_status(child));
		EXPECT_GT(10000, now_ms() - begin);
		post(self->mailbox, 0);
	}
}

TEST_F(process, uacce_exit_without_close)
{
	for (int i = 0; i < 10; i++) {
		pid_t child = fork();

		if (!child) {
			static struct node ring;
			struct uacce q;

			if (uacce_open(&q))
				_exit(1);
			uacce_submit(&q, uacce_endless(&ring));
			_exit(0);
		}
		EXPECT_EQ(0, child_status(child));
	}
}

TEST_F(process, uacce_close_in_the_middle_of_a_job)
{
	static struct node ring;
	struct uacce q;

	for (int i = 0; i < 10; i++) {
		ASSERT_EQ(0, uacce_open(&q));
		uacce_submit(&q, uacce_endless(&ring));
		usleep(1000 * i);
		uacce_close(&q);
	}
}

/* A descriptor that the device cannot fetch is done with, and nobody can be told how it ended. */
TEST_F(process, uacce_ring_is_unmapped_under_the_device)
{
	struct uacce q;

	ASSERT_EQ(0, uacce_open(&q));
	ASSERT_EQ(0, munmap(q.ring, RING_ENTRIES * sizeof(*q.ring)));
	q.doorbell->tail = 1;
	q.tail = 1;
	EXPECT_EQ(0, uacce_wait(&q));
	uacce_close(&q);
}

TEST_F(process, uacce_device_removed_while_open)
{
	struct pollfd wait = { .events = POLLIN };
	unsigned char page;
	struct uacce q;

	ASSERT_EQ(0, uacce_open(&q));
	ASSERT_EQ(MOCK_ACCEL_SUCCESS, uacce_run(&q, fill_job(self->mailbox, 3, 8)));
	ASSERT_EQ(0, uacce_unbind_driver());
	EXPECT_EQ(-1, open(UACCE_DEVICE, O_RDWR));
	EXPECT_EQ(ENOENT, errno);
	EXPECT_EQ(-1, ioctl(q.fd, UACCE_CMD_PUT_Q));
	EXPECT_EQ(ENXIO, errno);
	EXPECT_EQ(-ENXIO, uacce_set_ring(&q, q.ring, 4));
	wait.fd = q.fd;
	EXPECT_EQ(0, poll(&wait, 1, 0));
	/* The registers are gone from its address space. */
	EXPECT_EQ(0, mincore((void *)q.doorbell, page_size(), &page) || page & 1);

	/* The device is back for those who open it anew. */
	ASSERT_EQ(0, uacce_bind_driver());
	EXPECT_EQ(-1, ioctl(q.fd, UACCE_CMD_START_Q));
	EXPECT_EQ(0, work(self->length, map_fresh(self->length), 7));
	uacce_close(&q);
	EXPECT_EQ(0, work(self->length, map_fresh(self->length), 8));
}

TEST_F(process, uacce_device_removed_in_the_middle_of_a_job)
{
	for (int i = 0; i < 6; i++) {
		pid_t child = fork();
		uint64_t begin;

		if (!child)
			busy_child(self->mailbox, i % 2);
		ASSERT_TRUE(seen(self->mailbox, 1));
		post(self->mailbox, 0);
		begin = now_ms();
		ASSERT_EQ(0, uacce_unbind_driver());
		EXPECT_GT(10000, now_ms() - begin);
		ASSERT_EQ(0, uacce_bind_driver());
		kill(child, SIGKILL);
		EXPECT_EQ(-EINTR, child_status(child));
	}
}

TEST_HARNESS_MAIN
