// SPDX-License-Identifier: GPL-2.0
/* What devices of the mock SMMU are like, as configfs says. */

#include "configfs_fixture.h"

#include "debugfs.h"

TEST_F(configfs, groups)
{
	char path[64];
	int pair;

	/* Nobody's driver, so that nobody minds the company. */
	ASSERT_EQ(0, config_make(FIRST, "driver", "kst_member", "group", "pair",
				 "online", "1", NULL));
	ASSERT_EQ(0, config_make(SECOND, "driver", "kst_member", "group", "pair",
				 "online", "1", NULL));
	EXPECT_TRUE(config_is(SECOND, "group", "pair"));
	pair = config_group(FIRST);
	ASSERT_LE(0, pair);
	EXPECT_EQ(pair, config_group(SECOND));

	/* The group stays with its last member, and goes with it. */
	ASSERT_EQ(0, config_set(FIRST, "online", "0"));
	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%d", pair);
	EXPECT_EQ(0, access(path, F_OK));
	ASSERT_EQ(0, config_set(FIRST, "group", "none"));
	ASSERT_EQ(0, config_set(FIRST, "online", "1"));
	EXPECT_NE(pair, config_group(FIRST));
	ASSERT_EQ(0, config_set(SECOND, "online", "0"));
	EXPECT_NE(0, access(path, F_OK));

	/* By number. */
	ASSERT_EQ(0, config_set(SECOND, "group", "77"));
	EXPECT_TRUE(config_is(SECOND, "group", "77"));
	ASSERT_EQ(0, config_set(FIRST, "online", "0"));
	ASSERT_EQ(0, config_set(FIRST, "group", "77"));
	ASSERT_EQ(0, config_set(FIRST, "online", "1"));
	ASSERT_EQ(0, config_set(SECOND, "online", "1"));
	EXPECT_EQ(config_group(FIRST), config_group(SECOND));
}

TEST_F(configfs, narrow_pasids)
{
	unsigned int pasid;
	int fd;

	ASSERT_EQ(0, config_make(FIRST, "pasid_bits", "2", "online", "1", NULL));
	fd = open_accel(FIRST);
	ASSERT_LE(0, fd);
	pasid = accel_pasid(fd);
	EXPECT_LT(0, pasid);
	EXPECT_GT(4, pasid);
	close(fd);
	EXPECT_TRUE(works(FIRST));
}

/* The IOMMU core looks at each page of one, with locks held that all others wait for. */
TEST_F(configfs, direct_regions_have_an_end)
{
	ASSERT_EQ(0, config_make(FIRST, "driver", "kst_member", "translated", "1", NULL));
	ASSERT_EQ(-ERANGE, config_set(FIRST, "direct", "0x1000+0xffffffffffffe000"));
	ASSERT_EQ(-ERANGE, config_set(FIRST, "direct", "0x40000000+0x10001000"));
	EXPECT_TRUE(config_is(FIRST, "direct", ""));

	/* No SMMU can map that. */
	ASSERT_EQ(0, config_set(FIRST, "direct", "0xffff000000000000+0x1000"));
	EXPECT_EQ(-ERANGE, config_set(FIRST, "online", "1"));
	ASSERT_EQ(0, config_set(FIRST, "direct", "0x40000000+0x10000000"));
	EXPECT_EQ(0, config_set(FIRST, "online", "1"));
}

