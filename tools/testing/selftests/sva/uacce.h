/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A queue of the mock accelerator behind uacce, for tests.
 *
 * All functions return 0 or more, or a negative errno, unless they say otherwise.
 */
#ifndef SELFTESTS_SVA_UACCE_H
#define SELFTESTS_SVA_UACCE_H

#include <poll.h>
#include <sys/stat.h>

#include "accel.h"

#include <linux/mock_uacce.h>
#include <misc/uacce/uacce.h>

#define UACCE_DEVICE "/dev/mock_uacce-0"
#define RING_ENTRIES 64

struct uacce {
	int fd;
	unsigned int pasid;
	volatile struct mock_uacce_doorbell *doorbell;
	struct mock_accel_desc *ring;
	/* One for each entry of the ring. */
	struct mock_accel_completion *done;
	uint32_t tail;
};

static inline int uacce_set_ring(struct uacce *q, void *ring, unsigned int entries)
{
	struct mock_uacce_ring arg = { .addr = (uintptr_t)ring, .entries = entries };
	int ret = ioctl(q->fd, MOCK_UACCE_IOC_SET_RING, &arg) ? -errno : 0;

	q->pasid = ret ? q->pasid : arg.pasid;
	return ret;
}

static inline int uacce_start(struct uacce *q)
{
	q->tail = 0;
	return ioctl(q->fd, UACCE_CMD_START_Q) ? -errno : 0;
}

static inline int uacce_stop(struct uacce *q)
{
	return ioctl(q->fd, UACCE_CMD_PUT_Q) ? -errno : 0;
}

static inline int uacce_map_doorbell(struct uacce *q)
{
	void *page = mmap(NULL, page_size(), PROT_READ | PROT_WRITE, MAP_SHARED, q->fd,
			  UACCE_QFRT_MMIO * page_size());

	q->doorbell = page;
	return page == MAP_FAILED ? -errno : 0;
}

/*
 * A started queue of the device at @path; its ring and completion records are
 * pages that nobody has touched.
 */
static inline int uacce_open_path(struct uacce *q, const char *path)
{
	int ret;

	memset(q, 0, sizeof(*q));
	q->fd = open(path, O_RDWR | O_CLOEXEC);
	if (q->fd < 0)
		return -errno;
	q->ring = map_fresh(RING_ENTRIES * sizeof(*q->ring));
	q->done = map_fresh(RING_ENTRIES * sizeof(*q->done));
	ret = uacce_set_ring(q, q->ring, RING_ENTRIES);
	if (!ret)
		ret = uacce_map_doorbell(q);
	return ret ? ret : uacce_start(q);
}

static inline int uacce_open(struct uacce *q)
{
	return uacce_open_path(q, UACCE_DEVICE);
}

static inline void uacce_close(struct uacce *q)
{
	if (q->doorbell && q->doorbell != MAP_FAILED)
		munmap((void *)q->doorbell, page_size());
	close(q->fd);
}

/* Puts a job into the ring, and rings; where its completion record will be. */
static inline volatile struct mock_accel_completion *uacce_submit(struct uacce *q,
								  struct job job)
{
	struct mock_accel_completion *done = &q->done[q->tail % RING_ENTRIES];

	memset(done, 0, sizeof(*done));
	job.desc.completion = (uintptr_t)done;
	q->ring[q->tail % RING_ENTRIES] = job.desc;
	q->tail++;
	__atomic_store_n(&q->doorbell->tail, q->tail, __ATOMIC_RELEASE);
	return done;
}

/* Waits until the device has done all of it, or not for longer than a test has patience. */
static inline int uacce_wait(struct uacce *q)
{
	struct pollfd wait = { .fd = q->fd, .events = POLLIN };
	uint64_t end = now_ms() + PATIENCE_MS;
	uint32_t head;

	while ((head = __atomic_load_n(&q->doorbell->head, __ATOMIC_ACQUIRE)) != q->tail) {
		q->doorbell->seen = head;
		if (now_ms() > end)
			return -ETIMEDOUT;
		if (poll(&wait, 1, PATIENCE_MS) < 0)
			return -errno;
	}
	q->doorbell->seen = head;
	return 0;
}

/* Runs one job; its status. */
static inline int uacce_run(struct uacce *q, struct job job)
{
	volatile struct mock_accel_completion *done = uacce_submit(q, job);
	int ret = uacce_wait(q);

	return ret ? ret : (int)done->status;
}

/* A job that does not end by itself for a long time. */
static inline struct job uacce_endless(struct node *ring)
{
	ring->next = ring;
	return chase_job(ring, 1 << 24);
}

#endif /* SELFTESTS_SVA_UACCE_H */
