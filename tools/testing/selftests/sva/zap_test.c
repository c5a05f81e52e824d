// SPDX-License-Identifier: GPL-2.0
/*
 * All SMMUs go while their devices work: bonds end, then devices, then SMMUs.
 *
 * Its name has it run last: what other modules had behind the SMMU does not come back.
 */

#include "configfs_fixture.h"
#include "debugfs.h"

struct worker {
	int fd;
	unsigned int pasid;
	int64_t number;
	char device[64];
};

/* Has accelerator @number work until it is stopped. */
static int start(struct worker *w, int number, struct endless *job)
{
	snprintf(w->device, sizeof(w->device), "mock_accel.%d", number);
	w->fd = accel_open(number);
	if (w->fd < 0)
		return w->fd;
	w->pasid = accel_pasid(w->fd);
	w->number = accel_submit_endless(w->fd, job);
	return w->number < 0 ? w->number : 0;
}

static bool exists(const char *device)
{
	char path[96];

	snprintf(path, sizeof(path), "/sys/bus/platform/devices/%s", device);
	return !access(path, F_OK);
}

TEST_F(configfs, remove_while_in_use)
{
	static struct endless endless[3];
	struct mock_accel_completion done;
	struct worker workers[3];

	ASSERT_EQ(0, config_make(OWN, "online", "1", NULL));
	ASSERT_EQ(0, config_make(BEHIND, "online", "1", NULL));
	/* One alone in its group, one of a pair, and one behind another SMMU. */
	ASSERT_EQ(0, start(&workers[0], 0, &endless[0]));
	ASSERT_EQ(0, start(&workers[1], 2, &endless[1]));
	ASSERT_EQ(0, start(&workers[2], config_number(BEHIND), &endless[2]));
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(1, bond_refs(workers[i].device, workers[i].pasid));

	ASSERT_EQ(0, config_set(MOCK_DEBUG, "remove", "1"));
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(0, bond_refs(workers[i].device, workers[i].pasid));
		EXPECT_FALSE(exists(workers[i].device));
		EXPECT_EQ(-ENODEV, accel_wait(workers[i].fd, workers[i].number, &done));
		close(workers[i].fd);
	}
	EXPECT_NE(0, access(MOCK_DEBUG "/smmu0", F_OK));
	EXPECT_NE(0, access(MOCK_DEBUG "/kst", F_OK));
	EXPECT_TRUE(config_is(BEHIND, "online", "0"));
	EXPECT_TRUE(config_is(OWN, "online", "0"));
	EXPECT_TRUE(config_is(LOADED, "online", "0"));

	/* They can come back, and devices with the names and StreamIDs of before. */
	ASSERT_EQ(0, config_set(LOADED, "online", "1"));
	ASSERT_EQ(0, config_make(FIRST, "id", "2", "sid", "0x310", "group", "1", "online", "1",
				 NULL));
	ASSERT_EQ(0, config_make(SECOND, "id", "3", "sid", "0x311", "group", "1", "online", "1",
				 NULL));
	EXPECT_EQ(config_group(FIRST), config_group(SECOND));
	EXPECT_TRUE(works(FIRST));
	EXPECT_EQ(0, config_set(OWN, "online", "1"));
	EXPECT_EQ(0, config_set(BEHIND, "online", "1"));
	EXPECT_TRUE(works(BEHIND));
}

TEST_HARNESS_MAIN
