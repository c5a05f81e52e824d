// SPDX-License-Identifier: GPL-2.0
/* The memory of a bond's process, for the driver. */

#define SVA_TEST_LINUX_NAMES
#include <linux/delay.h>
#include <linux/mman.h>
#include <linux/sched/mm.h>
#include <linux/uaccess.h>

#include "fixture.h"

struct copy_case {
	struct device *dev;
	struct sva_test_mm *space;
	struct sva_bond *bond;
	u8 *buffer;
};

static struct copy_case bound(struct kunit *test)
{
	struct copy_case c = {
		.dev = sva_test_device(test, NULL),
		.space = sva_test_mm(test),
		.buffer = kunit_kzalloc(test, 3 * PAGE_SIZE, GFP_KERNEL),
	};

	KUNIT_ASSERT_NOT_NULL(test, c.buffer);
	c.bond = sva_bind(c.dev, c.space->mm, SVA_TEST_FLAGS, NULL, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, c.bond);
	return c;
}

static unsigned long map(struct kunit *test, unsigned long prot)
{
	unsigned long addr = vm_mmap(NULL, 0, PAGE_SIZE, prot, MAP_PRIVATE | MAP_ANONYMOUS, 0);

	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
	return addr;
}

/* Neither end is at the start of a page, and none of the pages is there. */
static void copies_over_cold_pages(struct kunit *test)
{
	struct copy_case c = bound(test);
	unsigned long addr = c.space->addr + PAGE_SIZE - 8;
	size_t len = PAGE_SIZE + 16;
	u64 word;

	for (size_t i = 0; i < len; i++)
		c.buffer[i] = 1 + i % 251;
	KUNIT_EXPECT_EQ(test, 0, sva_copy_to(c.bond, addr, c.buffer, len));
	KUNIT_EXPECT_EQ(test, 0, copy_from_user(c.buffer, (void __user *)addr - 8, len + 16));
	KUNIT_EXPECT_EQ(test, 0, memchr_inv(c.buffer, 0, 8) ? 1 : 0);
	for (size_t i = 0; i < len; i++)
		if (c.buffer[8 + i] != 1 + i % 251) {
			KUNIT_FAIL(test, "byte %zu is %u", i, c.buffer[8 + i]);
			break;
		}
	KUNIT_EXPECT_EQ(test, 0, memchr_inv(c.buffer + 8 + len, 0, 8) ? 1 : 0);

	KUNIT_EXPECT_EQ(test, 0, put_user(0x1234UL, (u64 __user *)addr));
	KUNIT_EXPECT_EQ(test, 0, sva_copy_from(c.bond, &word, addr, sizeof(word)));
	KUNIT_EXPECT_EQ(test, 0x1234, word);
	KUNIT_EXPECT_EQ(test, 0, sva_copy_from(c.bond, &word, c.space->addr + 9 * PAGE_SIZE,
					       sizeof(word)));
	KUNIT_EXPECT_EQ(test, 0, word);
	KUNIT_EXPECT_EQ(test, 0, sva_copy_to(c.bond, addr, NULL, 0));
	sva_unbind(c.bond);
}

static void copies_with_a_tag(struct kunit *test)
{
	struct copy_case c = bound(test);
	unsigned long tagged = c.space->addr | 0xabUL << 56;
	u64 word = 7;

	KUNIT_EXPECT_EQ(test, 0, sva_copy_to(c.bond, tagged, &word, sizeof(word)));
	KUNIT_EXPECT_EQ(test, 0, get_user(word, (u64 __user *)c.space->addr));
	KUNIT_EXPECT_EQ(test, 7, word);
	KUNIT_EXPECT_EQ(test, 1, sva_prefetch(c.bond, tagged, 8, true));
	sva_unbind(c.bond);
}

