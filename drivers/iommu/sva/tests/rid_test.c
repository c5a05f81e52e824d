// SPDX-License-Identifier: GPL-2.0
/* Bonds without PASID: S6. */

#include <linux/delay.h>
#include <linux/iommu.h>
#include <linux/sched/mm.h>

#include "rid_case.h"

static void s6_bind_without_pasid(struct kunit *test)
{
	struct device *dev = sva_test_dma_user(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test);
	u64 __user *word = (u64 __user *)space->addr;
	int pasid = -7;
	u64 value;

	KUNIT_ASSERT_TRUE(test, reaches_memory(test, dev));
	KUNIT_ASSERT_EQ(test, 0, bind(dev, space, &pasid));
	KUNIT_EXPECT_EQ(test, IOMMU_NO_PASID, pasid);

	/* Each page is missing at first: page requests without PASID are answered. */
	KUNIT_EXPECT_EQ(test, 0, sva_test_write(dev, RID, space->addr, 0x12));
	KUNIT_EXPECT_EQ(test, 0, get_user(value, word));
	KUNIT_EXPECT_EQ(test, 0x12, value);
	KUNIT_EXPECT_EQ(test, 0, put_user(0x34, word + PAGE_SIZE / 8));
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(dev, RID, space->addr + PAGE_SIZE, &value));
	KUNIT_EXPECT_EQ(test, 0x34, value);
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(dev, RID, space->addr + 2 * PAGE_SIZE, &value));
	KUNIT_EXPECT_EQ(test, 0, value);

	/* What the process cannot access, the device cannot. */
	KUNIT_EXPECT_EQ(test, -EFAULT, sva_test_read(dev, RID, PAGE_SIZE, &value));
	/* The number is not a PASID. */
	KUNIT_EXPECT_NE(test, 0, sva_test_read(dev, 0, space->addr, &value));

	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
	KUNIT_EXPECT_EQ(test, -ESRCH, iommu_sva_unbind_device(dev, pasid));
}

static void s6_unbind_restores_the_former_domain(struct kunit *test)
{
	struct device *dev = sva_test_dma_user(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test);
	struct iommu_domain *former = iommu_get_domain_for_dev(dev);
	int pasid, round;

	for (round = 0; round < 3; round++) {
		KUNIT_ASSERT_EQ(test, 0, bind(dev, space, &pasid));
		KUNIT_EXPECT_PTR_NE(test, former, iommu_get_domain_for_dev(dev));
		KUNIT_EXPECT_EQ(test, 0, sva_test_write(dev, RID, space->addr, round));
		KUNIT_EXPECT_FALSE(test, reaches_memory(test, dev));
		KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
		KUNIT_EXPECT_PTR_EQ(test, former, iommu_get_domain_for_dev(dev));
		KUNIT_EXPECT_TRUE(test, reaches_memory(test, dev));
	}
}

static void s6_second_bind_counts(struct kunit *test)
{
	struct device *dev = sva_test_dma_user(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test);
	int pasid;
	u64 value;

	KUNIT_ASSERT_EQ(test, 0, bind(dev, space, &pasid));
	KUNIT_ASSERT_EQ(test, 0, bind(dev, space, &pasid));
	KUNIT_EXPECT_EQ(test, IOMMU_NO_PASID, pasid);
	KUNIT_EXPECT_EQ(test, -EEXIST, iommu_sva_bind_device(dev, space->mm, &pasid,
							     IOMMU_SVA_FEAT_IOPF, space));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(dev, RID, space->addr, &value));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
	KUNIT_EXPECT_EQ(test, -ESRCH, iommu_sva_unbind_device(dev, pasid));
}

static void s6_second_process_ebusy(struct kunit *test)
{
	struct device *dev = sva_test_dma_user(test, NULL);
	struct sva_test_mm *first = sva_test_mm(test), *second;
	int pasid, other = -7;
	u64 value;

	KUNIT_ASSERT_EQ(test, 0, bind(dev, first, &pasid));
	KUNIT_EXPECT_EQ(test, 0, sva_test_write(dev, RID, first->addr, 1));
	sva_test_unuse(first);
	second = sva_test_mm(test);
	KUNIT_EXPECT_EQ(test, -EBUSY, bind(dev, second, &other));
	KUNIT_EXPECT_EQ(test, -7, other);
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(dev, RID, first->addr, &value));
	KUNIT_EXPECT_EQ(test, 1, value);

	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
	KUNIT_ASSERT_EQ(test, 0, bind(dev, second, &other));
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(dev, RID, second->addr, &value));
	KUNIT_EXPECT_EQ(test, 0, value);
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, other));
}

