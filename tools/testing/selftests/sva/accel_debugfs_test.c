// SPDX-License-Identifier: GPL-2.0
/* What the kernel tells of bonds in debugfs. */

#include <sys/stat.h>

#include "accel.h"
#include "debugfs.h"

#define DEVICE "mock_accel.0"

/* The first line of a file, or "". */
static void first_line(const char *path, char *line, int size)
{
	FILE *file = fopen(path, "re");

	line[0] = 0;
	if (!file)
		return;
	if (!fgets(line, size, file))
		line[0] = 0;
	fclose(file);
}

TEST(bonds_has_its_columns)
{
	static const char * const names[] = {
		"device", "group", "pasid", "pid", "refs", "flags", "requests", "pages", "refused",
	};
	char line[512], *name, *rest;

	first_line(SVA_BONDS, line, sizeof(line));
	name = strtok_r(line, "\n ", &rest);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		ASSERT_NE(NULL, name);
		EXPECT_STREQ(names[i], name);
		name = strtok_r(NULL, "\n ", &rest);
	}
}

TEST(stats_has_its_numbers)
{
	static const char * const names[] = {
		"devices", "bonds", "address_spaces", "binds", "unbinds", "exits",
		"page_request_groups", "page_requests", "pages_served", "faults_refused",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		EXPECT_LE(0, read_stat(names[i]));
	EXPECT_LE(2, read_stat("devices"));
}

TEST(files_are_read_only)
{
	static const char * const paths[] = { SVA_BONDS, SVA_STATS };

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		int fd = open(paths[i], O_WRONLY);
		struct stat stat;

		/* Root may open any file. */
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, fstat(fd, &stat));
		EXPECT_EQ(0, stat.st_mode & 0222);
		EXPECT_EQ(-1, write(fd, "1", 1));
		close(fd);
	}
}

TEST(a_bond_is_a_line)
{
	int fd = accel_open(0);
	unsigned int pasid = accel_pasid(fd);
	struct bond bond;
	char path[64];

	ASSERT_LE(0, fd);
	ASSERT_EQ(1, find_bond(DEVICE, pasid, &bond));
	EXPECT_STREQ(DEVICE, bond.device);
	EXPECT_EQ(getpid(), bond.pid);
	EXPECT_EQ(1, bond.refs);
	EXPECT_NE(NULL, strstr(bond.flags, "pasid"));
	EXPECT_NE(NULL, strstr(bond.flags, "iopf"));

	/* The group is the one that sysfs tells. */
	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%d/devices/" DEVICE, bond.group);
	EXPECT_EQ(0, access(path, F_OK));
	close(fd);
	EXPECT_EQ(0, find_bond(DEVICE, pasid, &bond));
}

TEST(page_requests_are_counted_exactly)
{
	/* Not one after the other, or pages would be read ahead. */
	const size_t pages = 10, stride = 3 * page_size();
	int fd = accel_open(0);
	unsigned int pasid = accel_pasid(fd);
	char *memory = map_fresh(pages * stride);
	static struct job job, warm;
	struct bond before, after;

	ASSERT_LE(0, fd);
	/* The pages of descriptor and record first. */
	warm = fill_job(&warm.done, 0, 0);
	ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_run(fd, &warm));
	job = fill_job(memory, 1, 0);
	ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_run(fd, &job));
	ASSERT_EQ(1, find_bond(DEVICE, pasid, &before));

	for (size_t i = 0; i < pages; i++) {
		job = fill_job(memory + i * stride, 1, 8);
		ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_run(fd, &job));
	}
	ASSERT_EQ(1, find_bond(DEVICE, pasid, &after));
	EXPECT_EQ(before.requests + pages, after.requests);
	EXPECT_EQ(before.pages + pages, after.pages);
	EXPECT_EQ(before.refused, after.refused);

	job = crc32_job(NULL, 1, 0);
	ASSERT_EQ(MOCK_ACCEL_PAGE_FAULT, accel_run(fd, &job));
	ASSERT_EQ(1, find_bond(DEVICE, pasid, &after));
	EXPECT_EQ(before.requests + pages + 1, after.requests);
	EXPECT_EQ(before.pages + pages, after.pages);
	EXPECT_EQ(before.refused + 1, after.refused);
	close(fd);
}

TEST(totals_keep_what_ended_bonds_counted)
{
	int64_t binds = read_stat("binds"), unbinds = read_stat("unbinds");
	int64_t requests = read_stat("page_requests"), bonds = read_stat("bonds");
	int fd = accel_open(0), second = accel_open(0);
	uint64_t word = 0;
	int64_t in_use;

	ASSERT_LE(0, fd);
	EXPECT_EQ(binds + 1, read_stat("binds"));
	EXPECT_EQ(bonds + 1, read_stat("bonds"));
	EXPECT_EQ(MOCK_ACCEL_PAGE_FAULT, accel_fill(fd, NULL, 1, 8));
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(second, &word, 1, 8));
	in_use = read_stat("page_requests");
	EXPECT_LT(requests, in_use);
	close(second);
	EXPECT_EQ(unbinds, read_stat("unbinds"));
	close(fd);
	EXPECT_EQ(unbinds + 1, read_stat("unbinds"));
	EXPECT_EQ(bonds, read_stat("bonds"));
	EXPECT_EQ(in_use, read_stat("page_requests"));
}

TEST(exits_are_counted)
{
	int64_t exits = read_stat("exits");
	int pipes[2];
	unsigned int pasid = 0;
	pid_t child;

	ASSERT_EQ(0, pipe(pipes));
	child = fork();
	if (!child) {
		int fd = accel_open(0);

		pasid = accel_pasid(fd);
		_exit(write(pipes[1], &pasid, sizeof(pasid)) != sizeof(pasid));
	}
	ASSERT_EQ(0, child_status(child));
	ASSERT_EQ(sizeof(pasid), read(pipes[0], &pasid, sizeof(pasid)));
	ASSERT_NE(0, pasid);
	EXPECT_TRUE(bond_vanishes(DEVICE, pasid));
	/* The file may be closed before the exit is dealt with, and unbind first. */
	EXPECT_LE(exits, read_stat("exits"));
	EXPECT_GE(exits + 1, read_stat("exits"));
}

/* Reading while bonds come and go. */
TEST(readable_during_churn)
{
	pid_t child = fork();
	int status;

	if (!child) {
		for (int i = 0; i < 300; i++)
			close(accel_open(i % 2));
		_exit(0);
	}
	do {
		struct bond bond;

		ASSERT_LE(0, find_bond(DEVICE, 0, &bond));
		ASSERT_LE(0, read_stat("bonds"));
	} while (waitpid(child, &status, WNOHANG) == 0);
	EXPECT_EQ(0, status);
}

TEST_HARNESS_MAIN
