// SPDX-License-Identifier: GPL-2.0
/* Binds that only count one more user of a bond, and their unbinds: S2. */

#include <linux/sched/mm.h>
#include <linux/workqueue.h>

#include "fixture.h"

#define THREADS	4

/* Binds and unbinds, as one of many. */
struct counter {
	struct work_struct work;
	struct device *dev;
	struct mm_struct *mm;
	int pasid;
	int times;
	int errors;
	/* Binds that a bond with another PASID was made for. */
	int others;
};

static void count(struct work_struct *work)
{
	struct counter *counter = container_of(work, struct counter, work);
	int pasid, i;

	for (i = 0; i < counter->times; i++) {
		if (iommu_sva_bind_device(counter->dev, counter->mm, &pasid, SVA_TEST_FLAGS,
					  NULL)) {
			counter->errors++;
			continue;
		}
		if (pasid != counter->pasid)
			counter->others++;
		if (iommu_sva_unbind_device(counter->dev, pasid))
			counter->errors++;
		cond_resched();
	}
}

/* Threads count at once; with @held there is a user all the time. */
static void count_at_once(struct kunit *test, bool held)
{
	struct counter *counters = kunit_kcalloc(test, THREADS, sizeof(*counters), GFP_KERNEL);
	struct device *dev = sva_test_device(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test);
	int pasid, i;

	KUNIT_ASSERT_NOT_NULL(test, counters);
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(dev, space->mm, &pasid, SVA_TEST_FLAGS,
						       NULL));
	if (!held)
		KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
	for (i = 0; i < THREADS; i++) {
		counters[i].dev = dev;
		counters[i].mm = space->mm;
		counters[i].pasid = pasid;
		/* Most of the latter attach and detach. */
		counters[i].times = held ? 2000 : 50;
		INIT_WORK(&counters[i].work, count);
		queue_work(system_dfl_wq, &counters[i].work);
	}
	for (i = 0; i < THREADS; i++) {
		flush_work(&counters[i].work);
		KUNIT_EXPECT_EQ(test, 0, counters[i].errors);
		if (held)
			KUNIT_EXPECT_EQ(test, 0, counters[i].others);
	}
	if (held)
		KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
	KUNIT_EXPECT_EQ(test, -ESRCH, iommu_sva_unbind_device(dev, pasid));
}

static void s2_counts_of_many_threads(struct kunit *test)
{
	count_at_once(test, true);
}

/* Each user may be the first, and the last. */
static void s2_first_and_last_of_many_threads(struct kunit *test)
{
	count_at_once(test, false);
}

static void s2_same_drvdata_and_flags_only(struct kunit *test)
{
	struct device *a = sva_test_device(test, NULL);
	struct device *b = sva_test_device(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test);
	int pasid, again = -7;

	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(a, space->mm, &pasid, SVA_TEST_FLAGS,
						       NULL));
	KUNIT_EXPECT_EQ(test, -EEXIST, iommu_sva_bind_device(a, space->mm, &again,
							     IOMMU_SVA_FEAT_PASID, NULL));
	KUNIT_EXPECT_EQ(test, -EINVAL, iommu_sva_bind_device(a, space->mm, &again,
							     SVA_TEST_FLAGS | BIT(5), NULL));
	KUNIT_EXPECT_EQ(test, -EINVAL, iommu_sva_bind_device(a, space->mm, &again,
							     SVA_TEST_FLAGS | BIT(40), NULL));
	KUNIT_EXPECT_EQ(test, -EINVAL, iommu_sva_bind_device(a, space->mm, NULL,
							     SVA_TEST_FLAGS, NULL));
	KUNIT_EXPECT_EQ(test, -7, again);
	KUNIT_EXPECT_EQ(test, -ESRCH, iommu_sva_unbind_device(b, pasid));
	KUNIT_EXPECT_EQ(test, -ESRCH, iommu_sva_unbind_device(a, -pasid));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(a, pasid));
	KUNIT_EXPECT_EQ(test, -ESRCH, iommu_sva_unbind_device(a, pasid));
}

static void s9_no_more_users_of_a_dead_mm(struct kunit *test)
{
	struct device *dev = sva_test_device(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test);
	struct mm_struct *mm = space->mm;
	int pasid, again = -7;

	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(dev, mm, &pasid, SVA_TEST_FLAGS, NULL));
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(dev, mm, &again, SVA_TEST_FLAGS, NULL));
	again = -7;
	mmgrab(mm);
	sva_test_mm_exit(test, space);
	KUNIT_EXPECT_EQ(test, -ESRCH, iommu_sva_bind_device(dev, mm, &again, SVA_TEST_FLAGS,
							    NULL));
	KUNIT_EXPECT_EQ(test, -7, again);
	/* The users that there are unbind as ever. */
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
	KUNIT_EXPECT_EQ(test, -ESRCH, iommu_sva_unbind_device(dev, pasid));
	mmdrop(mm);
}

static void s11_shutdown_ends_all_users(struct kunit *test)
{
	struct device *dev = sva_test_device(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test);
	int pasid, again = -7;

	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(dev, space->mm, &pasid, SVA_TEST_FLAGS,
						       NULL));
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(dev, space->mm, &again, SVA_TEST_FLAGS,
						       NULL));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_device_shutdown(dev));
	KUNIT_EXPECT_EQ(test, -EINVAL, iommu_sva_bind_device(dev, space->mm, &again,
							     SVA_TEST_FLAGS, NULL));
	KUNIT_EXPECT_EQ(test, -EINVAL, iommu_sva_unbind_device(dev, pasid));
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_device_init(dev, SVA_TEST_FLAGS, 0));
	KUNIT_EXPECT_EQ(test, -ESRCH, iommu_sva_unbind_device(dev, pasid));
}

static struct kunit_case sva_count_cases[] = {
	KUNIT_CASE(s2_counts_of_many_threads),
	KUNIT_CASE(s2_first_and_last_of_many_threads),
	KUNIT_CASE(s2_same_drvdata_and_flags_only),
	KUNIT_CASE(s9_no_more_users_of_a_dead_mm),
	KUNIT_CASE(s11_shutdown_ends_all_users),
	{}
};

struct kunit_suite sva_count_suite = {
	.name = "sva_count",
	.test_cases = sva_count_cases,
};
