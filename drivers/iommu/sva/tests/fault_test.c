// SPDX-License-Identifier: GPL-2.0
/* What page requests get, on mappings of all kinds. */

#include <linux/mman.h>
#include <linux/sched/mm.h>
#include <linux/uaccess.h>

#include "fixture.h"

struct fault_case {
	struct device *dev;
	struct sva_test_mm *space;
	int pasid;
};

static struct fault_case bound(struct kunit *test)
{
	struct fault_case c = {
		.dev = sva_test_device(test, NULL),
		.space = sva_test_mm(test),
	};

	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(c.dev, c.space->mm, &c.pasid,
						       SVA_TEST_FLAGS, NULL));
	return c;
}

static void unbound(struct kunit *test, struct fault_case *c)
{
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(c->dev, c->pasid));
}

static unsigned long map(struct kunit *test, unsigned long prot)
{
	unsigned long addr = vm_mmap(NULL, 0, PAGE_SIZE, prot, MAP_PRIVATE | MAP_ANONYMOUS, 0);

	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
	return addr;
}

static void cold_pages_are_served(struct kunit *test)
{
	struct fault_case c = bound(test);
	void *buffer = kunit_kmalloc(test, c.space->len, GFP_KERNEL);
	u64 value;

	KUNIT_ASSERT_NOT_NULL(test, buffer);
	memset(buffer, 0x5a, c.space->len);
	KUNIT_EXPECT_EQ(test, 0, sva_test_dma(c.dev, c.pasid, c.space->addr, buffer,
					      c.space->len, true));
	KUNIT_EXPECT_EQ(test, 0, get_user(value, (u64 __user *)(c.space->addr + c.space->len - 8)));
	KUNIT_EXPECT_EQ(test, 0x5a5a5a5a5a5a5a5aULL, value);
	unbound(test, &c);
}

static void pages_the_process_wrote_are_read(struct kunit *test)
{
	struct fault_case c = bound(test);
	u64 value;

	KUNIT_ASSERT_EQ(test, 0, put_user(0xabcdULL, (u64 __user *)c.space->addr));
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(c.dev, c.pasid, c.space->addr, &value));
	KUNIT_EXPECT_EQ(test, 0xabcd, value);
	unbound(test, &c);
}

static void write_to_read_only_is_refused(struct kunit *test)
{
	struct fault_case c = bound(test);
	unsigned long addr = map(test, PROT_READ);
	u64 value;

	KUNIT_EXPECT_EQ(test, 0, sva_test_read(c.dev, c.pasid, addr, &value));
	KUNIT_EXPECT_NE(test, 0, sva_test_write(c.dev, c.pasid, addr, 1));
	unbound(test, &c);
}

static void prot_none_is_refused(struct kunit *test)
{
	struct fault_case c = bound(test);
	unsigned long addr = map(test, PROT_NONE);
	u64 value;

	KUNIT_EXPECT_NE(test, 0, sva_test_read(c.dev, c.pasid, addr, &value));
	KUNIT_EXPECT_NE(test, 0, sva_test_write(c.dev, c.pasid, addr, 1));
	unbound(test, &c);
}

static void unmapped_is_refused(struct kunit *test)
{
	struct fault_case c = bound(test);
	unsigned long addr = map(test, PROT_READ | PROT_WRITE);
	u64 value;

	KUNIT_EXPECT_EQ(test, 0, sva_test_write(c.dev, c.pasid, addr, 1));
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(addr, PAGE_SIZE));
	/* The device had the translation, and must have lost it. */
	KUNIT_EXPECT_NE(test, 0, sva_test_read(c.dev, c.pasid, addr, &value));
	unbound(test, &c);
}

static void other_pasids_are_refused(struct kunit *test)
{
	struct fault_case c = bound(test);
	u64 value;

	KUNIT_EXPECT_NE(test, 0, sva_test_read(c.dev, c.pasid + 1, c.space->addr, &value));
	KUNIT_EXPECT_NE(test, 0, sva_test_read(c.dev, (1 << 10) - 1, c.space->addr, &value));
	KUNIT_EXPECT_NE(test, 0, sva_test_read(c.dev, 1 << 10, c.space->addr, &value));
	unbound(test, &c);
}

