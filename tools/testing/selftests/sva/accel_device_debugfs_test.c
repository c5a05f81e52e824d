// SPDX-License-Identifier: GPL-2.0
/* What the kernel tells of a device in debugfs. */

#include "accel.h"
#include "configfs.h"
#include "debugfs.h"
#include "driver.h"

#define DEVICE "mock_accel.0"
#define OTHER "mock_accel.1"

/* How many bonds of @device under @pasid its own file lists. */
static int lines_of(const char *path, const char *device, unsigned int pasid)
{
	FILE *file = fopen(path, "re");
	char line[512], name[32];
	unsigned int number;
	int lines = 0;

	if (!file)
		return -errno;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "%31s %*d %u", name, &number) == 2 && !strcmp(name, device) &&
		    number == pasid)
			lines++;
	fclose(file);
	return lines;
}

TEST(what_a_device_is)
{
	char value[64], path[128];

	ASSERT_TRUE(read_value(SVA_DEVICES DEVICE, "features", value, sizeof(value)));
	EXPECT_STREQ("pasid+iopf", value);
	ASSERT_TRUE(read_value(SVA_DEVICES DEVICE, "max_pasid", value, sizeof(value)));
	EXPECT_LT(0, atoi(value));
	EXPECT_GT(1 << 20, atoi(value));
	/* The group is the one that sysfs tells. */
	ASSERT_TRUE(read_value(SVA_DEVICES DEVICE, "group", value, sizeof(value)));
	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%s/devices/" DEVICE, value);
	EXPECT_EQ(0, access(path, F_OK));
	ASSERT_TRUE(read_value(SVA_DEVICES DEVICE, "member", value, sizeof(value)));
	EXPECT_STREQ(DEVICE " pasid+iopf", value);
}

/* Also of a device that its driver could not initialise: why. */
TEST(why_a_device_is_not_initialised)
{
	const char *dir = LOADED "/refused";
	char name[64], path[128], value[128];

	if (access("/sys/bus/platform/drivers/sva_test", F_OK))
		SKIP(return, "the module with the test driver is not loaded");
	ASSERT_EQ(0, config_make(dir, "driver", "sva_test", "pasid_bits", "0", "online", "1",
				 NULL));
	ASSERT_EQ(0, config_get(dir, "device", name, sizeof(name)));
	snprintf(path, sizeof(path), SVA_DEVICES "%s", name);
	EXPECT_TRUE(read_value(path, "refused", value, sizeof(value)));
	EXPECT_STREQ("1 no SVA: the device or its IOMMU has no PASIDs", value);
	EXPECT_FALSE(read_value(path, "features", value, sizeof(value)));
	/* When it can be, the file is that of what it is then. */
	ASSERT_EQ(0, config_set(dir, "online", "0"));
	ASSERT_EQ(0, config_set(dir, "pasid_bits", "8"));
	ASSERT_EQ(0, config_set(dir, "online", "1"));
	ASSERT_EQ(0, config_get(dir, "device", name, sizeof(name)));
	snprintf(path, sizeof(path), SVA_DEVICES "%s", name);
	EXPECT_TRUE(read_value(path, "features", value, sizeof(value)));
	EXPECT_STREQ("pasid+iopf", value);
	EXPECT_EQ(0, config_set(dir, "online", "0"));
	EXPECT_EQ(0, config_rmdir(dir));
	EXPECT_NE(0, access(path, F_OK));
}

TEST(bonds_of_a_device)
{
	int64_t bonds = read_device_stat(DEVICE, "bonds");
	int64_t others = read_device_stat(OTHER, "bonds");
	int fd = accel_open(0);
	unsigned int pasid = accel_pasid(fd);

	ASSERT_LE(0, fd);
	EXPECT_EQ(bonds + 1, read_device_stat(DEVICE, "bonds"));
	EXPECT_EQ(others, read_device_stat(OTHER, "bonds"));
	EXPECT_EQ(1, lines_of(SVA_DEVICES DEVICE, DEVICE, pasid));
	EXPECT_EQ(0, lines_of(SVA_DEVICES OTHER, DEVICE, pasid));
	close(fd);
	EXPECT_EQ(bonds, read_device_stat(DEVICE, "bonds"));
	EXPECT_EQ(0, lines_of(SVA_DEVICES DEVICE, DEVICE, pasid));
}