static void s6_other_domain_ebusy(struct kunit *test)
{
	struct device *dev = sva_test_dma_user(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test);
	struct iommu_group *group = iommu_group_get(dev);
	int pasid;

	KUNIT_ASSERT_EQ(test, 0, bind(dev, space, &pasid));
	/* Nor can another user take the device meanwhile. */
	KUNIT_EXPECT_NE(test, 0, iommu_group_claim_dma_owner(group, space));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
	iommu_group_put(group);
}

static void s6_beside_bonds_with_pasids(struct kunit *test)
{
	struct device *dev = sva_test_dma_user(test, NULL);
	struct sva_test_mm *first = sva_test_mm(test), *second;
	int rid, pasid, other;
	u64 value;

	/* The same process twice, and another one. */
	KUNIT_ASSERT_EQ(test, 0, bind_pasid(dev, first, &pasid));
	KUNIT_ASSERT_EQ(test, 0, bind(dev, first, &rid));
	KUNIT_EXPECT_NE(test, IOMMU_NO_PASID, pasid);
	KUNIT_EXPECT_EQ(test, 0, sva_test_write(dev, RID, first->addr, 1));
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(dev, pasid, first->addr, &value));
	KUNIT_EXPECT_EQ(test, 1, value);
	sva_test_unuse(first);
	second = sva_test_mm(test);
	KUNIT_ASSERT_EQ(test, 0, bind_pasid(dev, second, &other));
	KUNIT_EXPECT_EQ(test, 0, sva_test_write(dev, other, second->addr, 2));

	/* The end of any of them does not concern the others. */
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
	KUNIT_EXPECT_NE(test, 0, sva_test_read(dev, pasid, first->addr, &value));
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(dev, RID, first->addr, &value));
	KUNIT_EXPECT_EQ(test, 1, value);
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(dev, RID, first->addr + PAGE_SIZE, &value));
	KUNIT_EXPECT_EQ(test, 0, bind_pasid(dev, first, &pasid));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, rid));
	KUNIT_EXPECT_TRUE(test, reaches_memory(test, dev));
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(dev, pasid, first->addr + 2 * PAGE_SIZE, &value));
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(dev, other, second->addr, &value));
	KUNIT_EXPECT_EQ(test, 2, value);
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, other));
}

static void s6_invalidation_reaches_the_device(struct kunit *test)
{
	struct device *dev = sva_test_dma_user(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test);
	int pasid;
	u64 value;

	KUNIT_ASSERT_EQ(test, 0, bind(dev, space, &pasid));
	KUNIT_EXPECT_EQ(test, 0, sva_test_write(dev, RID, space->addr, 1));
	KUNIT_EXPECT_EQ(test, 0, sva_test_write(dev, RID, space->addr + PAGE_SIZE, 2));
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(space->addr, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -EFAULT, sva_test_read(dev, RID, space->addr, &value));
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(dev, RID, space->addr + PAGE_SIZE, &value));
	KUNIT_EXPECT_EQ(test, 2, value);
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
}

static void s6_exit_without_handler(struct kunit *test)
{
	struct device *dev = sva_test_dma_user(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test), *next;
	int pasid, other;
	u64 value;

	KUNIT_ASSERT_EQ(test, 0, bind(dev, space, &pasid));
	KUNIT_EXPECT_EQ(test, 0, sva_test_write(dev, RID, space->addr, 1));
	sva_test_mm_exit(test, space);

	/* Quiet, and not yet free for another. */
	KUNIT_EXPECT_NE(test, 0, sva_test_read(dev, RID, space->addr, &value));
	KUNIT_EXPECT_FALSE(test, reaches_memory(test, dev));
	next = sva_test_mm(test);
	KUNIT_EXPECT_EQ(test, -EBUSY, bind(dev, next, &other));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
	KUNIT_EXPECT_TRUE(test, reaches_memory(test, dev));
	KUNIT_ASSERT_EQ(test, 0, bind(dev, next, &other));
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(dev, RID, next->addr, &value));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, other));
}

static int exited_pasid;
static DECLARE_COMPLETION(exit_noted);

static int note_exit(struct device *dev, int pasid, void *drvdata)
{
	exited_pasid = pasid;
	complete(&exit_noted);
	return 0;
}