static void one_bad_page_does_not_keep_the_others_out(struct kunit *test)
{
	struct fault_case c = bound(test);
	void *buffer = kunit_kzalloc(test, 2 * PAGE_SIZE, GFP_KERNEL);
	u64 value;

	KUNIT_ASSERT_NOT_NULL(test, buffer);
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(c.space->addr + PAGE_SIZE, PAGE_SIZE));
	KUNIT_EXPECT_NE(test, 0, sva_test_dma(c.dev, c.pasid, c.space->addr, buffer,
					      2 * PAGE_SIZE, true));
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(c.dev, c.pasid, c.space->addr, &value));
	unbound(test, &c);
}

static int report(struct fault_case *c, unsigned long addr, u32 perm, bool last)
{
	return sva_test_report(c->dev, c->pasid, addr, perm, last);
}

/* Whether the page is there, so that no fault is needed. */
static bool there(unsigned long addr)
{
	u8 byte;

	return !copy_from_user_nofault(&byte, (void __user *)addr, 1);
}

static bool writable(unsigned long addr)
{
	u8 byte = 1;

	return !copy_to_user_nofault((void __user *)addr, &byte, 1);
}

static void served_before_the_report_returns(struct kunit *test)
{
	struct fault_case c = bound(test);

	KUNIT_EXPECT_FALSE(test, there(c.space->addr));
	KUNIT_EXPECT_EQ(test, 0, report(&c, c.space->addr, IOMMU_FAULT_PERM_WRITE, true));
	KUNIT_EXPECT_TRUE(test, writable(c.space->addr));
	unbound(test, &c);
}

/* In no order, with doubles, and some that want more than others. */
static void group_in_disorder(struct kunit *test)
{
	static const u8 pages[] = { 9, 3, 3, 40, 0, 9, 63, 1, 3, 40 };
	struct fault_case c = bound(test);
	u32 perm;
	int i;

	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		perm = i % 2 ? IOMMU_FAULT_PERM_WRITE : IOMMU_FAULT_PERM_READ;
		KUNIT_EXPECT_EQ(test, 0, report(&c, c.space->addr + pages[i] * PAGE_SIZE, perm,
						i == ARRAY_SIZE(pages) - 1));
	}
	for (i = 0; i < ARRAY_SIZE(pages); i++)
		KUNIT_EXPECT_TRUE(test, there(c.space->addr + pages[i] * PAGE_SIZE));
	KUNIT_EXPECT_TRUE(test, writable(c.space->addr + 3 * PAGE_SIZE));
	KUNIT_EXPECT_TRUE(test, writable(c.space->addr + 40 * PAGE_SIZE));
	KUNIT_EXPECT_FALSE(test, there(c.space->addr + 2 * PAGE_SIZE));
	unbound(test, &c);
}

/* The core completes a group by its index alone: with what another process's left there, too. */
static void leftover_of_another_pasid(struct kunit *test)
{
	struct fault_case left = bound(test), c = { .dev = left.dev };

	sva_test_unuse(left.space);
	c.space = sva_test_mm(test);
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(c.dev, c.space->mm, &c.pasid,
						       SVA_TEST_FLAGS, NULL));
	KUNIT_EXPECT_EQ(test, 0, report(&left, c.space->addr + 5 * PAGE_SIZE,
					IOMMU_FAULT_PERM_WRITE, false));
	KUNIT_EXPECT_EQ(test, 0, report(&c, c.space->addr, IOMMU_FAULT_PERM_WRITE, true));
	KUNIT_EXPECT_TRUE(test, writable(c.space->addr));
	KUNIT_EXPECT_FALSE(test, there(c.space->addr + 5 * PAGE_SIZE));
	unbound(test, &c);
	unbound(test, &left);
}

/* More than are sorted at a time, over three mappings, one of which allows nothing. */
static void group_over_mappings(struct kunit *test)
{
	struct fault_case c = bound(test);
	unsigned long none = map(test, PROT_NONE), only = map(test, PROT_READ);
	int i;

	for (i = 63; i >= 0; i--)
		KUNIT_EXPECT_EQ(test, 0, report(&c, c.space->addr + i * PAGE_SIZE,
						IOMMU_FAULT_PERM_WRITE, false));
	KUNIT_EXPECT_EQ(test, 0, report(&c, none, IOMMU_FAULT_PERM_READ, false));
	KUNIT_EXPECT_EQ(test, 0, report(&c, only, IOMMU_FAULT_PERM_WRITE, false));
	KUNIT_EXPECT_EQ(test, 0, report(&c, only, IOMMU_FAULT_PERM_READ, true));
	for (i = 0; i < 64; i++)
		KUNIT_EXPECT_TRUE(test, writable(c.space->addr + i * PAGE_SIZE));
	KUNIT_EXPECT_FALSE(test, there(none));
	KUNIT_EXPECT_TRUE(test, there(only));
	KUNIT_EXPECT_FALSE(test, writable(only));
	unbound(test, &c);
}