TEST(statistics_of_a_device)
{
	static const char * const names[] = {
		"binds", "unbinds", "exits", "page_request_groups", "page_requests",
		"pages_served", "faults_refused",
	};
	enum { BINDS, UNBINDS, EXITS, GROUPS, REQUESTS, SERVED, REFUSED };
	int64_t before[ARRAY_SIZE(names)], after[ARRAY_SIZE(names)], other[ARRAY_SIZE(names)];
	uint64_t *memory = map_fresh(page_size());
	int fd = accel_open(0);

	ASSERT_LE(0, fd);
	ASSERT_NE(NULL, memory);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		before[i] = read_device_stat(DEVICE, names[i]);
		other[i] = read_device_stat(OTHER, names[i]);
		EXPECT_LE(0, before[i]);
		EXPECT_LE(0, other[i]);
	}
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(fd, memory, 1, 8));
	EXPECT_EQ(MOCK_ACCEL_PAGE_FAULT, accel_fill(fd, NULL, 1, 8));
	close(fd);

	/* What an ended bond has counted stays. */
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		after[i] = read_device_stat(DEVICE, names[i]);
		EXPECT_EQ(other[i], read_device_stat(OTHER, names[i]));
	}
	EXPECT_EQ(before[BINDS], after[BINDS]);
	EXPECT_EQ(before[UNBINDS] + 1, after[UNBINDS]);
	EXPECT_EQ(before[EXITS], after[EXITS]);
	EXPECT_LE(before[GROUPS] + 2, after[GROUPS]);
	EXPECT_LE(before[SERVED] + 1, after[SERVED]);
	EXPECT_EQ(before[REFUSED] + 1, after[REFUSED]);
	EXPECT_EQ(after[SERVED] + after[REFUSED], after[REQUESTS]);
}

TEST(file_goes_with_the_driver)
{
	char text[64];
	int fd = open(SVA_DEVICES OTHER, O_RDONLY | O_CLOEXEC);

	ASSERT_LE(0, fd);
	EXPECT_LT(0, read(fd, text, 8));
	ASSERT_EQ(0, driver_unbind(OTHER));
	EXPECT_EQ(-1, access(SVA_DEVICES OTHER, F_OK));
	EXPECT_EQ(0, access(SVA_DEVICES DEVICE, F_OK));
	/* Who has it open reads nothing more. */
	EXPECT_EQ(-1, read(fd, text, sizeof(text)));
	close(fd);
	ASSERT_EQ(0, driver_bind(OTHER));
	EXPECT_EQ(0, access(SVA_DEVICES OTHER, F_OK));
	/* It begins anew. */
	EXPECT_EQ(0, read_device_stat(OTHER, "binds"));
}

TEST(readable_while_drivers_come_and_go)
{
	pid_t child = fork();
	int status;

	if (!child) {
		int failed = 0;

		for (int i = 0; i < 20; i++) {
			int fd = accel_open(1);

			failed += fd < 0 || driver_unbind(OTHER);
			close(fd);
			failed += !!driver_bind(OTHER);
		}
		_exit(!!failed);
	}
	do {
		/* Either it is there with all that it tells, or not at all. */
		read_device_stat(OTHER, "page_requests");
		ASSERT_LE(0, read_device_stat(DEVICE, "page_requests"));
	} while (waitpid(child, &status, WNOHANG) == 0);
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, read_device_stat(OTHER, "bonds"));
}

TEST_HARNESS_MAIN
