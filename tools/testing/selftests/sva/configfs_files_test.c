// SPDX-License-Identifier: GPL-2.0
/* Each file of an SMMU and of a device: what it says at first, and what it says later. */

#include <dirent.h>

#include "configfs_fixture.h"

struct file {
	const char *name;
	/* What it says at first; NULL for what depends on the machine. */
	const char *first;
	/* Something else that it takes; NULL for a file that only tells. */
	const char *other;
};

static const struct file smmu_files[] = {
	{ "sid_bits", "16", "9" },
	{ "ssid_bits", "20", "7" },
	{ "cmdq_bits", "10", "6" },
	{ "evtq_bits", "8", "5" },
	{ "priq_bits", "9", "4" },
	{ "httu", NULL, "1" },
	{ "gran16k", "1", "0" },
	{ "gran64k", "1", "0" },
	{ "ats", "1", "0" },
	{ "pri", "1", "0" },
	{ "ril", "1", "0" },
	{ "stall_model", "0", "2" },
	{ "stall_max", "64", "65535" },
	{ "term_model", "0", "1" },
	{ "asid16", "1", "0" },
	{ "page_hints", "0", "1" },
	{ "walk_cache", "0", "1" },
	{ "oas_bits", NULL, "42" },
	{ "cache_invalid", "1", "0" },
	{ "merge_events", "0", "1" },
	{ "strict", "0", "1" },
	{ "evict_one_in", "0", "1000000" },
	{ "online", "0", "1" },
};

static const struct file device_files[] = {
	{ "pasid_bits", "16", "5" },
	{ "sid", "auto", "0x77" },
	{ "group", "none", "pair" },
	{ "ats", "1", "0" },
	{ "pri", "1", "0" },
	{ "stall", "0", "1" },
	{ "translated", "0", "1" },
	{ "reserved", "", "0x1000+0x2000" },
	{ "direct", "", "0x9000+0x1000" },
	{ "max_outstanding", "256", "7" },
	{ "max_retries", "16", "3" },
	{ "timeout_ms", "10000", "250" },
	{ "sleep_after", "auto", "0" },
	{ "driver", "mock_accel", "kst_member" },
	{ "id", "auto", "55" },
	{ "device", NULL, NULL },
	{ "online", "0", "1" },
};

/* How many files @dir has. */
static size_t count_files(const char *dir)
{
	DIR *stream = opendir(dir);
	struct dirent *entry;
	size_t count = 0;

	while (stream && (entry = readdir(stream)))
		count += entry->d_type == DT_REG;
	if (stream)
		closedir(stream);
	return count;
}

static void check_files(struct __test_metadata *_metadata, const char *dir,
			const struct file *files, size_t count)
{
	/* There are no others. */
	EXPECT_EQ(count, count_files(dir));
	for (size_t i = 0; i < count; i++) {
		if (files[i].first) {
			EXPECT_TRUE(config_is(dir, files[i].name, files[i].first)) {
				TH_LOG("%s at first", files[i].name);
			}
		}
	}
	for (size_t i = 0; i < count; i++) {
		if (files[i].other) {
			EXPECT_EQ(0, config_set(dir, files[i].name, files[i].other)) {
				TH_LOG("%s", files[i].name);
			}
		}
	}
	/* Nor does one change what another says; plugged in they still say it. */
	for (size_t i = 0; i < count; i++) {
		if (files[i].other) {
			EXPECT_TRUE(config_is(dir, files[i].name, files[i].other)) {
				TH_LOG("%s after it was written", files[i].name);
			}
		}
	}
}

TEST_F(configfs, files_of_an_smmu)
{
	ASSERT_EQ(0, config_mkdir(OWN));
	check_files(_metadata, OWN, smmu_files, ARRAY_SIZE(smmu_files));
}

TEST_F(configfs, files_of_a_device)
{
	ASSERT_EQ(0, config_mkdir(FIRST));
	check_files(_metadata, FIRST, device_files, ARRAY_SIZE(device_files));
	EXPECT_TRUE(config_is(FIRST, "device", "kst_member.55"));
}

TEST_HARNESS_MAIN
