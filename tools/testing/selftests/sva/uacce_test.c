// SPDX-License-Identifier: GPL-2.0
/* The kernel's own framework for accelerators as a client of the mock SMMU: real work. */

#include "uacce.h"
#include "uacce_sysfs.h"

FIXTURE(uacce) {
	struct uacce q;
	size_t page, length;
	uint64_t *area;
};

FIXTURE_SETUP(uacce)
{
	ASSERT_EQ(0, uacce_open(&self->q));
	self->page = page_size();
	self->length = 64 * self->page;
	self->area = map_fresh(self->length);
	ASSERT_NE(NULL, self->area);
}

FIXTURE_TEARDOWN(uacce)
{
	uacce_close(&self->q);
}

/* How many pages of a mapping are there. */
static size_t resident(const void *p, size_t length)
{
	unsigned char pages[256];
	size_t count = 0;

	if (length / page_size() > sizeof(pages) || mincore((void *)p, length, pages))
		return -1;
	for (size_t i = 0; i < length / page_size(); i++)
		count += pages[i] & 1;
	return count;
}

TEST_F(uacce, uacce_cold_pages_are_faulted_in)
{
	ASSERT_EQ(0, resident(self->area, self->length));
	ASSERT_EQ(MOCK_ACCEL_SUCCESS, uacce_run(&self->q, fill_job(self->area, 5, self->length)));
	EXPECT_EQ(64, resident(self->area, self->length));
	EXPECT_TRUE(all_words(self->area, 5, self->length));
}

TEST_F(uacce, uacce_every_operation)
{
	volatile struct mock_accel_completion *done;
	uint64_t *copy = map_fresh(self->length);
	struct node *nodes = map_fresh(self->page * 16);
	uint64_t sum = 0;

	for (size_t i = 0; i < self->length / 8; i++)
		self->area[i] = i * 0x9e3779b97f4a7c15;
	ASSERT_EQ(MOCK_ACCEL_SUCCESS,
		  uacce_run(&self->q, copy_job(copy, self->area, self->length)));
	EXPECT_EQ(0, memcmp(copy, self->area, self->length));

	copy[1000]++;
	done = uacce_submit(&self->q, compare_job(copy, self->area, self->length));
	ASSERT_EQ(0, uacce_wait(&self->q));
	EXPECT_EQ(8000, done->result);

	done = uacce_submit(&self->q, crc32_job("123456789", 9, 0));
	ASSERT_EQ(0, uacce_wait(&self->q));
	EXPECT_EQ(0xcbf43926, done->result);

	for (int i = 0; i < 1000; i++) {
		nodes[i].next = i < 999 ? &nodes[i + 1] : NULL;
		nodes[i].value = i * i;
		sum += nodes[i].value;
	}
	done = uacce_submit(&self->q, chase_job(nodes, 1000));
	ASSERT_EQ(0, uacce_wait(&self->q));
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, done->status);
	EXPECT_EQ(sum, done->result);

	done = uacce_submit(&self->q, add_job(&copy[7], 3));
	ASSERT_EQ(0, uacce_wait(&self->q));
	EXPECT_EQ(self->area[7], done->result);
	EXPECT_EQ(self->area[7] + 3, copy[7]);
}

TEST_F(uacce, uacce_ring_goes_round)
{
	volatile struct mock_accel_completion *done = NULL;

	for (int round = 0; round < 10; round++) {
		for (int i = 0; i < 50; i++)
			done = uacce_submit(&self->q, add_job(&self->area[i], i));
		ASSERT_EQ(0, uacce_wait(&self->q));
		ASSERT_EQ(MOCK_ACCEL_SUCCESS, done->status);
	}
	for (int i = 0; i < 50; i++)
		EXPECT_EQ(10ull * i, self->area[i]);
	EXPECT_EQ(500, self->q.doorbell->head);
}

TEST_F(uacce, uacce_what_the_process_may_not_do)
{
	volatile struct mock_accel_completion *done;
	char *p = (char *)self->area;

	ASSERT_EQ(0, mprotect(p + 8 * self->page, self->page, PROT_READ));
	ASSERT_EQ(0, munmap(p + 16 * self->page, self->page));
	done = uacce_submit(&self->q, fill_job(p, 1, self->length));
	ASSERT_EQ(0, uacce_wait(&self->q));
	EXPECT_EQ(MOCK_ACCEL_PAGE_FAULT, done->status);
	EXPECT_EQ((uintptr_t)p + 8 * self->page, done->fault_address);
	EXPECT_TRUE(all_words(self->area, 1, 8 * self->page));

	done = uacce_submit(&self->q, crc32_job(p, self->length, 0));
	ASSERT_EQ(0, uacce_wait(&self->q));
	EXPECT_EQ(MOCK_ACCEL_PAGE_FAULT, done->status);
	EXPECT_EQ((uintptr_t)p + 16 * self->page, done->fault_address);
}

