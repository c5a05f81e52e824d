// SPDX-License-Identifier: GPL-2.0
/* Instances and devices of the mock SMMU come and go through configfs. */

#include "configfs_fixture.h"

#include "debugfs.h"

TEST_F(configfs, instance_of_loading)
{
	EXPECT_TRUE(config_is(LOADED, "online", "1"));
	EXPECT_TRUE(config_is(LOADED, "ssid_bits", "20"));
	EXPECT_TRUE(config_is(LOADED, "sid_bits", "16"));
	EXPECT_TRUE(config_is(LOADED, "pri", "1"));
	/* What is online does not change, nor go while devices are behind it. */
	EXPECT_EQ(-EBUSY, config_set(LOADED, "ssid_bits", "8"));
	EXPECT_EQ(-EBUSY, config_set(LOADED, "online", "0"));
	EXPECT_EQ(-EPERM, config_rmdir(LOADED));
	EXPECT_EQ(-EEXIST, config_mkdir(LOADED));
	EXPECT_EQ(0, config_set(LOADED, "online", "1"));
}

TEST_F(configfs, device_behind_the_loaded_instance)
{
	ASSERT_EQ(0, config_make(FIRST, "online", "1", NULL));
	EXPECT_TRUE(config_is(FIRST, "online", "1"));
	EXPECT_TRUE(works(FIRST));
	/* Hot-plug again and again. */
	for (int i = 0; i < 5; i++) {
		ASSERT_EQ(0, config_set(FIRST, "online", "0"));
		EXPECT_TRUE(config_is(FIRST, "online", "0"));
		EXPECT_EQ(-ENODEV, config_number(FIRST));
		ASSERT_EQ(0, config_set(FIRST, "online", "1"));
	}
	EXPECT_TRUE(works(FIRST));
}

/* The driver finds StreamIDs for devices whatever their length; the table has as many levels. */
TEST_F(configfs, stream_ids_of_each_length)
{
	static const char * const lengths[] = { "1", "6", "8", "32" };

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		ASSERT_EQ(0, config_make(OWN, "sid_bits", lengths[i], "online", "1", NULL));
		ASSERT_EQ(0, config_make(BEHIND, "online", "1", NULL));
		EXPECT_TRUE(works(BEHIND));
		EXPECT_EQ(0, config_set(BEHIND, "online", "0"));
		EXPECT_EQ(0, rmdir(BEHIND));
		EXPECT_EQ(0, config_set(OWN, "online", "0"));
		EXPECT_EQ(0, rmdir(OWN));
	}
}

TEST_F(configfs, own_instance_with_a_device)
{
	ASSERT_EQ(0, config_make(OWN, "ssid_bits", "10", "strict", "1", "evict_one_in", "3",
				 "walk_cache", "1", "merge_events", "1", "online", "1", NULL));
	EXPECT_EQ(0, access(MOCK_DEBUG "/kst/regs", F_OK));
	ASSERT_EQ(0, config_make(BEHIND, "online", "1", NULL));
	EXPECT_TRUE(works(BEHIND));
	EXPECT_EQ(0, config_set(BEHIND, "online", "0"));
	EXPECT_EQ(0, config_set(OWN, "online", "0"));
	EXPECT_NE(0, access(MOCK_DEBUG "/kst", F_OK));
	/* Its device cannot come back without it. */
	EXPECT_EQ(-ENODEV, config_set(BEHIND, "online", "1"));
	EXPECT_EQ(0, config_set(OWN, "online", "1"));
	EXPECT_EQ(0, config_set(BEHIND, "online", "1"));
	EXPECT_TRUE(works(BEHIND));
}

