// SPDX-License-Identifier: GPL-2.0
/* Accelerators in one IOMMU group: S12, S15, S16. */

#include "accel.h"
#include "debugfs.h"
#include "configfs.h"

#define FIRST LOADED "/ksg0"
#define SECOND LOADED "/ksg1"

FIXTURE(group) {
};

FIXTURE_SETUP(group)
{
	ASSERT_EQ(0, access(MOCK_CONFIG, F_OK));
	ASSERT_EQ(0, config_make(FIRST, "group", "ksg", "online", "1", NULL));
}

FIXTURE_TEARDOWN(group)
{
	EXPECT_EQ(0, config_rmdir(FIRST));
	if (!access(SECOND, F_OK))
		EXPECT_EQ(0, config_rmdir(SECOND));
}

/* Whether the accelerator writes to this process's memory. */
static bool works(int fd)
{
	uint64_t word = 0;

	return accel_fill(fd, &word, 7, 8) == MOCK_ACCEL_SUCCESS && word == 7;
}

TEST_F(group, s12_one_pasid_for_all)
{
	int first, second;

	ASSERT_EQ(0, config_make(SECOND, "group", "ksg", "online", "1", NULL));
	ASSERT_EQ(config_group(FIRST), config_group(SECOND));
	first = accel_open(config_number(FIRST));
	ASSERT_LE(0, first);
	second = accel_open(config_number(SECOND));
	ASSERT_LE(0, second);
	EXPECT_NE(0, accel_pasid(first));
	EXPECT_EQ(accel_pasid(first), accel_pasid(second));
	EXPECT_TRUE(works(first));
	EXPECT_TRUE(works(second));
	close(first);
	EXPECT_TRUE(works(second));
	close(second);
}

TEST_F(group, s16_member_comes_and_goes)
{
	int first = accel_open(config_number(FIRST)), second;

	ASSERT_LE(0, first);
	EXPECT_TRUE(works(first));
	ASSERT_EQ(0, config_make(SECOND, "group", "ksg", "online", "1", NULL));
	second = accel_open(config_number(SECOND));
	ASSERT_LE(0, second);
	EXPECT_TRUE(works(first));
	EXPECT_TRUE(works(second));

	ASSERT_EQ(0, config_set(SECOND, "online", "0"));
	EXPECT_TRUE(works(first));
	EXPECT_FALSE(works(second));
	close(second);
	EXPECT_TRUE(works(first));
	close(first);
}

TEST_F(group, s15_member_without_pasids)
{
	int first;

	/* The driver leaves it to others. */
	ASSERT_EQ(0, config_make(SECOND, "group", "ksg", "pasid_bits", "0", "online", "1", NULL));
	EXPECT_EQ(-ENOENT, accel_open(config_number(SECOND)));
	first = accel_open(config_number(FIRST));
	ASSERT_LE(0, first);
	EXPECT_TRUE(works(first));
	close(first);
}

TEST_HARNESS_MAIN