static void no_more_than_the_process_may(struct kunit *test)
{
	struct copy_case c = bound(test);
	unsigned long only = map(test, PROT_READ), none = map(test, PROT_NONE);
	unsigned long gone = map(test, PROT_READ), write_only = map(test, PROT_WRITE);
	u64 word = 5;

	KUNIT_ASSERT_EQ(test, 0, vm_munmap(gone, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -EFAULT, sva_copy_to(c.bond, only, &word, sizeof(word)));
	KUNIT_EXPECT_EQ(test, 0, sva_copy_from(c.bond, &word, only, sizeof(word)));
	KUNIT_EXPECT_EQ(test, 0, word);
	KUNIT_EXPECT_EQ(test, -EFAULT, sva_copy_from(c.bond, &word, none, sizeof(word)));
	KUNIT_EXPECT_EQ(test, -EFAULT, sva_copy_to(c.bond, none, &word, sizeof(word)));
	KUNIT_EXPECT_EQ(test, -EFAULT, sva_copy_to(c.bond, gone, &word, sizeof(word)));
	KUNIT_EXPECT_EQ(test, -EFAULT, sva_copy_to(c.bond, ~0UL, &word, sizeof(word)));
	KUNIT_EXPECT_EQ(test, -EFAULT, sva_copy_to(c.bond, PAGE_OFFSET, &word, sizeof(word)));
	/* To write implies to read. */
	KUNIT_EXPECT_EQ(test, 0, sva_copy_from(c.bond, &word, write_only, sizeof(word)));
	sva_unbind(c.bond);
}

/* A page of its own, not that of zeros, nor one that a child has too. */
static void copies_on_write(struct kunit *test)
{
	struct copy_case c = bound(test);
	u64 word = 9;

	KUNIT_EXPECT_EQ(test, 0, sva_copy_from(c.bond, &word, c.space->addr, sizeof(word)));
	KUNIT_EXPECT_EQ(test, 0, word);
	word = 9;
	KUNIT_EXPECT_EQ(test, 0, sva_copy_to(c.bond, c.space->addr, &word, sizeof(word)));
	KUNIT_EXPECT_EQ(test, 0, sva_copy_from(c.bond, &word, c.space->addr + PAGE_SIZE,
					       sizeof(word)));
	KUNIT_EXPECT_EQ(test, 0, word);
	sva_unbind(c.bond);
}

static void nothing_after_the_end(struct kunit *test)
{
	struct copy_case c = bound(test);
	u64 word = 3;

	KUNIT_EXPECT_EQ(test, 0, sva_copy_to(c.bond, c.space->addr, &word, sizeof(word)));
	KUNIT_EXPECT_EQ(test, 0, sva_device_shutdown(c.dev));
	KUNIT_EXPECT_EQ(test, -ESRCH, sva_copy_to(c.bond, c.space->addr, &word, sizeof(word)));
	KUNIT_EXPECT_EQ(test, -ESRCH, sva_copy_from(c.bond, &word, c.space->addr, sizeof(word)));
	KUNIT_EXPECT_EQ(test, -ESRCH, sva_prefetch(c.bond, c.space->addr, 1, false));
	sva_unbind(c.bond);
	KUNIT_EXPECT_EQ(test, 0, sva_device_init(c.dev, SVA_TEST_FLAGS, 0));
}

static void note_exit(struct device *dev, u32 pasid, void *drvdata)
{
	complete(drvdata);
}

/* Not the next process either, which has the PASID now, and memory at the same address. */
static void nothing_after_the_exit(struct kunit *test)
{
	struct device *dev = sva_test_device(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test), *next;
	unsigned long addr = space->addr;
	struct sva_bond *bond, *heir = NULL;
	struct completion exited;
	u64 word = 0xbad;

	init_completion(&exited);
	bond = sva_bind(dev, space->mm, SVA_TEST_FLAGS, note_exit, &exited);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, bond);
	sva_test_mm_exit(test, space);
	KUNIT_EXPECT_EQ(test, -ESRCH, sva_copy_to(bond, addr, &word, sizeof(word)));
	KUNIT_ASSERT_NE(test, 0, wait_for_completion_timeout(&exited, 30 * HZ));
	next = sva_test_mm(test);
	for (int i = 0; i < 3000; i++) {
		heir = sva_bind(dev, next->mm, SVA_TEST_FLAGS, NULL, NULL);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, heir);
		if (sva_bond_pasid(heir) == sva_bond_pasid(bond))
			break;
		sva_unbind(heir);
		msleep(20);
	}
	KUNIT_EXPECT_EQ(test, sva_bond_pasid(bond), sva_bond_pasid(heir));
	KUNIT_EXPECT_EQ(test, -ESRCH, sva_copy_to(bond, next->addr, &word, sizeof(word)));
	KUNIT_EXPECT_EQ(test, 0, get_user(word, (u64 __user *)next->addr));
	KUNIT_EXPECT_EQ(test, 0, word);
	sva_unbind(bond);
	sva_unbind(heir);
}