TEST_F(configfs, id_registers)
{
	int64_t idr0, idr1, idr5;

	ASSERT_EQ(0, config_make(OWN, "sid_bits", "9", "ssid_bits", "7", "cmdq_bits", "6",
				 "evtq_bits", "5", "priq_bits", "4", "httu", "1",
				 "gran16k", "0", "gran64k", "0", "ril", "0", "oas_bits", "42",
				 "cache_invalid", "0", "stall_model", "2", "stall_max", "3",
				 "term_model", "1", "asid16", "0", "page_hints", "1", NULL));
	EXPECT_TRUE(config_is(OWN, "oas_bits", "42"));
	ASSERT_EQ(0, config_set(OWN, "online", "1"));
	idr0 = debugfs_register("kst", "IDR0");
	idr1 = debugfs_register("kst", "IDR1");
	idr5 = debugfs_register("kst", "IDR5");
	EXPECT_EQ(1, idr0 >> 6 & 3);
	EXPECT_EQ(1, idr0 >> 10 & 1);
	EXPECT_EQ(1, idr0 >> 16 & 1);
	EXPECT_EQ(2, idr0 >> 24 & 3);
	EXPECT_EQ(1, idr0 >> 26 & 1);
	EXPECT_EQ(0, idr0 >> 12 & 1);
	EXPECT_EQ(9, idr1 & 0x3f);
	EXPECT_EQ(7, idr1 >> 6 & 0x1f);
	EXPECT_EQ(4, idr1 >> 11 & 0x1f);
	EXPECT_EQ(5, idr1 >> 16 & 0x1f);
	EXPECT_EQ(6, idr1 >> 21 & 0x1f);
	EXPECT_EQ(0, debugfs_register("kst", "IDR3") >> 10 & 1);
	EXPECT_EQ(3, idr5 & 7);
	EXPECT_EQ(1, idr5 >> 4 & 7);

	ASSERT_EQ(0, config_set(OWN, "online", "0"));
	ASSERT_EQ(0, config_set(OWN, "pri", "0"));
	ASSERT_EQ(0, config_set(OWN, "ats", "0"));
	ASSERT_EQ(0, config_set(OWN, "online", "1"));
	idr0 = debugfs_register("kst", "IDR0");
	EXPECT_EQ(0, idr0 >> 10 & 1);
	EXPECT_EQ(0, idr0 >> 16 & 1);
}

TEST_F(configfs, nonsense_is_refused)
{
	static const struct {
		const char *dir;
		const char *file;
		const char *text;
		int error;
	} cases[] = {
		{ OWN, "sid_bits", "33", -ERANGE },
		{ OWN, "ssid_bits", "21", -ERANGE },
		{ OWN, "ssid_bits", "many", -EINVAL },
		{ OWN, "cmdq_bits", "20", -ERANGE },
		{ OWN, "httu", "4", -ERANGE },
		{ OWN, "oas_bits", "41", -EINVAL },
		{ OWN, "ats", "2", -ERANGE },
		{ OWN, "stall_model", "3", -ERANGE },
		{ OWN, "stall_max", "65536", -ERANGE },
		{ OWN, "evict_one_in", "0x100000000", -ERANGE },
		{ OWN, "online", "maybe", -EINVAL },
		{ FIRST, "pasid_bits", "21", -ERANGE },
		{ FIRST, "pasid_bits", "-1", -EINVAL },
		{ FIRST, "pasid_bits", "\n", -EINVAL },
		{ FIRST, "sid", "0x100000000", -ERANGE },
		{ FIRST, "sid", "any", -EINVAL },
		{ FIRST, "group", "a/b", -EINVAL },
		{ FIRST, "group", "0x80000000", -ERANGE },
		{ FIRST, "ats", "perhaps", -EINVAL },
		{ FIRST, "stall", "2", -EINVAL },
		{ FIRST, "translated", "\n", -EINVAL },
		{ FIRST, "reserved", "0x1000", -EINVAL },
		{ FIRST, "reserved", "0x1000+0", -EINVAL },
		{ FIRST, "direct", "1+1 2+1 3+1 4+1 5+1", -E2BIG },
		{ FIRST, "max_outstanding", "0", -ERANGE },
		{ FIRST, "max_outstanding", "65536", -ERANGE },
		{ FIRST, "timeout_ms", "soon", -EINVAL },
		{ FIRST, "sleep_after", "0x100000000", -ERANGE },
		{ FIRST, "sleep_after", "late", -EINVAL },
		{ FIRST, "driver", "\n", -EINVAL },
		{ FIRST, "driver", "two words", -EINVAL },
		{ FIRST, "id", "-1", -EINVAL },
		{ FIRST, "device", "mock_accel.9", -EACCES },
		{ FIRST, "online", "2", -EINVAL },
	};

	ASSERT_EQ(0, config_mkdir(OWN));
	ASSERT_EQ(0, config_mkdir(FIRST));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		EXPECT_EQ(cases[i].error, config_set(cases[i].dir, cases[i].file, cases[i].text)) {
			TH_LOG("%s: %s", cases[i].file, cases[i].text);
		}
	}
	/* It left no trace. */
	ASSERT_EQ(0, config_set(FIRST, "online", "1"));
	EXPECT_TRUE(works(FIRST));
	/* Together they make no sense. */
	EXPECT_EQ(0, config_set(OWN, "ats", "0"));
	EXPECT_EQ(-EINVAL, config_set(OWN, "online", "1"));
	EXPECT_TRUE(config_is(OWN, "online", "0"));
}

