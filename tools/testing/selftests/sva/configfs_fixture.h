/* SPDX-License-Identifier: GPL-2.0 */
/* An SMMU of one's own and devices behind it, or behind the one that there is, for tests. */
#ifndef SELFTESTS_SVA_CONFIGFS_FIXTURE_H
#define SELFTESTS_SVA_CONFIGFS_FIXTURE_H

#include "accel.h"
#include "configfs.h"

#define OWN MOCK_CONFIG "/kst"
#define FIRST LOADED "/kst0"
#define SECOND LOADED "/kst1"
#define BEHIND OWN "/kst2"

FIXTURE(configfs) {
};

FIXTURE_SETUP(configfs)
{
	ASSERT_EQ(0, access(MOCK_CONFIG, F_OK));
}

FIXTURE_TEARDOWN(configfs)
{
	static const char * const dirs[] = { FIRST, SECOND, BEHIND, OWN };

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		if (!access(dirs[i], F_OK))
			EXPECT_EQ(0, config_rmdir(dirs[i]));
}

/* Opens the accelerator that @dir is. */
static inline int open_accel(const char *dir)
{
	int number = config_number(dir);

	return number < 0 ? number : accel_open(number);
}

/* Whether the accelerator that @dir is does work for this process. */
static inline bool works(const char *dir)
{
	int fd = open_accel(dir);
	uint64_t word = 0;
	bool done;

	if (fd < 0)
		return false;
	done = accel_fill(fd, &word, 7, 8) == MOCK_ACCEL_SUCCESS && word == 7;
	close(fd);
	return done;
}

#endif /* SELFTESTS_SVA_CONFIGFS_FIXTURE_H */
