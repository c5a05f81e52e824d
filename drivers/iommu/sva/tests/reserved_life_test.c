// SPDX-License-Identifier: GPL-2.0
/* Reserved regions: whose they are, and how long: S17, S18. */

#include <linux/sched/mm.h>

#include "reserved_case.h"

static void s17_foreign_mm(struct kunit *test)
{
	struct device *dev = device_with(test, HOLE, HOLE_LEN);
	struct sva_test_mm *space = sva_test_mm(test);
	struct sva_test_mm *own;
	int pasid;

	sva_test_unuse(space);
	own = sva_test_mm(test);

	KUNIT_ASSERT_EQ(test, 0, bind(dev, space, &pasid));
	KUNIT_EXPECT_EQ(test, 1, count_carved(space->mm));
	KUNIT_EXPECT_EQ(test, 0, count_carved(own->mm));
	KUNIT_EXPECT_TRUE(test, is_free(HOLE, HOLE_LEN));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
	KUNIT_EXPECT_EQ(test, 0, count_carved(space->mm));
}

static void s17_two_processes(struct kunit *test)
{
	struct device *dev = device_with(test, HOLE, HOLE_LEN);
	struct sva_test_mm *first = sva_test_mm(test), *second;
	int a, b;

	KUNIT_ASSERT_EQ(test, 0, bind(dev, first, &a));
	sva_test_unuse(first);
	second = sva_test_mm(test);
	KUNIT_ASSERT_EQ(test, 0, bind(dev, second, &b));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, a));
	KUNIT_EXPECT_EQ(test, 0, count_carved(first->mm));
	expect_carved(test, second->mm, HOLE, HOLE_LEN);
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, b));
}

static void s17_exit_with_carved_ranges(struct kunit *test)
{
	struct device *dev = device_with(test, HOLE, HOLE_LEN);
	struct sva_test_mm *space = sva_test_mm(test), *next;
	int pasid, other;

	KUNIT_ASSERT_EQ(test, 0, bind(dev, space, &pasid));
	sva_test_mm_exit(test, space);

	/* The next process is not concerned, before and after. */
	next = sva_test_mm(test);
	KUNIT_ASSERT_EQ(test, 0, bind(dev, next, &other));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
	expect_carved(test, next->mm, HOLE, HOLE_LEN);
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, other));
}

static int tell_exit(struct device *dev, int pasid, void *drvdata)
{
	complete(drvdata);
	return 0;
}

static void s17_exit_with_carved_ranges_and_handler(struct kunit *test)
{
	struct device *dev = device_with(test, HOLE, HOLE_LEN);
	struct sva_test_mm *space = sva_test_mm(test);
	struct completion *called;
	int pasid;

	called = kunit_kzalloc(test, sizeof(*called), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, called);
	init_completion(called);
	KUNIT_ASSERT_EQ(test, 0, sva_test_watch_exit(dev, tell_exit));
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(dev, space->mm, &pasid, SVA_TEST_FLAGS,
						       called));
	sva_test_mm_exit(test, space);
	/* Without a handler the exit would leave the bond to the driver. */
	KUNIT_ASSERT_NE(test, 0, wait_for_completion_timeout(called, 10 * HZ));
	KUNIT_EXPECT_EQ(test, 0, iommu_unregister_mm_exit_handler(dev));
	KUNIT_EXPECT_EQ(test, -ESRCH, iommu_sva_unbind_device(dev, pasid));
}

static void s17_shutdown_gives_it_back(struct kunit *test)
{
	struct device *dev = device_with(test, HOLE, HOLE_LEN);
	struct sva_test_mm *space = sva_test_mm(test);
	int pasid;

	KUNIT_ASSERT_EQ(test, 0, bind(dev, space, &pasid));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_device_shutdown(dev));
	KUNIT_EXPECT_EQ(test, 0, count_carved(space->mm));
	KUNIT_EXPECT_TRUE(test, is_free(HOLE, HOLE_LEN));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_device_init(dev, SVA_TEST_FLAGS, 0));
}

struct race {
	struct work_struct work;
	struct device *dev;
	struct sva_test_mm *space;
	int errors;
};