static void copies_for_a_group(struct kunit *test)
{
	struct mock_smmu_device config = { .pasid_bits = 10, .group = 7920 };
	struct device *a = sva_test_device(test, &config);
	struct sva_test_mm *space = sva_test_mm(test);
	struct sva_bond *bond;
	u64 word = 4;

	sva_test_device(test, &config);
	bond = sva_bind_members(a->iommu_group, space->mm, SVA_TEST_FLAGS, NULL, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, bond);
	KUNIT_EXPECT_EQ(test, 0, sva_copy_to(bond, space->addr, &word, sizeof(word)));
	KUNIT_EXPECT_EQ(test, 0, sva_device_shutdown(a));
	KUNIT_EXPECT_EQ(test, 0, sva_copy_from(bond, &word, space->addr, sizeof(word)));
	KUNIT_EXPECT_EQ(test, 4, word);
	KUNIT_EXPECT_EQ(test, 2, sva_prefetch(bond, space->addr, 2 * PAGE_SIZE, true));
	sva_unbind(bond);
}

/* Whether the page is there, so that no fault is needed. */
static bool writable(unsigned long addr)
{
	u8 byte = 1;

	return !copy_to_user_nofault((void __user *)addr, &byte, 1);
}

static void prefetch_brings_pages(struct kunit *test)
{
	struct copy_case c = bound(test);
	unsigned long addr = c.space->addr;
	u8 byte;

	/* Parts of pages are pages. */
	KUNIT_EXPECT_EQ(test, 3, sva_prefetch(c.bond, addr + PAGE_SIZE + 8, 2 * PAGE_SIZE, true));
	KUNIT_EXPECT_FALSE(test, writable(addr));
	for (int i = 1; i < 4; i++)
		KUNIT_EXPECT_TRUE(test, writable(addr + i * PAGE_SIZE));
	KUNIT_EXPECT_FALSE(test, writable(addr + 4 * PAGE_SIZE));
	/* For reading the page of zeros will do. */
	KUNIT_EXPECT_EQ(test, 1, sva_prefetch(c.bond, addr + 9 * PAGE_SIZE, 1, false));
	KUNIT_EXPECT_EQ(test, 0, copy_from_user_nofault(&byte, (void __user *)addr + 9 * PAGE_SIZE,
							1));
	KUNIT_EXPECT_FALSE(test, writable(addr + 9 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 64, sva_prefetch(c.bond, addr, c.space->len, true));
	KUNIT_EXPECT_EQ(test, 64, sva_prefetch(c.bond, addr, c.space->len, true));
	KUNIT_EXPECT_EQ(test, 0, sva_prefetch(c.bond, addr, 0, true));
	sva_unbind(c.bond);
}

/* What lies between is left out, and what comes after it is not. */
static void prefetch_over_holes(struct kunit *test)
{
	struct copy_case c = bound(test);
	unsigned long addr = c.space->addr;

	KUNIT_ASSERT_EQ(test, 0, vm_munmap(addr + PAGE_SIZE, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 7, sva_prefetch(c.bond, addr, 8 * PAGE_SIZE, true));
	KUNIT_EXPECT_TRUE(test, writable(addr));
	KUNIT_EXPECT_TRUE(test, writable(addr + 7 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 0, sva_prefetch(c.bond, map(test, PROT_READ), 1, true));
	KUNIT_EXPECT_EQ(test, 0, sva_prefetch(c.bond, map(test, PROT_NONE), 1, false));
	KUNIT_EXPECT_EQ(test, 0, sva_prefetch(c.bond, 0, PAGE_SIZE, false));
	KUNIT_EXPECT_EQ(test, -EINVAL, sva_prefetch(c.bond, PAGE_SIZE, ~0UL, false));
	sva_unbind(c.bond);
}

static struct kunit_case sva_copy_cases[] = {
	KUNIT_CASE(copies_over_cold_pages),
	KUNIT_CASE(copies_with_a_tag),
	KUNIT_CASE(no_more_than_the_process_may),
	KUNIT_CASE(copies_on_write),
	KUNIT_CASE(nothing_after_the_end),
	KUNIT_CASE(nothing_after_the_exit),
	KUNIT_CASE(copies_for_a_group),
	KUNIT_CASE(prefetch_brings_pages),
	KUNIT_CASE(prefetch_over_holes),
	{}
};

struct kunit_suite sva_copy_suite = {
	.name = "sva_copy",
	.test_cases = sva_copy_cases,
};