TEST_F(configfs, nothing_changes_under_a_device)
{
	static const char * const files[] = {
		"pasid_bits", "sid", "group", "ats", "pri", "stall", "translated", "reserved",
		"direct", "max_outstanding", "max_retries", "timeout_ms", "sleep_after",
		"driver", "id",
	};

	ASSERT_EQ(0, config_make(FIRST, "online", "1", NULL));
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		EXPECT_EQ(-EBUSY, config_set(FIRST, files[i], "1"));
}

TEST_F(configfs, taken_numbers)
{
	ASSERT_EQ(0, config_make(FIRST, "sid", "0x100", NULL));
	EXPECT_EQ(-EBUSY, config_set(FIRST, "online", "1"));
	EXPECT_EQ(0, config_set(FIRST, "sid", "0x77"));
	EXPECT_EQ(0, config_set(FIRST, "id", "0"));
	EXPECT_EQ(-EEXIST, config_set(FIRST, "online", "1"));
	EXPECT_EQ(0, config_set(FIRST, "id", "40"));
	ASSERT_EQ(0, config_set(FIRST, "online", "1"));
	EXPECT_EQ(40, config_number(FIRST));
	EXPECT_TRUE(config_is(FIRST, "sid", "0x77"));
	EXPECT_TRUE(works(FIRST));

	/* More than the SMMU has. */
	ASSERT_EQ(0, config_make(SECOND, "sid", "0x10000", NULL));
	EXPECT_EQ(-EINVAL, config_set(SECOND, "online", "1"));
	EXPECT_EQ(0, config_set(SECOND, "sid", "auto"));
	EXPECT_EQ(0, config_set(SECOND, "online", "1"));
}

TEST_F(configfs, instance_stays_while_devices_are_behind_it)
{
	ASSERT_EQ(0, config_make(OWN, "online", "1", NULL));
	ASSERT_EQ(0, config_make(BEHIND, "online", "1", NULL));
	EXPECT_EQ(-EBUSY, config_set(OWN, "online", "0"));
	EXPECT_EQ(-ENOTEMPTY, config_rmdir(OWN));
	EXPECT_TRUE(works(BEHIND));
	EXPECT_EQ(0, config_rmdir(BEHIND));
	EXPECT_EQ(0, config_rmdir(OWN));
	EXPECT_NE(0, access(MOCK_DEBUG "/kst", F_OK));
}

/* A device leaves in mid-job: the job ends, then the bond, then the device. */
static void leave_in_use(struct __test_metadata *_metadata, bool with_directory)
{
	static struct endless endless;
	struct mock_accel_completion done;
	unsigned int pasid;
	char device[64];
	int64_t number;
	int fd;

	ASSERT_EQ(0, config_make(FIRST, "online", "1", NULL));
	ASSERT_EQ(0, config_get(FIRST, "device", device, sizeof(device)));
	fd = open_accel(FIRST);
	ASSERT_LE(0, fd);
	pasid = accel_pasid(fd);
	number = accel_submit_endless(fd, &endless);
	ASSERT_LT(0, number);
	EXPECT_EQ(1, bond_refs(device, pasid));

	ASSERT_EQ(0, with_directory ? config_rmdir(FIRST) : config_set(FIRST, "online", "0"));
	EXPECT_EQ(0, bond_refs(device, pasid));
	EXPECT_EQ(-ENODEV, accel_wait(fd, number, &done));
	close(fd);
}

TEST_F(configfs, offline_while_in_use)
{
	leave_in_use(_metadata, false);
	/* It comes back as good as new. */
	ASSERT_EQ(0, config_set(FIRST, "online", "1"));
	EXPECT_TRUE(works(FIRST));
}

TEST_F(configfs, rmdir_while_in_use)
{
	leave_in_use(_metadata, true);
	ASSERT_EQ(0, config_make(FIRST, "online", "1", NULL));
	EXPECT_TRUE(works(FIRST));
}

/* Two processes make and remove at the same time. */
TEST_F(configfs, churn)
{
	pid_t child = fork();

	if (!child) {
		for (int i = 0; i < 20; i++)
			if (config_make(OWN, "online", "1", NULL) || config_rmdir(OWN))
				_exit(1);
		_exit(0);
	}
	for (int i = 0; i < 20; i++) {
		ASSERT_EQ(0, config_make(FIRST, "online", "1", NULL));
		ASSERT_EQ(0, config_rmdir(FIRST));
	}
	EXPECT_EQ(0, child_status(child));
}

TEST_HARNESS_MAIN
