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

/* The number of the group of an accelerator that is there after loading, or a negative errno. */
static int loaded_group(int accel)
{
	char name[32];

	snprintf(name, sizeof(name), "mock_accel.%d", accel);
	return device_group(name);
}

/* Two alone, a pair, and a pair of which one has no PASIDs. */
TEST(groups_of_loading)
{
	static const int mates[] = { 0, 1, 3, 2, 5, 4 };

	for (int i = 0; i < 6; i++) {
		int group = loaded_group(i);

		ASSERT_LE(0, group);
		for (int j = 0; j < 6; j++)
			EXPECT_EQ(j == i || j == mates[i], loaded_group(j) == group);
	}
	for (int i = 0; i < 5; i++) {
		int fd = accel_open(i);

		ASSERT_LE(0, fd);
		EXPECT_TRUE(works(fd));
		close(fd);
	}
	/* The driver leaves it to others. */
	EXPECT_EQ(-ENOENT, accel_open(5));
}

TEST_HARNESS_MAIN
