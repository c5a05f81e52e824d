// SPDX-License-Identifier: GPL-2.0
/* When pinned memory is released: S7. */

#include <linux/delay.h>
#include <linux/sched/mm.h>

#include "pin_case.h"

static void s7_unpin(struct kunit *test)
{
	struct pin_case c = bound(test);

	KUNIT_ASSERT_EQ(test, 0, pin(&c, 0, 2 * PAGE_SIZE, true));
	KUNIT_ASSERT_EQ(test, 0, pin(&c, PAGE_SIZE, 2 * PAGE_SIZE, false));
	KUNIT_EXPECT_EQ(test, 4, pinned_pages(&c));

	/* Only what was pinned by one call. */
	KUNIT_EXPECT_EQ(test, -ENOENT, unpin(&c, 0, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -ENOENT, unpin(&c, 0, 3 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -ENOENT, unpin(&c, 2 * PAGE_SIZE, PAGE_SIZE));

	KUNIT_EXPECT_EQ(test, 0, unpin(&c, 0, 2 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -ENOENT, unpin(&c, 0, 2 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 2, pinned_pages(&c));
	KUNIT_EXPECT_FALSE(test, is_pinned(test, c.space->addr));
	KUNIT_EXPECT_TRUE(test, is_pinned(test, c.space->addr + PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 0, unpin(&c, PAGE_SIZE, 2 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 0, pinned_pages(&c));
	KUNIT_EXPECT_FALSE(test, is_pinned(test, c.space->addr + PAGE_SIZE));
	unbound(test, &c);
}

static void s7_last_unbind_releases(struct kunit *test)
{
	struct pin_case c = bound(test);
	int again;

	KUNIT_ASSERT_EQ(test, 0, sva_bind_device(c.dev, c.space->mm, &again,
						 IOMMU_SVA_FEAT_PASID, NULL));
	KUNIT_ASSERT_EQ(test, 0, pin(&c, 0, 4 * PAGE_SIZE, true));
	KUNIT_EXPECT_EQ(test, 0, sva_unbind_device(c.dev, again));
	KUNIT_EXPECT_EQ(test, 4, pinned_pages(&c));
	unbound(test, &c);
	KUNIT_EXPECT_FALSE(test, is_pinned(test, c.space->addr));
	KUNIT_EXPECT_EQ(test, -ESRCH, unpin(&c, 0, 4 * PAGE_SIZE));
}

static void s7_shutdown_releases(struct kunit *test)
{
	struct pin_case c = bound(test);

	KUNIT_ASSERT_EQ(test, 0, pin(&c, 0, 4 * PAGE_SIZE, true));
	sva_unbind_device_all(c.dev);
	KUNIT_EXPECT_EQ(test, 0, pinned_pages(&c));

	KUNIT_ASSERT_EQ(test, 0, sva_bind_device(c.dev, c.space->mm, &c.pasid,
						 IOMMU_SVA_FEAT_PASID, NULL));
	KUNIT_ASSERT_EQ(test, 0, pin(&c, 0, 4 * PAGE_SIZE, true));
	KUNIT_EXPECT_EQ(test, 0, sva_device_shutdown(c.dev));
	KUNIT_EXPECT_EQ(test, 0, pinned_pages(&c));
	KUNIT_EXPECT_FALSE(test, is_pinned(test, c.space->addr));
}

/* The exit is dealt with by a worker. */
static bool soon_released(struct mm_struct *mm)
{
	int tries;

	for (tries = 0; tries < 500 && atomic64_read(&mm->pinned_vm); tries++)
		msleep(20);
	return !atomic64_read(&mm->pinned_vm);
}

static void s7_exit_releases(struct kunit *test)
{
	struct pin_case c = bound(test);
	struct mm_struct *mm = c.space->mm;
	struct page *page;

	KUNIT_ASSERT_EQ(test, 0, pin(&c, 0, 4 * PAGE_SIZE, true));
	page = page_at(test, c.space->addr);
	mmgrab(mm);
	sva_test_mm_exit(test, c.space);

	KUNIT_EXPECT_TRUE(test, soon_released(mm));
	KUNIT_EXPECT_FALSE(test, folio_maybe_dma_pinned(page_folio(page)));
	put_page(page);

	/* The PASID is still reserved, but there is nothing to pin. */
	KUNIT_EXPECT_EQ(test, -ESRCH, pin(&c, 0, PAGE_SIZE, true));
	KUNIT_EXPECT_EQ(test, -ENOENT, unpin(&c, 0, 4 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 0, sva_unbind_device(c.dev, c.pasid));
	mmdrop(mm);
}

static DECLARE_COMPLETION(stopped);

static int stop_device(struct device *dev, int pasid, void *drvdata)
{
	struct pin_case *c = drvdata;
	/* The driver may clean up, though there is nothing left. */
	int ret = sva_unpin_range(dev, pasid, c->space->addr, PAGE_SIZE);

	complete(&stopped);
	return ret == -ENOENT ? 0 : -EINVAL;
}

static void s7_exit_with_handler_releases(struct kunit *test)
{
	struct device *dev = sva_test_device(test, NULL);
	struct pin_case *c = kunit_kzalloc(test, sizeof(*c), GFP_KERNEL);
	struct mm_struct *mm;

	KUNIT_ASSERT_NOT_NULL(test, c);
	reinit_completion(&stopped);
	c->dev = dev;
	c->space = sva_test_mm(test);
	mm = c->space->mm;
	KUNIT_ASSERT_EQ(test, 0, sva_test_watch_exit(dev, stop_device));
	KUNIT_ASSERT_EQ(test, 0, sva_bind_device(dev, mm, &c->pasid, IOMMU_SVA_FEAT_PASID, c));
	KUNIT_ASSERT_EQ(test, 0, pin(c, 0, PAGE_SIZE, true));
	KUNIT_ASSERT_EQ(test, 0, pin(c, PAGE_SIZE, PAGE_SIZE, true));
	mmgrab(mm);
	sva_test_mm_exit(test, c->space);

	KUNIT_ASSERT_NE(test, 0, wait_for_completion_timeout(&stopped, 30 * HZ));
	KUNIT_EXPECT_EQ(test, 0, atomic64_read(&mm->pinned_vm));
	KUNIT_EXPECT_EQ(test, 0, sva_unregister_mm_exit_handler(dev));
	KUNIT_EXPECT_EQ(test, -ESRCH, sva_unbind_device(dev, c->pasid));
	mmdrop(mm);
}

struct pinning {
	struct work_struct work;
	struct pin_case c;
	int last;
	int pins;
};

static void pin_until_it_fails(struct work_struct *work)
{
	struct pinning *p = container_of(work, struct pinning, work);

	do {
		p->last = pin(&p->c, 0, 16 * PAGE_SIZE, true);
		if (!p->last && ++p->pins % 4 == 0)
			p->last = unpin(&p->c, 0, 16 * PAGE_SIZE);
	} while (!p->last);
}

static void s7_pin_races_unbind(struct kunit *test)
{
	struct pinning *p = kunit_kzalloc(test, sizeof(*p), GFP_KERNEL);
	int round;

	KUNIT_ASSERT_NOT_NULL(test, p);
	p->c = bound(test);
	INIT_WORK(&p->work, pin_until_it_fails);
	for (round = 0; round < 20; round++) {
		queue_work(system_dfl_wq, &p->work);
		usleep_range(500, 2000);
		KUNIT_EXPECT_EQ(test, 0, sva_unbind_device(p->c.dev, p->c.pasid));
		flush_work(&p->work);
		KUNIT_EXPECT_EQ(test, -ESRCH, p->last);
		KUNIT_EXPECT_EQ(test, 0, pinned_pages(&p->c));
		KUNIT_ASSERT_EQ(test, 0, sva_bind_device(p->c.dev, p->c.space->mm, &p->c.pasid,
							 IOMMU_SVA_FEAT_PASID, NULL));
	}
	KUNIT_EXPECT_GT(test, p->pins, 0);
	unbound(test, &p->c);
	KUNIT_EXPECT_FALSE(test, is_pinned(test, p->c.space->addr));
}

static struct kunit_case sva_pin_release_cases[] = {
	KUNIT_CASE(s7_unpin),
	KUNIT_CASE(s7_last_unbind_releases),
	KUNIT_CASE(s7_shutdown_releases),
	KUNIT_CASE(s7_exit_releases),
	KUNIT_CASE(s7_exit_with_handler_releases),
	KUNIT_CASE(s7_pin_races_unbind),
	{}
};

struct kunit_suite sva_pin_release_suite = {
	.name = "sva_pin_release",
	.test_cases = sva_pin_release_cases,
};