static void pages_there_stay_as_they_are(struct kunit *test)
{
	struct fault_case c = bound(test);
	unsigned long next = c.space->addr + PAGE_SIZE;
	u64 value;

	KUNIT_ASSERT_EQ(test, 0, put_user(0xabcdULL, (u64 __user *)c.space->addr));
	KUNIT_EXPECT_EQ(test, 0, report(&c, c.space->addr, IOMMU_FAULT_PERM_WRITE, true));
	KUNIT_EXPECT_EQ(test, 0, report(&c, c.space->addr, IOMMU_FAULT_PERM_READ, true));
	KUNIT_EXPECT_EQ(test, 0, get_user(value, (u64 __user *)c.space->addr));
	KUNIT_EXPECT_EQ(test, 0xabcd, value);
	/* What was only read so far is the page of zeros: a write gets one of its own. */
	KUNIT_EXPECT_EQ(test, 0, report(&c, next, IOMMU_FAULT_PERM_READ, true));
	KUNIT_EXPECT_FALSE(test, writable(next));
	KUNIT_EXPECT_EQ(test, 0, report(&c, next, IOMMU_FAULT_PERM_WRITE, true));
	KUNIT_EXPECT_TRUE(test, writable(next));
	unbound(test, &c);
}

/* How many of the first 16 pages are there after three were asked for in order. */
static int pages_after_three(struct kunit *test, unsigned long features, unsigned long flags)
{
	struct fault_case c = { .dev = sva_test_device(test, NULL) };
	int i, pages = 0;

	KUNIT_ASSERT_EQ(test, 0, iommu_sva_device_shutdown(c.dev));
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_device_init(c.dev, features, 0));
	c.space = sva_test_mm(test);
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(c.dev, c.space->mm, &c.pasid, flags, NULL));
	for (i = 0; i < 3; i++)
		KUNIT_EXPECT_EQ(test, 0, report(&c, c.space->addr + i * PAGE_SIZE,
						IOMMU_FAULT_PERM_WRITE, true));
	for (i = 0; i < 16; i++)
		pages += writable(c.space->addr + i * PAGE_SIZE);
	unbound(test, &c);
	return pages;
}

static void read_ahead_in_order(struct kunit *test)
{
	KUNIT_EXPECT_LT(test, 3, pages_after_three(test, SVA_TEST_FLAGS, SVA_TEST_FLAGS));
}

static void no_read_ahead_for_a_bond(struct kunit *test)
{
	unsigned long off = SVA_TEST_FLAGS | IOMMU_SVA_FEAT_NO_READ_AHEAD;

	KUNIT_EXPECT_EQ(test, 3, pages_after_three(test, SVA_TEST_FLAGS, off));
}

static void no_read_ahead_for_a_device(struct kunit *test)
{
	unsigned long off = SVA_TEST_FLAGS | IOMMU_SVA_FEAT_NO_READ_AHEAD;

	KUNIT_EXPECT_EQ(test, 3, pages_after_three(test, off, SVA_TEST_FLAGS));
}

static struct kunit_case sva_fault_cases[] = {
	KUNIT_CASE(cold_pages_are_served),
	KUNIT_CASE(pages_the_process_wrote_are_read),
	KUNIT_CASE(write_to_read_only_is_refused),
	KUNIT_CASE(prot_none_is_refused),
	KUNIT_CASE(unmapped_is_refused),
	KUNIT_CASE(other_pasids_are_refused),
	KUNIT_CASE(one_bad_page_does_not_keep_the_others_out),
	KUNIT_CASE(served_before_the_report_returns),
	KUNIT_CASE(group_in_disorder),
	KUNIT_CASE(leftover_of_another_pasid),
	KUNIT_CASE(group_over_mappings),
	KUNIT_CASE(pages_there_stay_as_they_are),
	KUNIT_CASE(read_ahead_in_order),
	KUNIT_CASE(no_read_ahead_for_a_bond),
	KUNIT_CASE(no_read_ahead_for_a_device),
	{}
};

struct kunit_suite sva_fault_suite = {
	.name = "sva_fault",
	.test_cases = sva_fault_cases,
};
