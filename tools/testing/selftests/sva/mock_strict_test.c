// SPDX-License-Identifier: GPL-2.0
/* Strict mode finds what hardware that loses invalidations still lets a device do. */

#include "accel.h"
#include "inject.h"
#include "strict.h"

#include <linux/mock_smmu_compare.h>

#define OWN MOCK_CONFIG "/kst"
#define DEVICE OWN "/kst0"
#define PAGES 64

static char text[8192];

FIXTURE(strict) {
	int fd;
	/* StreamID and PASID as records have them. */
	char sid[16], ssid[16];
	size_t page, length;
	/* Its pages stay when it is unmapped. */
	char *memory;
};

FIXTURE_SETUP(strict)
{
	int file = memfd_create("strict", 0);

	self->page = page_size();
	self->length = PAGES * self->page;
	ASSERT_LE(0, file);
	ASSERT_EQ(0, ftruncate(file, self->length));
	self->memory = mmap(NULL, self->length, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	ASSERT_NE(MAP_FAILED, self->memory);

	ASSERT_EQ(0, config_make(OWN, "strict", "1", "online", "1", NULL));
	ASSERT_EQ(0, config_make(DEVICE, "online", "1", NULL));
	self->fd = accel_open(config_number(DEVICE));
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, config_get(DEVICE, "sid", self->sid, sizeof(self->sid)));
	snprintf(self->ssid, sizeof(self->ssid), "%#x", accel_pasid(self->fd));
	ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(self->fd, self->memory, 1, self->length));
}

FIXTURE_TEARDOWN(strict)
{
	close(self->fd);
	/* Nothing goes without somebody having looked at it. */
	EXPECT_EQ(0, strict_scan("kst"));
	if (!access(DEVICE, F_OK))
		EXPECT_EQ(0, config_rmdir(DEVICE));
	EXPECT_EQ(0, config_rmdir(OWN));
}

#define NO_INJECTION	"this kernel has no fault injection"

/* Begins to lose invalidations, or stops it. */
static int lose_invalidations(bool on)
{
	return inject("kst", "fail_invalidate", on ? -1 : 0);
}

/* Whether there is such a record of the device in @text: cache, reason, address, access. */
static bool recorded(const char *sid, const char *cache, const char *reason, const char *ssid,
		     const void *va, const char *access)
{
	char start[128];

	snprintf(start, sizeof(start), "\n%s %s sid=%s ssid=%s va=0x%lx pa=", cache, reason, sid,
		 ssid, (long)va);
	for (char *at = strstr(text, start); at; at = strstr(at + 1, start))
		if (!strncmp(strchrnul(strstr(at, "pa="), ' ') + 1, access, strlen(access)))
			return true;
	return false;
}

TEST_F(strict, nothing_to_find)
{
	EXPECT_EQ(0, mprotect(self->memory, self->length / 2, PROT_READ));
	EXPECT_TRUE(write_refused(self->fd, self->memory));
	EXPECT_EQ(0, strict_scan("kst"));
	EXPECT_EQ(0, munmap(self->memory, self->length / 4));
	EXPECT_TRUE(read_refused(self->fd, self->memory));
	EXPECT_EQ(0, strict_scan("kst"));
	EXPECT_EQ(0, debugfs_counter("kst", "hw_strict_records"));
	EXPECT_EQ(0, debugfs_counter("kst", "hw_invalidations_lost"));
}

TEST_F(strict, lost_tlbi_and_atc_inv)
{
	char *third = self->memory + 2 * self->page;

	if (!can_inject())
		SKIP(return, NO_INJECTION);
	ASSERT_EQ(0, lose_invalidations(true));
	ASSERT_EQ(0, munmap(third, self->page));
	ASSERT_EQ(0, lose_invalidations(false));
	EXPECT_LE(2, debugfs_counter("kst", "hw_invalidations_lost"));
	/* It may be on its way still. */
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_read(self->fd, third, self->page));
	EXPECT_LT(0, debugfs_counter("kst", "hw_strict_suspicions"));
	EXPECT_EQ(0, strict_records("kst"));

	/* A use, and what both caches have. */
	EXPECT_EQ(3, strict_scan("kst"));
	EXPECT_EQ(3, debugfs_counter("kst", "hw_strict_records"));
	ASSERT_EQ(0, strict_read("kst", text, sizeof(text)));
	EXPECT_TRUE(recorded(self->sid, "atc", "left", self->ssid, third, "read"));
	EXPECT_TRUE(recorded(self->sid, "tlb", "left", "none", third, "read"));
	EXPECT_FALSE(recorded(self->sid, "atc", "left", self->ssid, third + self->page, "read"));
	EXPECT_EQ(0, strict_command("kst", "clear"));
	EXPECT_EQ(0, strict_records("kst"));
}