TEST_F(uacce, uacce_poll_tells_of_completions)
{
	struct pollfd wait = { .fd = self->q.fd, .events = POLLIN };

	EXPECT_EQ(0, poll(&wait, 1, 0));
	uacce_submit(&self->q, fill_job(self->area, 1, self->length));
	EXPECT_EQ(1, poll(&wait, 1, PATIENCE_MS));
	EXPECT_EQ(POLLIN, wait.revents);
	EXPECT_EQ(1, poll(&wait, 1, 0));
	self->q.doorbell->seen = 1;
	EXPECT_EQ(0, poll(&wait, 1, 0));
}

TEST_F(uacce, uacce_states_of_a_queue)
{
	struct uacce *q = &self->q;
	void *page;

	/* Started already. */
	EXPECT_EQ(-EINVAL, uacce_start(q));
	EXPECT_EQ(-EBUSY, uacce_set_ring(q, q->ring, 8));
	ASSERT_EQ(MOCK_ACCEL_SUCCESS, uacce_run(q, fill_job(self->area, 1, 64)));

	/* Stopped: the doorbell rings in vain. */
	ASSERT_EQ(0, uacce_stop(q));
	ASSERT_EQ(0, uacce_stop(q));
	uacce_submit(q, fill_job(self->area, 2, 64));
	usleep(20000);
	EXPECT_EQ(1, self->area[0]);

	EXPECT_EQ(-EINVAL, uacce_set_ring(q, (char *)q->ring + 8, 8));
	EXPECT_EQ(-EINVAL, uacce_set_ring(q, q->ring, 7));
	EXPECT_EQ(-EINVAL, uacce_set_ring(q, q->ring, 2 * MOCK_UACCE_MAX_ENTRIES));
	ASSERT_EQ(0, uacce_set_ring(q, q->ring, RING_ENTRIES));
	ASSERT_EQ(0, uacce_start(q));
	EXPECT_EQ(0, q->doorbell->head);
	ASSERT_EQ(MOCK_ACCEL_SUCCESS, uacce_run(q, fill_job(self->area, 3, 64)));
	EXPECT_EQ(3, self->area[0]);

	/* A tail that cannot be is no work. */
	q->doorbell->tail = q->tail + RING_ENTRIES + 1;
	usleep(20000);
	EXPECT_EQ(q->tail, q->doorbell->head);

	EXPECT_EQ(-1, ioctl(q->fd, _IO('W', 99)));
	EXPECT_EQ(ENOTTY, errno);
	/* Once only; all of it; shared; no other region. */
	EXPECT_EQ(-EEXIST, uacce_map_doorbell(q));
	page = mmap(NULL, self->page, PROT_READ, MAP_SHARED, q->fd,
		    UACCE_QFRT_DUS * self->page);
	EXPECT_EQ(MAP_FAILED, page);
}

TEST_F(uacce, uacce_doorbell_mappings_that_cannot_be)
{
	int fd = open(UACCE_DEVICE, O_RDWR | O_CLOEXEC), rw = PROT_READ | PROT_WRITE;

	ASSERT_LE(0, fd);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, self->page, rw, MAP_PRIVATE, fd, 0));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 2 * self->page, rw, MAP_SHARED, fd, 0));
	EXPECT_EQ(-1, ioctl(fd, UACCE_CMD_START_Q));
	EXPECT_EQ(EINVAL, errno);
	close(fd);
}

/* Both kinds of bond on one address space, each under a PASID of its own. */
TEST_F(uacce, uacce_beside_a_bond_of_ours)
{
	int accel = accel_open(0);

	ASSERT_LE(0, accel);
	EXPECT_NE(self->q.pasid, accel_pasid(accel));
	for (int i = 0; i < 20; i++) {
		ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(accel, self->area, i, self->length));
		ASSERT_EQ(MOCK_ACCEL_SUCCESS,
			  uacce_run(&self->q, fill_job(self->area, i, self->length / 2)));
		ASSERT_EQ(0, madvise(self->area, self->length, MADV_DONTNEED));
	}
	close(accel);
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, uacce_run(&self->q, fill_job(self->area, 9, 64)));
	EXPECT_EQ(9, self->area[0]);
}

TEST_F(uacce, uacce_two_queues_of_a_process)
{
	struct uacce other;

	ASSERT_EQ(0, uacce_open(&other));
	EXPECT_EQ(self->q.pasid, other.pasid);
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, uacce_run(&other, fill_job(self->area, 1, 64)));
	uacce_close(&other);
	EXPECT_EQ(1, self->area[0]);
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, uacce_run(&self->q, fill_job(self->area, 2, 64)));
	EXPECT_EQ(2, self->area[0]);
}

