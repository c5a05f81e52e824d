// SPDX-License-Identifier: GPL-2.0
/* Binds, unbinds and exits of one device that race, in orders that are forced. */

#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sched/mm.h>

#include "forced.h"

static struct mm_struct *new_mm(struct kunit *test)
{
	struct mm_struct *mm = mm_alloc();

	KUNIT_ASSERT_NOT_NULL(test, mm);
	mm->task_size = TASK_SIZE;
	return mm;
}

struct other_bind {
	struct device *dev;
	struct mm_struct *mm;
	unsigned long flags;
	int pasid;
};

static int bind_other(void *arg)
{
	struct other_bind *other = arg;

	return iommu_sva_bind_device(other->dev, other->mm, &other->pasid, other->flags, NULL);
}

/* A PASID is nobody's until nothing lists its last bond. */
static void r1_pasid_of_a_bond_that_ends(struct kunit *test)
{
	struct device *dev = sva_test_device(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test);
	struct other_bind other = { .dev = dev, .mm = new_mm(test), .flags = SVA_TEST_FLAGS };
	int pasid;

	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(dev, space->mm, &pasid, SVA_TEST_FLAGS,
						       NULL));
	force(test, SVA_TEST_DETACHED, FORCED_TO_THE_END, bind_other, &other);
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
	KUNIT_ASSERT_EQ(test, 0, forced_result());
	KUNIT_EXPECT_NE(test, pasid, other.pasid);
	/* It is listed, so it can be found and ended. */
	KUNIT_EXPECT_EQ(test, other.pasid, sva_pasid(dev, other.mm));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, other.pasid));
	mmput(other.mm);
}

/* The same for the one place without PASID. */
static void r1_place_of_a_bond_that_ends(struct kunit *test)
{
	struct device *dev = sva_test_device(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test);
	struct other_bind other = {
		.dev = dev, .mm = new_mm(test), .flags = IOMMU_SVA_FEAT_IOPF,
	};
	int pasid;

	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(dev, space->mm, &pasid,
						       IOMMU_SVA_FEAT_IOPF, NULL));
	force(test, SVA_TEST_DETACHED, FORCED_TO_THE_END, bind_other, &other);
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
	KUNIT_ASSERT_EQ(test, -EBUSY, forced_result());
	KUNIT_EXPECT_EQ(test, 0, bind_other(&other));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, other.pasid));
	mmput(other.mm);
}

/* Without any point forced: many binds of few PASIDs. */
struct reuse {
	struct device *dev;
	unsigned int rounds, unlisted, lost, other;
	struct completion done;
};

static int reuse_thread(void *arg)
{
	struct reuse *reuse = arg;
	struct mm_struct *mm = mm_alloc();
	unsigned int i;
	int pasid;

	if (mm)
		mm->task_size = TASK_SIZE;
	for (i = 0; mm && i < reuse->rounds; i++) {
		if (iommu_sva_bind_device(reuse->dev, mm, &pasid, SVA_TEST_FLAGS, NULL)) {
			reuse->other++;
			continue;
		}
		if (sva_pasid(reuse->dev, mm) != pasid)
			reuse->unlisted++;
		if (iommu_sva_unbind_device(reuse->dev, pasid))
			reuse->lost++;
	}
	if (mm)
		mmput(mm);
	else
		reuse->other++;
	complete(&reuse->done);
	return 0;
}

static void r1_many_binds_of_two_threads(struct kunit *test)
{
	struct device *dev = sva_test_device(test, NULL);
	struct reuse threads[2] = {};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(threads); i++) {
		threads[i].dev = dev;
		threads[i].rounds = IS_ENABLED(CONFIG_KASAN) ? 200 : 5000;
		init_completion(&threads[i].done);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, kthread_run(reuse_thread, &threads[i],
							       "sva_reuse_%u", i));
	}
	for (i = 0; i < ARRAY_SIZE(threads); i++) {
		wait_for_completion(&threads[i].done);
		KUNIT_EXPECT_EQ(test, 0, threads[i].unlisted);
		KUNIT_EXPECT_EQ(test, 0, threads[i].lost);
		KUNIT_EXPECT_EQ(test, 0, threads[i].other);
	}
}

static DECLARE_COMPLETION(exit_heard);

static int hear_exit(struct device *dev, int pasid, void *drvdata)
{
	complete(&exit_heard);
	return 0;
}

