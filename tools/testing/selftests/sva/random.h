/* SPDX-License-Identifier: GPL-2.0 */
/* Numbers that look random, the same ones for the same seed. */
#ifndef SELFTESTS_SVA_RANDOM_H
#define SELFTESTS_SVA_RANDOM_H

#include <stdint.h>

static inline uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

#endif /* SELFTESTS_SVA_RANDOM_H */
