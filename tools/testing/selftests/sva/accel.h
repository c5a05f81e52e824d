/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A mock accelerator, for tests: jobs, memory, and what debugfs tells.
 *
 * All functions return 0 or more, or a negative errno, unless they say otherwise.
 */
#ifndef SELFTESTS_SVA_ACCEL_H
#define SELFTESTS_SVA_ACCEL_H

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/mock_accel.h>

#include "kselftest_harness.h"

/* Far more than anything takes that these tests wait for. */
#define PATIENCE_MS 20000

struct job {
	alignas(MOCK_ACCEL_DESC_ALIGN) struct mock_accel_desc desc;
	alignas(MOCK_ACCEL_COMPLETION_ALIGN) struct mock_accel_completion done;
};

static inline int accel_open(int n)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/dev/mock_accel%d", n);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static inline int accel_query(int fd, struct mock_accel_info *info)
{
	return ioctl(fd, MOCK_ACCEL_IOC_QUERY, info) ? -errno : 0;
}

/* The PASID, or 0. */
static inline unsigned int accel_pasid(int fd)
{
	struct mock_accel_info info;

	return accel_query(fd, &info) ? 0 : info.pasid;
}

/* MOCK_ACCEL_MODE_*, or 0. */
static inline unsigned int accel_mode(int fd)
{
	struct mock_accel_info info;

	return accel_query(fd, &info) ? 0 : info.mode;
}

/* The job's number. */
static inline int64_t accel_submit_at(int fd, uint64_t desc)
{
	struct mock_accel_submit arg = { .desc = desc };

	return ioctl(fd, MOCK_ACCEL_IOC_SUBMIT, &arg) ? -errno : (int64_t)arg.job;
}

static inline int64_t accel_submit(int fd, struct job *job)
{
	job->desc.completion = (uintptr_t)&job->done;
	memset(&job->done, 0, sizeof(job->done));
	return accel_submit_at(fd, (uintptr_t)&job->desc);
}

static inline int accel_wait(int fd, int64_t number, struct mock_accel_completion *done)
{
	struct mock_accel_wait arg = { .job = number };
	int ret = ioctl(fd, MOCK_ACCEL_IOC_WAIT, &arg) ? -errno : 0;

	*done = arg.completion;
	return ret;
}

/* Runs a job to its end. Returns its status; -EBADMSG if memory and ioctl differ on it. */
static inline int accel_run(int fd, struct job *job)
{
	struct mock_accel_completion told;
	int64_t number = accel_submit(fd, job);
	int ret;

	if (number < 0)
		return number;
	ret = accel_wait(fd, number, &told);
	if (ret)
		return ret;
	if (memcmp(&told, &job->done, sizeof(told)))
		return -EBADMSG;
	return told.status;
}

static inline struct job copy_job(void *dst, const void *src, size_t length)
{
	return (struct job){ .desc = {
		.opcode = MOCK_ACCEL_OP_COPY,
		.src = (uintptr_t)src,
		.dst = (uintptr_t)dst,
		.length = length,
	} };
}

static inline struct job fill_job(void *dst, uint64_t pattern, size_t length)
{
	return (struct job){ .desc = {
		.opcode = MOCK_ACCEL_OP_FILL,
		.dst = (uintptr_t)dst,
		.operand = pattern,
		.length = length,
	} };
}

static inline struct job compare_job(const void *a, const void *b, size_t length)
{
	return (struct job){ .desc = {
		.opcode = MOCK_ACCEL_OP_COMPARE,
		.src = (uintptr_t)a,
		.dst = (uintptr_t)b,
		.length = length,
	} };
}

static inline struct job crc32_job(const void *src, size_t length, uint32_t seed)
{
	return (struct job){ .desc = {
		.opcode = MOCK_ACCEL_OP_CRC32,
		.src = (uintptr_t)src,
		.operand = seed,
		.length = length,
	} };
}

struct node {
	struct node *next;
	uint64_t value;
};

static inline struct job chase_job(const struct node *first, uint64_t limit)
{
	return (struct job){ .desc = {
		.opcode = MOCK_ACCEL_OP_CHASE,
		.src = (uintptr_t)first,
		.length = limit,
		.next_offset = offsetof(struct node, next),
		.value_offset = offsetof(struct node, value),
	} };
}

static inline struct job add_job(uint64_t *dst, uint64_t addend)
{
	return (struct job){ .desc = {
		.opcode = MOCK_ACCEL_OP_ATOMIC_ADD,
		.dst = (uintptr_t)dst,
		.operand = addend,
		.length = sizeof(*dst),
	} };
}

/* Status of a job that fills, or of one that reads. */
static inline int accel_fill(int fd, void *dst, uint64_t pattern, size_t length)
{
	struct job job = fill_job(dst, pattern, length);

	return accel_run(fd, &job);
}

static inline int accel_read(int fd, const void *src, size_t length)
{
	struct job job = crc32_job(src, length, 0);

	return accel_run(fd, &job);
}

/* Whether a job that writes, or one that reads, is refused at exactly this address. */
static inline bool write_refused(int fd, void *addr)
{
	struct job job = fill_job(addr, 1, 8);

	return accel_run(fd, &job) == MOCK_ACCEL_PAGE_FAULT &&
	       job.done.fault_address == (uintptr_t)addr;
}

static inline bool read_refused(int fd, const void *addr)
{
	struct job job = crc32_job(addr, 8, 0);

	return accel_run(fd, &job) == MOCK_ACCEL_PAGE_FAULT &&
	       job.done.fault_address == (uintptr_t)addr;
}

/*
 * Submits a job that does not end by itself for a long time, and waits until the
 * device is at it: jobs run in order, and the one before it ends at once.
 */
struct endless {
	struct job first;
	struct job job;
	struct node ring;
};

static inline int64_t accel_submit_endless(int fd, struct endless *e)
{
	struct mock_accel_completion done;
	int64_t first, number;
	int ret;

	e->ring.next = &e->ring;
	e->first = crc32_job(&e->ring, 1, 0);
	e->job = chase_job(&e->ring, 1 << 24);
	first = accel_submit(fd, &e->first);
	if (first < 0)
		return first;
	number = accel_submit(fd, &e->job);
	ret = accel_wait(fd, first, &done);
	return ret ? ret : number;
}

static inline uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ull + now.tv_nsec / 1000000;
}

/* Waits until @condition holds, but not for ever; whether it does. */
#define WAIT_UNTIL(condition) ({						\
	uint64_t wait_end = now_ms() + PATIENCE_MS;				\
	bool wait_holds;							\
										\
	while (!(wait_holds = (condition)) && now_ms() <= wait_end)		\
		usleep(1000);							\
	wait_holds;								\
})

/* Fresh anonymous memory, or NULL. */
static inline void *map_fresh(size_t length)
{
	void *p = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static inline size_t page_size(void)
{
	return sysconf(_SC_PAGESIZE);
}

/* Whether all words are the same. */
static inline bool all_words(const uint64_t *words, uint64_t value, size_t length)
{
	for (size_t i = 0; i < length / sizeof(*words); i++)
		if (words[i] != value)
			return false;
	return true;
}

/* The exit status of a child; negative if it was killed. */
static inline int child_status(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -EINTR;
}

#endif /* SELFTESTS_SVA_ACCEL_H */