static int watch(void *dev)
{
	return sva_test_watch_exit(dev, hear_exit);
}

/* A handler that is registered while a bind is under way covers it too. */
static void r2_handler_registered_during_a_bind(struct kunit *test)
{
	struct device *dev = sva_test_device(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test);
	int pasid;

	reinit_completion(&exit_heard);
	force(test, SVA_TEST_LISTED, FORCED_A_WHILE, watch, dev);
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(dev, space->mm, &pasid, SVA_TEST_FLAGS,
						       NULL));
	KUNIT_ASSERT_EQ(test, 0, forced_result());
	sva_test_mm_exit(test, space);
	KUNIT_EXPECT_NE(test, 0, wait_for_completion_timeout(&exit_heard, 30 * HZ));
	KUNIT_EXPECT_EQ(test, 0, iommu_unregister_mm_exit_handler(dev));
	KUNIT_EXPECT_EQ(test, -ESRCH, iommu_sva_unbind_device(dev, pasid));
}

static int unwatch(void *dev)
{
	return iommu_unregister_mm_exit_handler(dev);
}

/* A handler that is unregistered when it is about to be called is called, and waited for. */
static void r13_handler_unregistered_before_its_call(struct kunit *test)
{
	struct device *dev = sva_test_device(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test);
	int pasid;

	reinit_completion(&exit_heard);
	KUNIT_ASSERT_EQ(test, 0, watch(dev));
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(dev, space->mm, &pasid, SVA_TEST_FLAGS,
						       NULL));
	force(test, SVA_TEST_STOPPING, FORCED_A_WHILE, unwatch, dev);
	sva_test_mm_exit(test, space);
	KUNIT_ASSERT_NE(test, 0, wait_for_completion_timeout(&exit_heard, 30 * HZ));
	KUNIT_EXPECT_EQ(test, 0, forced_result());
	KUNIT_EXPECT_EQ(test, -ESRCH, iommu_sva_unbind_device(dev, pasid));
}

static u64 cost_of_a_bind(struct kunit *test, struct device *dev, struct mm_struct *mm)
{
	u64 least = U64_MAX, begin;
	int pasid, i;

	for (i = 0; i < 9; i++) {
		begin = ktime_get_ns();
		KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(dev, mm, &pasid, SVA_TEST_FLAGS,
							       NULL));
		least = min(least, ktime_get_ns() - begin);
		KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
	}
	return least;
}

/* To hear of the exit costs nothing by the mapping, once the process was bound before. */
static void v1_exit_handler_costs_nothing_by_the_mapping(struct kunit *test)
{
	struct device *plain = sva_test_device(test, NULL);
	struct device *watched = sva_test_device(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test);
	unsigned long addr = space->addr - (1UL << 30);
	u64 without, with;
	int i, held, mapped = 0;

	for (i = 0; i < 4000; i++, addr += 2 * PAGE_SIZE)
		mapped += vm_mmap(NULL, addr, PAGE_SIZE, i & 1 ? PROT_READ : PROT_NONE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, 0) == addr;
	KUNIT_ASSERT_EQ(test, 4000, mapped);
	KUNIT_ASSERT_EQ(test, 0, watch(watched));
	/* So that the IOMMU's driver keeps its own notifier. */
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(sva_test_device(test, NULL), space->mm,
						       &held, SVA_TEST_FLAGS, NULL));
	without = cost_of_a_bind(test, plain, space->mm);
	with = cost_of_a_bind(test, watched, space->mm);
	kunit_info(test, "bind: %llu ns without handler, %llu with\n", without, with);
	KUNIT_EXPECT_LT(test, with, 3 * without);
}

static struct kunit_case sva_race_cases[] = {
	KUNIT_CASE(r1_pasid_of_a_bond_that_ends),
	KUNIT_CASE(r1_place_of_a_bond_that_ends),
	KUNIT_CASE_SLOW(r1_many_binds_of_two_threads),
	KUNIT_CASE(r2_handler_registered_during_a_bind),
	KUNIT_CASE(r13_handler_unregistered_before_its_call),
	KUNIT_CASE(v1_exit_handler_costs_nothing_by_the_mapping),
	{}
};

struct kunit_suite sva_race_suite = {
	.name = "sva_race",
	.test_cases = sva_race_cases,
};
