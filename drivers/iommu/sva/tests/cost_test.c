// SPDX-License-Identifier: GPL-2.0
/* What takes its time where an SMMU is polled: a stalled access, and a wait for a SYNC. */

#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/uaccess.h>

#include "fixture.h"

#define TIMES	512

/* Each page once, in an order in which nobody reads ahead; in ns for one. */
static u64 access_pages(struct kunit *test, struct device *dev, int pasid,
			struct sva_test_mm *space)
{
	unsigned int pages = space->len / PAGE_SIZE, i;
	u64 begin = ktime_get_ns();

	for (i = 0; i < pages; i++)
		KUNIT_EXPECT_EQ(test, 0, sva_test_write(dev, pasid, space->addr +
							(i * 29 % pages) * PAGE_SIZE, 1));
	return (ktime_get_ns() - begin) / pages;
}

static void stalled_access(struct kunit *test)
{
	struct mock_smmu_device config = { .pasid_bits = 10, .stall = true };
	struct device *dev = sva_test_device(test, &config);
	struct sva_test_mm *space = sva_test_mm(test);
	u64 missing = 0, there = 0;
	int pasid, i;

	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(dev, space->mm, &pasid, SVA_TEST_FLAGS,
						       NULL));
	for (i = 0; i < TIMES / 64; i++) {
		missing += access_pages(test, dev, pasid, space);
		there += access_pages(test, dev, pasid, space);
		sva_test_renew(test, space);
	}
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
	kunit_info(test, "measured: access that stalls %llu ns, that finds its page %llu ns",
		   missing * 64 / TIMES, there * 64 / TIMES);
}

/* What it takes to unmap a page that is there, in ns. */
static u64 unmap_pages(struct kunit *test, struct sva_test_mm *space)
{
	u64 begin, time = 0;
	int i;

	for (i = 0; i < TIMES; i++) {
		KUNIT_ASSERT_EQ(test, 0, put_user(1ULL, (u64 __user *)space->addr));
		begin = ktime_get_ns();
		KUNIT_ASSERT_EQ(test, 0, vm_munmap(space->addr, PAGE_SIZE));
		time += ktime_get_ns() - begin;
		sva_test_renew(test, space);
	}
	return time / TIMES;
}

/* The driver invalidates, and waits for the SYNC after that. */
static void unmap_with_a_sync(struct kunit *test)
{
	struct device *dev = sva_test_device(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test);
	u64 alone = unmap_pages(test, space), bound;
	int pasid;

	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(dev, space->mm, &pasid, SVA_TEST_FLAGS,
						       NULL));
	bound = unmap_pages(test, space);
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
	kunit_info(test, "measured: munmap with a SYNC %llu ns, without %llu ns", bound, alone);
}

static struct kunit_case sva_cost_cases[] = {
	KUNIT_CASE(stalled_access),
	KUNIT_CASE(unmap_with_a_sync),
	{}
};

struct kunit_suite sva_cost_suite = {
	.name = "sva_cost",
	.test_cases = sva_cost_cases,
};
