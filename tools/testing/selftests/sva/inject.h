/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Faults of a mock SMMU, by the kernel's fault injection.
 *
 * All functions return 0 or more, or a negative errno.
 */
#ifndef SELFTESTS_SVA_INJECT_H
#define SELFTESTS_SVA_INJECT_H

#include "configfs.h"

/* The next @times times @what goes wrong in instance @name; negative for ever. */
static inline int inject(const char *name, const char *what, int times)
{
	char dir[96], number[16];
	int ret;

	snprintf(dir, sizeof(dir), MOCK_DEBUG "/%s/%s", name, what);
	snprintf(number, sizeof(number), "%d", times);
	ret = config_set(dir, "times", number);
	return ret ?: config_set(dir, "probability", "100");
}

/* How often it still will; 0 when it is over. */
static inline int inject_left(const char *name, const char *what)
{
	char dir[96], number[16];

	snprintf(dir, sizeof(dir), MOCK_DEBUG "/%s/%s", name, what);
	return config_get(dir, "times", number, sizeof(number)) ?: atoi(number);
}

/* Whether this kernel has it. */
static inline bool can_inject(void)
{
	return !access(MOCK_DEBUG "/smmu0/fail_alloc", F_OK);
}

#endif /* SELFTESTS_SVA_INJECT_H */