static void bind_and_unbind(struct work_struct *work)
{
	struct race *race = container_of(work, struct race, work);
	int i, pasid;

	for (i = 0; i < 200; i++) {
		if (bind(race->dev, race->space, &pasid) ||
		    iommu_sva_unbind_device(race->dev, pasid))
			race->errors++;
	}
}

static void s17_bind_races_with_the_last_unbind(struct kunit *test)
{
	struct sva_test_mm *space = sva_test_mm(test);
	struct race *races[2];
	int i;

	for (i = 0; i < ARRAY_SIZE(races); i++) {
		races[i] = kunit_kzalloc(test, sizeof(*races[i]), GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, races[i]);
		races[i]->dev = device_with(test, HOLE, HOLE_LEN);
		races[i]->space = space;
		INIT_WORK(&races[i]->work, bind_and_unbind);
	}
	for (i = 0; i < ARRAY_SIZE(races); i++)
		queue_work(system_dfl_wq, &races[i]->work);
	for (i = 0; i < ARRAY_SIZE(races); i++)
		flush_work(&races[i]->work);

	/* What one gives back the other does not take for the process's. */
	for (i = 0; i < ARRAY_SIZE(races); i++)
		KUNIT_EXPECT_EQ(test, 0, races[i]->errors);
	KUNIT_EXPECT_EQ(test, 0, count_carved(space->mm));
}

static void s18_regions_of_all_members(struct kunit *test)
{
	struct mock_smmu_device config = {
		.pasid_bits = 10,
		.group = 3001,
		.regions = { { HOLE, HOLE_LEN } },
	};
	struct sva_test_mm *space = sva_test_mm(test);
	struct device *a, *b;
	int pasid;

	a = sva_test_device(test, &config);
	config.pasid_bits = 0;
	config.regions[0].start = HOLE2;
	b = sva_test_device(test, &config);
	KUNIT_ASSERT_PTR_EQ(test, a->iommu_group, b->iommu_group);

	/* Also those of a member that has no bond: what the bus does is the same for both. */
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_group(a->iommu_group, space->mm, &pasid,
						      SVA_TEST_FLAGS, NULL));
	expect_carved(test, space->mm, HOLE, HOLE_LEN);
	expect_carved(test, space->mm, HOLE2, HOLE_LEN);
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_group(a->iommu_group, pasid));
	KUNIT_EXPECT_EQ(test, 0, count_carved(space->mm));
}

static void s18_bind_group_with_an_occupied_region(struct kunit *test)
{
	struct mock_smmu_device config = {
		.pasid_bits = 10,
		.group = 3002,
		.regions = { { HOLE, HOLE_LEN } },
	};
	struct sva_test_mm *space = sva_test_mm(test);
	struct device *a, *b;
	int pasid = -7;

	a = sva_test_device(test, &config);
	config.regions[0].start = HOLE2;
	b = sva_test_device(test, &config);
	KUNIT_ASSERT_PTR_EQ(test, a->iommu_group, b->iommu_group);

	KUNIT_ASSERT_EQ(test, HOLE2, map_at(HOLE2, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -EADDRINUSE, iommu_sva_bind_group(a->iommu_group, space->mm, &pasid,
								SVA_TEST_FLAGS, NULL));
	KUNIT_EXPECT_EQ(test, -7, pasid);
	KUNIT_EXPECT_EQ(test, 0, count_carved(space->mm));
	KUNIT_EXPECT_TRUE(test, is_free(HOLE, HOLE_LEN));
	KUNIT_EXPECT_EQ(test, 0, vm_munmap(HOLE2, PAGE_SIZE));
}

static struct kunit_case sva_reserved_life_cases[] = {
	KUNIT_CASE(s17_foreign_mm),
	KUNIT_CASE(s17_two_processes),
	KUNIT_CASE(s17_exit_with_carved_ranges),
	KUNIT_CASE(s17_exit_with_carved_ranges_and_handler),
	KUNIT_CASE(s17_shutdown_gives_it_back),
	KUNIT_CASE(s17_bind_races_with_the_last_unbind),
	KUNIT_CASE(s18_regions_of_all_members),
	KUNIT_CASE(s18_bind_group_with_an_occupied_region),
	{}
};

struct kunit_suite sva_reserved_life_suite = {
	.name = "sva_reserved_life",
	.test_cases = sva_reserved_life_cases,
};
