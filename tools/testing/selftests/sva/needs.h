/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Part of every test program here: where the modules are not loaded, or for a user who is not
 * root, all of it is skipped, before any test has begun.
 */
#ifndef SELFTESTS_SVA_NEEDS_H
#define SELFTESTS_SVA_NEEDS_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* As KSFT_SKIP in kselftest.h. */
#define NEEDS_SKIP 4

__attribute__((constructor)) static void needs_modules_and_root(void)
{
	const char *missing = NULL;

	if (access("/sys/module/sva_core", F_OK))
		missing = "the modules are not loaded: modprobe mock_accel";
	else if (geteuid())
		missing = "only root may";
	if (missing) {
		printf("1..0 # SKIP %s\n", missing);
		exit(NEEDS_SKIP);
	}
}

#endif /* SELFTESTS_SVA_NEEDS_H */
