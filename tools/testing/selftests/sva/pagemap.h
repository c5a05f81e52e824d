/* SPDX-License-Identifier: GPL-2.0 */
/* What /proc/self/pagemap tells of a page. */
#ifndef SELFTESTS_SVA_PAGEMAP_H
#define SELFTESTS_SVA_PAGEMAP_H

#include "accel.h"

/* Bits of an entry: the page is in the page table, or in swap. */
#define PRESENT 63
#define SWAPPED 62
/* The number of the page frame, of an entry that is present. */
#define FRAME ((1ull << 55) - 1)

static inline int pagemap_open(void)
{
	return open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
}

/* Reads the entries of @count pages at @p; whether it could. */
static inline bool pagemap_read(int pagemap, const void *p, uint64_t *entries, size_t count)
{
	ssize_t length = count * sizeof(*entries);
	off_t at = (uintptr_t)p / page_size() * sizeof(*entries);

	return pread(pagemap, entries, length, at) == length;
}

#endif /* SELFTESTS_SVA_PAGEMAP_H */
