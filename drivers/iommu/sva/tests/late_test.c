// SPDX-License-Identifier: GPL-2.0
/* What comes too late: a page, and an unbind of the place without PASID. */

#include <linux/delay.h>
#include <linux/sched/mm.h>
#include <linux/sva_test_point.h>

#include "held_mapping.h"
#include "rid_case.h"

struct told {
	enum sva_reason reason;
	int times;
};

static void tell(struct device *dev, u32 pasid, void *drvdata, const struct sva_refusal *refusal)
{
	struct told *told = drvdata;

	told->reason = refusal->reason;
	told->times++;
}

static void usual_wait(void *unused)
{
	sva_test_set_wait_ms(0);
}

/* A page that does not come: the device and its driver hear so, and nothing waits any more. */
static void page_never_came(struct kunit *test)
{
	static const struct sva_bond_ops ops = { .refused = tell };
	struct device *dev = sva_test_device(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test);
	struct held_mapping mapping;
	struct told told = {};
	struct sva_bond *bond;
	u64 value;

	bond = sva_bind_ops(dev, space->mm, SVA_TEST_FLAGS, &ops, &told);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, bond);
	hold(test, &mapping, space);
	sva_test_set_wait_ms(50);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, usual_wait, NULL));
	KUNIT_EXPECT_EQ(test, -EFAULT,
			sva_test_read(dev, sva_bond_pasid(bond), space->addr, &value));
	KUNIT_EXPECT_EQ(test, SVA_REASON_NEVER_CAME, told.reason);
	KUNIT_EXPECT_EQ(test, 1, told.times);
	/* So does a driver that has to know. */
	KUNIT_EXPECT_EQ(test, SVA_REASON_NEVER_CAME, sva_bond_why_not(bond, space->addr, false));
	KUNIT_EXPECT_EQ(test, 1, told.times);
	let_go(&mapping);
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(dev, sva_bond_pasid(bond), space->addr, &value));
	sva_unbind(bond);
}

static DECLARE_COMPLETION(exit_noted);

static int note_exit(struct device *dev, int pasid, void *drvdata)
{
	complete(&exit_noted);
	return 0;
}

/* Binds the next process, once the exit of the last has been dealt with. */
static struct sva_test_mm *heir(struct kunit *test, struct device *dev)
{
	struct sva_test_mm *next = sva_test_mm(test);
	int tries, pasid, ret = -EBUSY;

	for (tries = 0; tries < 500 && ret == -EBUSY; tries++) {
		ret = bind(dev, next, &pasid);
		if (ret)
			msleep(20);
	}
	KUNIT_ASSERT_EQ(test, 0, ret);
	return next;
}

static void exit_bound(struct kunit *test, struct device *dev)
{
	struct sva_test_mm *space = sva_test_mm(test);
	int pasid;

	reinit_completion(&exit_noted);
	KUNIT_ASSERT_EQ(test, 0, bind(dev, space, &pasid));
	KUNIT_ASSERT_EQ(test, IOMMU_NO_PASID, pasid);
	sva_test_mm_exit(test, space);
	KUNIT_ASSERT_NE(test, 0, wait_for_completion_timeout(&exit_noted, 30 * HZ));
}

static void s9_late_unbind_without_pasid(struct kunit *test)
{
	struct device *dev = sva_test_dma_user(test, NULL);
	struct sva_test_mm *next;
	u64 value;

	KUNIT_ASSERT_EQ(test, 0, sva_test_watch_exit(dev, note_exit));
	exit_bound(test, dev);
	next = heir(test, dev);
	sva_test_unuse(next);
	/* That was meant for the first. */
	KUNIT_EXPECT_EQ(test, -ESRCH, iommu_sva_unbind_device(dev, IOMMU_NO_PASID));
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(dev, RID, next->addr, &value));
	/* No other is owed. */
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, IOMMU_NO_PASID));
	KUNIT_EXPECT_TRUE(test, reaches_memory(test, dev));
	KUNIT_EXPECT_EQ(test, 0, iommu_unregister_mm_exit_handler(dev));
}

/* Who has the place gives it back whenever it wants to. */
static void s9_own_unbind_without_pasid(struct kunit *test)
{
	struct device *dev = sva_test_dma_user(test, NULL);

	KUNIT_ASSERT_EQ(test, 0, sva_test_watch_exit(dev, note_exit));
	exit_bound(test, dev);
	heir(test, dev);
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, IOMMU_NO_PASID));
	KUNIT_EXPECT_TRUE(test, reaches_memory(test, dev));
	/* With nobody there a late one is just that. */
	KUNIT_EXPECT_EQ(test, -ESRCH, iommu_sva_unbind_device(dev, IOMMU_NO_PASID));
	KUNIT_EXPECT_EQ(test, 0, iommu_unregister_mm_exit_handler(dev));
}

static struct kunit_case sva_late_cases[] = {
	KUNIT_CASE(page_never_came),
	KUNIT_CASE(s9_late_unbind_without_pasid),
	KUNIT_CASE(s9_own_unbind_without_pasid),
	{}
};

struct kunit_suite sva_late_suite = {
	.name = "sva_late",
	.test_cases = sva_late_cases,
};