TEST_F(configfs, reserved_regions)
{
	char path[80], text[512];

	ASSERT_EQ(0, config_make(FIRST, "driver", "kst_member",
				 "reserved", "0x40000000+0x10000 0x50000000+0x1000",
				 "direct", "0x60000000+0x1000", "online", "1", NULL));
	EXPECT_TRUE(config_is(FIRST, "reserved", "0x40000000+0x10000 0x50000000+0x1000"));
	EXPECT_TRUE(config_is(FIRST, "direct", "0x60000000+0x1000"));
	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%d/reserved_regions",
		 config_group(FIRST));
	ASSERT_EQ(0, read_file(text, sizeof(text), path));
	EXPECT_NE(NULL, strstr(text, "0x0000000040000000 0x000000004000ffff reserved"));
	EXPECT_NE(NULL, strstr(text, "0x0000000050000000 0x0000000050000fff reserved"));
	EXPECT_NE(NULL, strstr(text, "0x0000000060000000 0x0000000060000fff direct"));
	EXPECT_NE(NULL, strstr(text, "0x0000000008000000 0x00000000080fffff msi"));
	ASSERT_EQ(0, config_set(FIRST, "online", "0"));
	ASSERT_EQ(0, config_set(FIRST, "direct", "\n"));
	EXPECT_TRUE(config_is(FIRST, "direct", ""));
}

TEST_F(configfs, outstanding_limit)
{
	const size_t pages = 128;
	char *memory = map_fresh(pages * page_size());
	int fd;

	ASSERT_NE(NULL, memory);
	ASSERT_EQ(0, config_make(FIRST, "max_outstanding", "1", "online", "1", NULL));
	fd = open_accel(FIRST);
	ASSERT_LE(0, fd);
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(fd, memory, 5, pages * page_size()));
	EXPECT_TRUE(all_words((uint64_t *)memory, 5, pages * page_size()));
	close(fd);
}

/* Unplugs the device FIRST, which its files describe, while it waits for pages. */
static void leave_while_waiting(struct __test_metadata *_metadata)
{
	const size_t length = 64 << 20;
	static struct job job;

	for (int i = 0; i < 5; i++) {
		uint64_t *memory = map_fresh(length);
		int fd;

		ASSERT_EQ(0, config_set(FIRST, "online", "1"));
		fd = open_accel(FIRST);
		ASSERT_LE(0, fd);
		job = fill_job(memory, 1, length);
		ASSERT_LT(0, accel_submit(fd, &job));
		while (!__atomic_load_n(memory, __ATOMIC_RELAXED))
			;
		ASSERT_EQ(0, config_set(FIRST, "online", "0"));
		ASSERT_EQ(0, munmap(memory, length));
		close(fd);
	}
}

TEST_F(configfs, page_requests_in_flight)
{
	ASSERT_EQ(0, config_make(FIRST, NULL));
	leave_while_waiting(_metadata);
}

/* Neither asks for pages: the SMMU has its accesses wait. */
#define STALLS "ats", "0", "pri", "0", "stall", "1"

TEST_F(configfs, stall_brings_pages)
{
	const size_t pages = 128, length = pages * page_size();
	int64_t requests, stalls;
	char *memory = map_fresh(length), *copy = map_fresh(length);
	struct job job = copy_job(copy, memory, length);
	int fd;

	ASSERT_EQ(0, config_make(FIRST, STALLS, "online", "1", NULL));
	EXPECT_TRUE(config_is(FIRST, "stall", "1"));
	fd = open_accel(FIRST);
	ASSERT_LE(0, fd);
	requests = debugfs_counter("smmu0", "hw_page_requests");
	stalls = debugfs_counter("smmu0", "hw_stalls");
	/* Pages that are missing, then one copied on write. */
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(fd, memory, 5, length));
	EXPECT_TRUE(all_words((uint64_t *)memory, 5, length));
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_run(fd, &job));
	EXPECT_TRUE(all_words((uint64_t *)copy, 5, length));
	/* Read-ahead may have spared some. */
	EXPECT_LT(stalls, debugfs_counter("smmu0", "hw_stalls"));
	EXPECT_EQ(requests, debugfs_counter("smmu0", "hw_page_requests"));
	EXPECT_EQ(0, debugfs_counter("smmu0", "hw_resume_stray"));

	/* What may not be accessed aborts. */
	ASSERT_EQ(0, mprotect(memory, page_size(), PROT_READ));
	job = fill_job(memory, 6, 8);
	EXPECT_EQ(MOCK_ACCEL_PAGE_FAULT, accel_run(fd, &job));
	EXPECT_EQ((uintptr_t)memory, job.done.fault_address);
	EXPECT_EQ(5, *(uint64_t *)memory);
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_read(fd, memory, length));
	close(fd);
}

