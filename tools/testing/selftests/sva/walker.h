/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Does the mock SMMU translate as the kernel does? Comparisons for the walker_*
 * programs, each on all pages of a range: by whatever the device's and the
 * SMMU's caches still have, and by the tables.
 *
 * All functions return 0 or more, or a negative errno, unless they say otherwise.
 */
#ifndef SELFTESTS_SVA_WALKER_H
#define SELFTESTS_SVA_WALKER_H

#include "accel.h"
#include "debugfs.h"
#include "random.h"
#include "strict.h"

#include <asm-generic/mman-common.h>
#include <linux/mock_smmu_compare.h>

#define WALKER_DEVICE "mock_accel.0"
#define HUGE ((size_t)2 << 20)
#define CONTIGUOUS ((size_t)64 << 10)

/* An address space that the device shares, and what was compared of it. */
struct walker {
	int accel;
	int compare;
	unsigned int pasid;
	struct mock_smmu_compare sum;
};

/* From then on the SMMU is in strict mode. */
static inline int walker_open(struct walker *w)
{
	int ret = config_set(LOADED, "strict", "1");

	memset(w, 0, sizeof(*w));
	if (ret)
		return ret;
	w->accel = accel_open(0);
	if (w->accel < 0)
		return w->accel;
	w->pasid = accel_pasid(w->accel);
	w->compare = open("/dev/mock_smmu_compare", O_RDWR | O_CLOEXEC);
	return w->compare < 0 ? -errno : 0;
}

/* Uses of stale translations that were recorded, and what is stale in the caches now. */
static inline int64_t walker_close(struct walker *w)
{
	int64_t records = strict_scan("smmu0");

	close(w->compare);
	close(w->accel);
	return records;
}

static inline void walker_print(const char *who, const struct mock_smmu_compare_page *page)
{
	printf("#   %s: read %#llx, write %#llx, exec %#llx\n", who, page->read, page->write,
	       page->exec);
}

static inline int walker_run(struct walker *w, void *addr, size_t length, unsigned int flags)
{
	struct mock_smmu_compare run = {
		.device = WALKER_DEVICE,
		.pasid = w->pasid,
		.flags = flags,
		.addr = (uintptr_t)addr,
		.length = length,
	};

	if (ioctl(w->compare, MOCK_SMMU_COMPARE_IOC_RUN, &run)) {
		printf("# %p: %s\n", addr, strerror(errno));
		return -errno;
	}
	w->sum.pages += run.pages;
	w->sum.readable += run.readable;
	w->sum.writable += run.writable;
	w->sum.executable += run.executable;
	w->sum.folios += run.folios;
	w->sum.large += run.large;
	w->sum.retries += run.retries;
	w->sum.differ += run.differ;
	if (run.differ) {
		printf("# %llu of %llu pages differ%s; first at %#llx\n", run.differ, run.pages,
		       flags ? "" : " by the caches", run.where);
		walker_print("device", &run.device_says);
		walker_print("kernel", &run.kernel_says);
	}
	return 0;
}

/* Whether device and kernel agree on each page; afterwards the caches are full. */
static inline bool walker_agrees(struct walker *w, void *addr, size_t length)
{
	unsigned long long before = w->sum.differ;

	return !walker_run(w, addr, length, 0) &&
	       !walker_run(w, addr, length, MOCK_SMMU_COMPARE_WALK) && w->sum.differ == before;
}

/* Tells what was compared, and whether that is enough to mean something. */
static inline bool walker_report(const struct walker *w, const char *kind, size_t least)
{
	const struct mock_smmu_compare *s = &w->sum;
	unsigned long long there = s->readable > s->executable ? s->readable : s->executable;

	printf("# %-12s %6llu pages compared, %6llu there: read %llu, write %llu, execute %llu\n",
	       kind, s->pages, there, s->readable, s->writable, s->executable);
	printf("# %-12s in large folios %llu, by large translations %llu; retries %llu\n", "",
	       s->folios, s->large, s->retries);
	return s->pages >= least && there >= least / 4 && !s->differ;
}

static inline long read_number(const char *path)
{
	FILE *file = fopen(path, "re");
	long number = -1;

	if (!file)
		return -errno;
	if (fscanf(file, "%ld", &number) != 1)
		number = -EINVAL;
	fclose(file);
	return number;
}

/* Fresh anonymous memory whose address is a multiple of @align, or NULL. */
static inline void *map_aligned(size_t length, size_t align)
{
	char *p = map_fresh(length + align);

	return p ? (void *)(((uintptr_t)p + align - 1) & ~(align - 1)) : NULL;
}

/* Writes a word of each page, so that it is there and is the process's own. */
static inline void touch(void *p, size_t length, uint64_t value)
{
	for (size_t at = 0; at < length; at += page_size())
		*(volatile uint64_t *)((char *)p + at) = value + at;
}

/* Reads a word of each page. */
static inline uint64_t look(const void *p, size_t length)
{
	uint64_t sum = 0;

	for (size_t at = 0; at < length; at += page_size())
		sum += *(const volatile uint64_t *)((const char *)p + at);
	return sum;
}

/* Random numbers that can be had again: the seed is printed. */
static inline uint64_t random_seed(void)
{
	const char *given = getenv("WALKER_SEED");
	struct timespec now;
	uint64_t seed;

	clock_gettime(CLOCK_REALTIME, &now);
	seed = given ? strtoull(given, NULL, 0) : now.tv_sec * 1000000007ull ^ now.tv_nsec;
	seed = seed ? seed : 1;
	printf("# seed %#llx: WALKER_SEED=... repeats it\n", (unsigned long long)seed);
	return seed;
}

/* Makes 64 KB folios of anonymous memory that asks for huge pages. */
static inline int allow_contiguous_folios(void)
{
	return write_file("madvise", "/sys/kernel/mm/transparent_hugepage/hugepages-64kB/enabled");
}

/*
 * Sees to it that there are @count huge pages of @kb KB; whether that worked. Some
 * sizes can only be had when the kernel starts.
 */
static inline bool reserve_hugetlb(size_t kb, long count)
{
	char path[80], text[24];

	snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-%zukB/nr_hugepages", kb);
	snprintf(text, sizeof(text), "%ld", count);
	write_file(text, path);
	return read_number(path) >= count;
}

/* @length bytes of hugetlb pages of 2^@shift bytes, or NULL. */
static inline void *map_hugetlb(size_t length, int shift)
{
	void *p = mmap(NULL, length, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | shift << MAP_HUGE_SHIFT, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

#endif /* SELFTESTS_SVA_WALKER_H */