TEST_F(strict, lost_mprotect)
{
	if (!can_inject())
		SKIP(return, NO_INJECTION);
	ASSERT_EQ(0, lose_invalidations(true));
	ASSERT_EQ(0, mprotect(self->memory, self->page, PROT_READ));
	ASSERT_EQ(0, lose_invalidations(false));
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_read(self->fd, self->memory, self->page));
	EXPECT_EQ(0, debugfs_counter("kst", "hw_strict_suspicions"));
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(self->fd, self->memory, 2, 8));
	EXPECT_LT(0, debugfs_counter("kst", "hw_strict_suspicions"));
	EXPECT_LT(0, strict_scan("kst"));
	ASSERT_EQ(0, strict_read("kst", text, sizeof(text)));
	EXPECT_TRUE(recorded(self->sid, "atc", "left", self->ssid, self->memory, "write"));
	EXPECT_EQ(0, strict_command("kst", "clear"));
}

/* No invalidation that comes later is an excuse. */
TEST_F(strict, freed_memory)
{
	char *fresh = map_fresh(self->length);
	struct mock_smmu_compare compare = { .addr = (uintptr_t)fresh, .length = self->length };
	int fd = open("/dev/mock_smmu_compare", O_RDWR | O_CLOEXEC);
	char device[sizeof(compare.device)];

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, config_get(DEVICE, "device", device, sizeof(device)));
	memcpy(compare.device, device, strlen(device));
	compare.pasid = strtoul(self->ssid, NULL, 0);
	ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(self->fd, fresh, 1, self->length));
	if (!can_inject())
		SKIP(return, NO_INJECTION);
	ASSERT_EQ(0, lose_invalidations(true));
	ASSERT_EQ(0, munmap(fresh, self->length));
	ASSERT_EQ(0, lose_invalidations(false));
	/* Looks where accesses would go, but makes none. */
	ASSERT_EQ(0, ioctl(fd, MOCK_SMMU_COMPARE_IOC_RUN, &compare));
	EXPECT_EQ(PAGES, compare.differ);
	EXPECT_LT(0, strict_records("kst"));
	ASSERT_EQ(0, strict_read("kst", text, sizeof(text)));
	EXPECT_NE(NULL, strstr(text, "\natc freed "));
	EXPECT_EQ(0, strict_command("kst", "clear"));
	close(fd);
}

/* A descriptor of a bond that is gone. */
TEST_F(strict, lost_cfgi_cd)
{
	if (!can_inject())
		SKIP(return, NO_INJECTION);
	ASSERT_EQ(0, lose_invalidations(true));
	close(self->fd);
	ASSERT_EQ(0, lose_invalidations(false));
	EXPECT_LT(0, strict_scan("kst"));
	ASSERT_EQ(0, strict_read("kst", text, sizeof(text)));
	EXPECT_TRUE(recorded(self->sid, "cd", "left", self->ssid, NULL, "read"));
	/* It takes with it what its caches have. */
	EXPECT_EQ(0, config_rmdir(DEVICE));
	EXPECT_EQ(0, strict_command("kst", "clear"));
}

TEST_F(strict, off_and_on)
{
	EXPECT_EQ(0, config_set(OWN, "strict", "0"));
	EXPECT_TRUE(config_is(OWN, "strict", "0"));
	if (!can_inject())
		SKIP(return, NO_INJECTION);
	ASSERT_EQ(0, lose_invalidations(true));
	ASSERT_EQ(0, munmap(self->memory, self->page));
	ASSERT_EQ(0, lose_invalidations(false));
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_read(self->fd, self->memory, self->page));
	EXPECT_EQ(0, debugfs_counter("kst", "hw_strict_suspicions"));
	EXPECT_EQ(0, config_set(OWN, "strict", "1"));
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_read(self->fd, self->memory, self->page));
	EXPECT_LT(0, debugfs_counter("kst", "hw_strict_suspicions"));
	EXPECT_LT(0, strict_scan("kst"));
	EXPECT_EQ(0, strict_command("kst", "clear"));
}

/* Caches that forget at random change nothing. */
TEST_F(strict, eviction_off_and_on)
{
	EXPECT_EQ(0, debugfs_counter("kst", "hw_evictions"));
	EXPECT_EQ(0, config_set(OWN, "evict_one_in", "2"));
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(self->fd, self->memory, 3, self->length));
	EXPECT_LT(0, debugfs_counter("kst", "hw_evictions"));
	EXPECT_TRUE(all_words((uint64_t *)self->memory, 3, self->length));
	EXPECT_EQ(0, config_set(OWN, "evict_one_in", "0"));
}

TEST_F(strict, commands)
{
	EXPECT_EQ(0, strict_command("kst", "scan\n"));
	EXPECT_EQ(0, strict_command("kst", "clear\n"));
	EXPECT_EQ(-EINVAL, strict_command("kst", "look"));
	EXPECT_EQ(-EINVAL, strict_command("kst", "\n"));
	EXPECT_EQ(-EINVAL, strict_command("kst", "scan and clear"));
}

TEST_HARNESS_MAIN