static void s6_exit_with_handler(struct kunit *test)
{
	struct device *dev = sva_test_dma_user(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test);
	int pasid;

	exited_pasid = -7;
	reinit_completion(&exit_noted);
	KUNIT_ASSERT_EQ(test, 0, sva_test_watch_exit(dev, note_exit));
	KUNIT_ASSERT_EQ(test, 0, bind(dev, space, &pasid));
	sva_test_mm_exit(test, space);
	/* Without a handler the exit would leave the bond to the driver. */
	KUNIT_ASSERT_NE(test, 0, wait_for_completion_timeout(&exit_noted, 10 * HZ));
	KUNIT_EXPECT_EQ(test, 0, iommu_unregister_mm_exit_handler(dev));
	KUNIT_EXPECT_EQ(test, IOMMU_NO_PASID, exited_pasid);
	KUNIT_EXPECT_EQ(test, -ESRCH, iommu_sva_unbind_device(dev, pasid));
	KUNIT_EXPECT_TRUE(test, reaches_memory(test, dev));
}

static void s6_shutdown_restores_the_former_domain(struct kunit *test)
{
	struct device *dev = sva_test_dma_user(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test);
	int pasid, rid;

	KUNIT_ASSERT_EQ(test, 0, bind_pasid(dev, space, &pasid));
	KUNIT_ASSERT_EQ(test, 0, bind(dev, space, &rid));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_device_shutdown(dev));
	KUNIT_EXPECT_TRUE(test, reaches_memory(test, dev));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_device_init(dev, SVA_TEST_FLAGS, 0));
}

static void s6_einval(struct kunit *test)
{
	struct device *dev = sva_test_dma_user(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test);
	int pasid = -7;

	KUNIT_ASSERT_EQ(test, 0, iommu_sva_device_shutdown(dev));
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_device_init(dev, IOMMU_SVA_FEAT_PASID, 0));
	KUNIT_EXPECT_EQ(test, -EINVAL, bind(dev, space, &pasid));
	KUNIT_EXPECT_EQ(test, -7, pasid);
}

struct hammer {
	struct work_struct work;
	struct device *dev;
	struct sva_test_mm *space;
	bool stop;
	int wrong;
};

/* The device writes while bonds come and go: each access reaches the process, or fails. */
static void hammer(struct work_struct *work)
{
	struct hammer *hammer = container_of(work, struct hammer, work);
	int i = 0;

	while (!READ_ONCE(hammer->stop)) {
		int page = i++ % 64;
		int ret = sva_test_write(hammer->dev, RID, hammer->space->addr + page * PAGE_SIZE,
					 1);

		if (ret && ret != -EIO && ret != -EFAULT)
			hammer->wrong = ret;
		cond_resched();
	}
}

static void s6_unbind_with_requests_in_flight(struct kunit *test)
{
	struct hammer *hammered = kunit_kzalloc(test, sizeof(*hammered), GFP_KERNEL);
	struct device *dev = sva_test_dma_user(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test);
	int i, pasid;

	KUNIT_ASSERT_NOT_NULL(test, hammered);
	hammered->dev = dev;
	hammered->space = space;
	INIT_WORK(&hammered->work, hammer);
	queue_work(system_dfl_wq, &hammered->work);
	for (i = 0; i < 20; i++) {
		KUNIT_EXPECT_EQ(test, 0, bind(dev, space, &pasid));
		usleep_range(200, 400);
		KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
	}
	WRITE_ONCE(hammered->stop, true);
	flush_work(&hammered->work);
	KUNIT_EXPECT_EQ(test, 0, hammered->wrong);
	KUNIT_EXPECT_TRUE(test, reaches_memory(test, dev));
}

static struct kunit_case sva_rid_cases[] = {
	KUNIT_CASE(s6_bind_without_pasid),
	KUNIT_CASE(s6_unbind_restores_the_former_domain),
	KUNIT_CASE(s6_second_bind_counts),
	KUNIT_CASE(s6_second_process_ebusy),
	KUNIT_CASE(s6_other_domain_ebusy),
	KUNIT_CASE(s6_beside_bonds_with_pasids),
	KUNIT_CASE(s6_invalidation_reaches_the_device),
	KUNIT_CASE(s6_exit_without_handler),
	KUNIT_CASE(s6_exit_with_handler),
	KUNIT_CASE(s6_shutdown_restores_the_former_domain),
	KUNIT_CASE(s6_einval),
	KUNIT_CASE(s6_unbind_with_requests_in_flight),
	{}
};

struct kunit_suite sva_rid_suite = {
	.name = "sva_rid",
	.test_cases = sva_rid_cases,
};