TEST_F(uacce, uacce_sysfs)
{
	char text[128], path[96];
	struct stat status;

	ASSERT_EQ(0, read_whole_file(text, sizeof(text), UACCE_CLASS "flags"));
	/* UACCE_DEV_SVA, which takes the kernel's BIT() to say. */
	EXPECT_EQ(1, atoi(text));
	ASSERT_EQ(0, read_whole_file(text, sizeof(text), UACCE_CLASS "api"));
	EXPECT_STREQ("mock_uacce_v1\n", text);
	ASSERT_EQ(0, read_whole_file(text, sizeof(text), UACCE_CLASS "algorithms"));
	EXPECT_NE(NULL, strstr(text, "crc32\n"));
	ASSERT_EQ(0, read_whole_file(text, sizeof(text), UACCE_CLASS "region_mmio_size"));
	EXPECT_EQ((int)self->page, atoi(text));
	ASSERT_EQ(0, read_whole_file(text, sizeof(text), UACCE_CLASS "region_dus_size"));
	EXPECT_EQ(MOCK_UACCE_SHARED_SIZE, atoi(text));
	/* What the framework's library asks for the nearest device. */
	ASSERT_EQ(0, read_whole_file(text, sizeof(text), UACCE_CLASS "device/numa_node"));
	EXPECT_LE(0, atoi(text));
	ASSERT_EQ(0, read_whole_file(text, sizeof(text), UACCE_CLASS "available_instances"));
	EXPECT_EQ(MOCK_UACCE_MAX_QUEUES - 1, atoi(text));
	/* It is a child of the device behind the mock SMMU. */
	snprintf(path, sizeof(path), "/sys/bus/platform/devices/mock_uacce.0/uacce/mock_uacce-0");
	EXPECT_EQ(0, stat(path, &status));
}

/* All that a queue needs lies in what the device gives. */
TEST_F(uacce, uacce_shared_region)
{
	struct mock_accel_completion *done;
	struct mock_accel_desc *ring;
	unsigned char *data;
	void *shared;

	close(self->q.fd);
	self->q.fd = open(UACCE_DEVICE, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->q.fd);
	shared = mmap(NULL, MOCK_UACCE_SHARED_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, self->q.fd,
		      UACCE_QFRT_DUS * self->page);
	ASSERT_NE(MAP_FAILED, shared);
	ring = shared;
	done = shared + 8192;
	data = shared + 16384;
	self->q.ring = ring;
	self->q.done = done;
	ASSERT_EQ(0, uacce_set_ring(&self->q, ring, RING_ENTRIES));
	munmap((void *)self->q.doorbell, self->page);
	ASSERT_EQ(0, uacce_map_doorbell(&self->q));
	ASSERT_EQ(0, uacce_start(&self->q));
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, uacce_run(&self->q, fill_job(data, 0x55, 8)));
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, uacce_run(&self->q, copy_job(self->area, data, 8)));
	EXPECT_EQ(0x55, self->area[0]);
	/* Not a part of it, and not for oneself. */
	EXPECT_EQ(MAP_FAILED, mmap(NULL, self->page, PROT_READ, MAP_SHARED, self->q.fd,
				   UACCE_QFRT_DUS * self->page));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, MOCK_UACCE_SHARED_SIZE, PROT_READ, MAP_PRIVATE,
				   self->q.fd, UACCE_QFRT_DUS * self->page));
}

TEST_F(uacce, uacce_queues_run_out)
{
	int fds[MOCK_UACCE_MAX_QUEUES];
	char text[16];

	for (int i = 1; i < MOCK_UACCE_MAX_QUEUES; i++) {
		fds[i] = open(UACCE_DEVICE, O_RDWR | O_CLOEXEC);
		ASSERT_LE(0, fds[i]);
	}
	ASSERT_EQ(0, read_whole_file(text, sizeof(text), UACCE_CLASS "available_instances"));
	EXPECT_EQ(0, atoi(text));
	EXPECT_EQ(-1, open(UACCE_DEVICE, O_RDWR | O_CLOEXEC));
	EXPECT_EQ(EBUSY, errno);
	for (int i = 1; i < MOCK_UACCE_MAX_QUEUES; i++)
		close(fds[i]);
	ASSERT_EQ(0, read_whole_file(text, sizeof(text), UACCE_CLASS "available_instances"));
	EXPECT_EQ(MOCK_UACCE_MAX_QUEUES - 1, atoi(text));
}

TEST_HARNESS_MAIN
