// SPDX-License-Identifier: GPL-2.0
/* The end of ranges that are held. */

#include <linux/delay.h>
#include <linux/iommu.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "range_case.h"
#include "rid_case.h"

static const struct mock_smmu_device *const configs[] = { &pinned_device, &mapped_device };

static void config_name(const struct mock_smmu_device *const *config, char *desc)
{
	strscpy(desc, *config == &pinned_device ? "pinned" : "mapped", KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(config, configs, config_name);

static const struct mock_smmu_device *config(struct kunit *test)
{
	return *(const struct mock_smmu_device *const *)test->param_value;
}

struct exit_seen {
	struct range_case c;
	struct mm_struct *mm;
	struct sva_range range;
	struct completion called;
	s64 pinned;
	int read;
};

/* When the driver is called the memory is back, and out of reach. */
static void see_exit(struct device *dev, u32 pasid, void *drvdata)
{
	struct exit_seen *seen = drvdata;
	u64 value;

	seen->pinned = atomic64_read(&seen->mm->pinned_vm);
	seen->read = sva_test_read(dev, seen->c.pasid, seen->range.addr, &value);
	complete(&seen->called);
}

static void exit_with_handler(struct kunit *test)
{
	struct exit_seen *seen = kunit_kzalloc(test, sizeof(*seen), GFP_KERNEL);
	struct range_case *c = &seen->c;
	u32 pasid;

	KUNIT_ASSERT_NOT_NULL(test, seen);
	init_completion(&seen->called);
	c->dev = range_device(test, config(test), ANY_SHARED);
	c->space = sva_test_mm(test);
	seen->mm = c->space->mm;
	c->bond = sva_bind(c->dev, seen->mm, ANY_SHARED, see_exit, seen);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, c->bond);
	pasid = sva_bond_pasid(c->bond);
	c->pasid = pasid ? pasid : RID;
	KUNIT_ASSERT_EQ(test, 0, sva_bond_range(c->bond, c->space->addr, 3 * PAGE_SIZE, true,
						&seen->range));
	KUNIT_ASSERT_TRUE(test, range_reaches(c, seen->range.addr, c->space->addr, 0x91));
	mmgrab(seen->mm);
	sva_test_mm_exit(test, c->space);
	KUNIT_ASSERT_NE(test, 0, wait_for_completion_timeout(&seen->called, 30 * HZ));
	KUNIT_EXPECT_EQ(test, 0, seen->pinned);
	KUNIT_EXPECT_NE(test, 0, seen->read);
	/* The driver knows nothing of all that, and ends its range. */
	sva_range_end(&seen->range);
	sva_unbind(c->bond);
	mmdrop(seen->mm);
}

static void exit_without_handler(struct kunit *test)
{
	struct range_case c = range_case(test, config(test));
	struct mm_struct *mm = c.space->mm;
	struct sva_range range;
	int tries;
	u64 value;

	KUNIT_ASSERT_EQ(test, 0, sva_bond_range(c.bond, c.space->addr, 8, true, &range));
	KUNIT_ASSERT_TRUE(test, range_reaches(&c, range.addr, c.space->addr, 0x92));
	mmgrab(mm);
	sva_test_mm_exit(test, c.space);
	for (tries = 0; tries < 500 && atomic64_read(&mm->pinned_vm); tries++)
		msleep(20);
	KUNIT_EXPECT_EQ(test, 0, atomic64_read(&mm->pinned_vm));
	KUNIT_EXPECT_NE(test, 0, sva_test_read(c.dev, c.pasid, range.addr, &value));
	KUNIT_EXPECT_EQ(test, -ESRCH, sva_bond_range(c.bond, range.addr, 8, true, &range));
	sva_range_end(&range);
	sva_unbind(c.bond);
	mmdrop(mm);
}

static void shutdown(struct kunit *test)
{
	struct range_case c = range_case(test, config(test));
	struct sva_range range, late;
	u64 value;

	KUNIT_ASSERT_EQ(test, 0, sva_bond_range(c.bond, c.space->addr, 8, true, &range));
	KUNIT_EXPECT_EQ(test, 0, sva_device_shutdown(c.dev));
	KUNIT_EXPECT_EQ(test, 0, range_pinned(&c));
	KUNIT_EXPECT_NE(test, 0, sva_test_read(c.dev, c.pasid, range.addr, &value));
	KUNIT_EXPECT_EQ(test, -ESRCH, sva_bond_range(c.bond, c.space->addr, 8, true, &late));
	sva_range_end(&range);
	sva_unbind(c.bond);
	KUNIT_EXPECT_EQ(test, 0, sva_device_init(c.dev, ANY_SHARED, 0));
}

/* The device's own domain is back when the last bond has ended, and not before. */
static void former_domain_comes_back(struct kunit *test)
{
	struct device *dev = sva_test_dma_user(test, &mapped_device);
	struct iommu_domain *former = iommu_get_domain_for_dev(dev);
	struct range_case a, b;
	struct sva_range range;

	KUNIT_ASSERT_EQ(test, 0, sva_device_init(dev, ANY_SHARED, 0));
	KUNIT_ASSERT_TRUE(test, reaches_memory(test, dev));
	a = range_bound(test, dev, ANY_SHARED);
	KUNIT_EXPECT_FALSE(test, reaches_memory(test, dev));
	sva_test_unuse(a.space);
	b = range_bound(test, dev, ANY_SHARED);
	sva_unbind(a.bond);
	KUNIT_ASSERT_EQ(test, 0, sva_bond_range(b.bond, b.space->addr, 8, true, &range));
	KUNIT_EXPECT_TRUE(test, range_reaches(&b, range.addr, b.space->addr, 0x93));
	KUNIT_EXPECT_FALSE(test, reaches_memory(test, dev));
	sva_unbind(b.bond);
	KUNIT_EXPECT_PTR_EQ(test, former, iommu_get_domain_for_dev(dev));
	KUNIT_EXPECT_TRUE(test, reaches_memory(test, dev));
	/* By its driver, not by the end of the device, which would warn. */
	KUNIT_EXPECT_EQ(test, 0, sva_device_shutdown(dev));
}

struct taker {
	struct work_struct work;
	struct range_case c;
	bool stop;
	int rounds, wrong;
};

static void take_ranges(struct work_struct *work)
{
	struct taker *taker = container_of(work, struct taker, work);
	struct sva_range range;

	while (!READ_ONCE(taker->stop)) {
		int ret = sva_bond_range(taker->c.bond, taker->c.space->addr, 16 * PAGE_SIZE, true,
					 &range);

		if (!ret)
			sva_range_end(&range);
		else if (ret != -ESRCH)
			taker->wrong = ret;
		taker->rounds++;
		cond_resched();
	}
}

/* Ranges come and go while the bonds of the device end. */
static void races_end(struct kunit *test)
{
	struct taker *taker = kunit_kzalloc(test, sizeof(*taker), GFP_KERNEL);
	struct device *dev = range_device(test, config(test), ANY_SHARED);
	int round;

	KUNIT_ASSERT_NOT_NULL(test, taker);
	taker->c = range_bound(test, dev, ANY_SHARED);
	INIT_WORK(&taker->work, take_ranges);
	for (round = 0; round < 10; round++) {
		WRITE_ONCE(taker->stop, false);
		queue_work(system_dfl_wq, &taker->work);
		usleep_range(1000, 3000);
		KUNIT_EXPECT_EQ(test, 0, sva_device_shutdown(dev));
		WRITE_ONCE(taker->stop, true);
		flush_work(&taker->work);
		KUNIT_EXPECT_EQ(test, 0, range_pinned(&taker->c));
		sva_unbind(taker->c.bond);
		KUNIT_ASSERT_EQ(test, 0, sva_device_init(dev, ANY_SHARED, 0));
		taker->c.bond = sva_bind(dev, taker->c.space->mm, ANY_SHARED, NULL, NULL);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, taker->c.bond);
	}
	KUNIT_EXPECT_EQ(test, 0, taker->wrong);
	KUNIT_EXPECT_GT(test, taker->rounds, 0);
	sva_unbind(taker->c.bond);
}

static struct kunit_case sva_range_end_cases[] = {
	KUNIT_CASE_PARAM(exit_with_handler, config_gen_params),
	KUNIT_CASE_PARAM(exit_without_handler, config_gen_params),
	KUNIT_CASE_PARAM(shutdown, config_gen_params),
	KUNIT_CASE(former_domain_comes_back),
	KUNIT_CASE_PARAM(races_end, config_gen_params),
	{}
};

struct kunit_suite sva_range_end_suite = {
	.name = "sva_range_end",
	.test_cases = sva_range_end_cases,
};