/* The same device, but for the one file. */
TEST_F(configfs, without_stall_pages_are_pinned)
{
	char *memory = map_fresh(page_size());
	static struct job job;
	int fd;

	ASSERT_EQ(0, config_make(FIRST, STALLS, "stall", "0", "online", "1", NULL));
	fd = open_accel(FIRST);
	ASSERT_LE(0, fd);
	job = fill_job(memory, 5, 8);
	EXPECT_EQ(MOCK_ACCEL_MODE_PINNED, accel_mode(fd));
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_run(fd, &job));
	EXPECT_EQ(5, *memory);
	close(fd);
}

TEST_F(configfs, stalls_in_flight)
{
	ASSERT_EQ(0, config_make(FIRST, STALLS, NULL));
	leave_while_waiting(_metadata);
	EXPECT_EQ(0, debugfs_counter("smmu0", "hw_resume_stray"));
}

/* Whether accesses stall is the SMMU's to say, too. */
TEST_F(configfs, stall_models)
{
	/* Faults may stall, never do, always do. */
	static const char * const models[] = { "0", "1", "2" };

	for (int model = 0; model < 3; model++)
		for (int may = 0; may < 2; may++) {
			bool stalls = model == 2 || (model == 0 && may);
			uint64_t *memory = map_fresh(page_size());
			int fd;

			ASSERT_EQ(0, config_make(OWN, "stall_model", models[model],
						 "online", "1", NULL));
			ASSERT_EQ(0, config_make(BEHIND, "ats", "0", "pri", "0",
						 "stall", may ? "1" : "0", "online", "1", NULL));
			fd = open_accel(BEHIND);
			ASSERT_LE(0, fd);
			EXPECT_EQ(stalls ? MOCK_ACCEL_MODE_SHARED : MOCK_ACCEL_MODE_PINNED,
				  accel_mode(fd)) {
				TH_LOG("model %d, device %d", model, may);
			}
			EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(fd, memory, 7, 8));
			close(fd);
			ASSERT_EQ(0, config_rmdir(BEHIND));
			ASSERT_EQ(0, config_rmdir(OWN));
		}
}

/* Whether the domain of the DMA API for the device that @dir is has this type. */
static bool domain_is(const char *dir, const char *type)
{
	char path[80], text[32];

	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%d", config_group(dir));
	return !config_get(path, "type", text, sizeof(text)) && !strcmp(type, text);
}

static int set_domain(const char *dir, const char *type)
{
	char path[80];

	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%d", config_group(dir));
	return config_set(path, "type", type);
}

TEST_F(configfs, translated)
{
	ASSERT_EQ(0, config_make(FIRST, "translated", "1", "online", "1", NULL));
	ASSERT_EQ(0, config_make(SECOND, "online", "1", NULL));
	EXPECT_TRUE(config_is(FIRST, "translated", "1"));
	/* Which of them is the kernel's command line's to say. */
	EXPECT_TRUE(domain_is(FIRST, "DMA") || domain_is(FIRST, "DMA-FQ"));
	EXPECT_TRUE(domain_is(SECOND, "identity"));
	EXPECT_TRUE(works(FIRST));
	EXPECT_TRUE(works(SECOND));

	/* With a flush queue, even under a driver; the other has to stay as it is. */
	EXPECT_EQ(0, set_domain(FIRST, "DMA-FQ"));
	EXPECT_TRUE(domain_is(FIRST, "DMA-FQ"));
	EXPECT_EQ(-EPERM, set_domain(SECOND, "DMA-FQ"));
	EXPECT_TRUE(works(FIRST));
	EXPECT_TRUE(works(SECOND));
}

TEST_HARNESS_MAIN
