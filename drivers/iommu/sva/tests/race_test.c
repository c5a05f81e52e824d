// SPDX-License-Identifier: GPL-2.0
/* Orders of events that are forced: one task stops at a point of the core, another acts. */

#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/platform_device.h>
#include <linux/sched/mm.h>
#include <linux/sva_test_point.h>

#include "fixture.h"

/* What one task does while another has stopped at @point, the first time that one comes there. */
static struct {
	enum sva_test_point point;
	atomic_t armed;
	int (*act)(void *arg);
	void *arg;
	/* Whether to wait for its end at the point, or, for so long as it takes, only a while. */
	bool to_the_end;
	int result;
	struct completion done;
} forced;

static int forced_thread(void *arg)
{
	forced.result = forced.act(forced.arg);
	complete(&forced.done);
	return 0;
}

static void at_point(enum sva_test_point point)
{
	if (point != forced.point || !atomic_cmpxchg(&forced.armed, 1, 0))
		return;
	if (IS_ERR(kthread_run(forced_thread, NULL, "sva_forced"))) {
		forced.result = -ENOMEM;
		complete(&forced.done);
		return;
	}
	if (forced.to_the_end)
		wait_for_completion(&forced.done);
	else
		/* It needs what this task holds: time enough to get there. */
		msleep(50);
}

static void no_hook(void *unused)
{
	sva_test_set_hook(NULL);
	/* Who has read it before has passed, since what a test starts it waits for. */
}

static void force(struct kunit *test, enum sva_test_point point, bool to_the_end,
		  int (*act)(void *arg), void *arg)
{
	forced.point = point;
	forced.act = act;
	forced.arg = arg;
	forced.to_the_end = to_the_end;
	init_completion(&forced.done);
	atomic_set(&forced.armed, 1);
	sva_test_set_hook(at_point);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, no_hook, NULL));
}

/* What the other task's action gave; -EAGAIN if the point was never passed. */
static int forced_result(void)
{
	if (atomic_xchg(&forced.armed, 0))
		return -EAGAIN;
	if (!forced.to_the_end)
		wait_for_completion(&forced.done);
	return forced.result;
}

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
	force(test, SVA_TEST_DETACHED, true, bind_other, &other);
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
	force(test, SVA_TEST_DETACHED, true, bind_other, &other);
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
	force(test, SVA_TEST_LISTED, false, watch, dev);
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
	force(test, SVA_TEST_STOPPING, false, unwatch, dev);
	sva_test_mm_exit(test, space);
	KUNIT_ASSERT_NE(test, 0, wait_for_completion_timeout(&exit_heard, 30 * HZ));
	KUNIT_EXPECT_EQ(test, 0, forced_result());
	KUNIT_EXPECT_EQ(test, -ESRCH, iommu_sva_unbind_device(dev, pasid));
}

static unsigned int next_group(void)
{
	static atomic_t groups = ATOMIC_INIT(7000);

	return atomic_inc_return(&groups);
}

static int init_device(void *dev)
{
	return iommu_sva_device_init(dev, SVA_TEST_FLAGS, 0);
}

/* A device that is initialised while its group is being bound is bound too. */
static void r10_member_initialised_during_bind_group(struct kunit *test)
{
	struct mock_smmu_device config = { .pasid_bits = 10, .group = next_group() };
	struct device *a = sva_test_device(test, &config);
	struct device *b = sva_test_device(test, &config);
	struct sva_test_mm *space = sva_test_mm(test);
	int pasid;
	u64 value;

	KUNIT_ASSERT_EQ(test, 0, iommu_sva_device_shutdown(b));
	force(test, SVA_TEST_FIRST_MEMBER, false, init_device, b);
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_group(a->iommu_group, space->mm, &pasid,
						      SVA_TEST_FLAGS, NULL));
	KUNIT_ASSERT_EQ(test, 0, forced_result());
	KUNIT_EXPECT_EQ(test, pasid, sva_pasid(b, space->mm));
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(b, pasid, space->addr, &value));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_group(a->iommu_group, pasid));
	KUNIT_EXPECT_EQ(test, -ESRCH, sva_pasid(b, space->mm));
	KUNIT_EXPECT_NE(test, 0, sva_test_read(b, pasid, space->addr, &value));
}

static int shut_down(void *dev)
{
	return iommu_sva_device_shutdown(dev);
}

/* One that is shut down meanwhile is not, and nothing of it is left. */
static void r10_member_shut_down_during_bind_group(struct kunit *test)
{
	struct mock_smmu_device config = { .pasid_bits = 10, .group = next_group() };
	struct device *a = sva_test_device(test, &config);
	struct device *b = sva_test_device(test, &config);
	struct sva_test_mm *space = sva_test_mm(test);
	int pasid, ret;

	force(test, SVA_TEST_FIRST_MEMBER, false, shut_down, b);
	ret = iommu_sva_bind_group(a->iommu_group, space->mm, &pasid, SVA_TEST_FLAGS, NULL);
	KUNIT_ASSERT_EQ(test, 0, forced_result());
	KUNIT_EXPECT_EQ(test, -EINVAL, sva_pasid(b, space->mm));
	if (!ret)
		KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_group(a->iommu_group, pasid));
	KUNIT_EXPECT_EQ(test, -ESRCH, sva_pasid(a, space->mm));
	KUNIT_EXPECT_EQ(test, 0, init_device(b));
}

struct plug {
	struct mock_smmu_device config;
	struct device *dev;
};

static int plug_in(void *arg)
{
	struct plug *plug = arg;

	plug->dev = mock_smmu_device_create(&plug->config);
	return PTR_ERR_OR_ZERO(plug->dev);
}

/* A device that comes into the group just before the attach is seen after it. */
static void r9_device_plugged_in_before_the_attach(struct kunit *test)
{
	struct mock_smmu_device config = { .pasid_bits = 10, .group = next_group() };
	struct plug plug = {
		/* Of no driver. */
		.config = { .pasid_bits = 10, .group = config.group, .name = "sva_r9" },
	};
	struct device *a = sva_test_device(test, &config);
	struct sva_test_mm *space = sva_test_mm(test);
	int pasid = -7;
	u64 value;

	force(test, SVA_TEST_LISTED, true, plug_in, &plug);
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_sva_bind_device(a, space->mm, &pasid, SVA_TEST_FLAGS,
							    NULL));
	KUNIT_ASSERT_EQ(test, 0, forced_result());
	KUNIT_EXPECT_EQ(test, -7, pasid);
	KUNIT_EXPECT_EQ(test, -ESRCH, sva_pasid(a, space->mm));
	KUNIT_EXPECT_NE(test, 0, sva_test_read(plug.dev, 1, space->addr, &value));
	mock_smmu_device_destroy(plug.dev);
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_bind_device(a, space->mm, &pasid, SVA_TEST_FLAGS,
						       NULL));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(a, pasid));
}

/* Binds and unbinds a group, of which one member comes and goes. */
struct churn {
	struct device *dev;
	unsigned int rounds, errors;
	struct completion done;
};

static int churn_thread(void *arg)
{
	struct churn *churn = arg;
	unsigned int i;

	for (i = 0; i < churn->rounds; i++) {
		if (iommu_sva_device_shutdown(churn->dev) || init_device(churn->dev))
			churn->errors++;
	}
	complete(&churn->done);
	return 0;
}

static void r3_binds_of_a_group_whose_member_comes_and_goes(struct kunit *test)
{
	struct mock_smmu_device config = { .pasid_bits = 10, .group = next_group() };
	struct device *a = sva_test_device(test, &config);
	struct device *b = sva_test_device(test, &config);
	struct sva_test_mm *space = sva_test_mm(test);
	struct churn churn = { .dev = b };
	unsigned int i, left = 0;
	int first, second;

	churn.rounds = IS_ENABLED(CONFIG_KASAN) ? 30 : 1000;
	init_completion(&churn.done);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, kthread_run(churn_thread, &churn, "sva_churn"));
	for (i = 0; !completion_done(&churn.done); i++) {
		if (iommu_sva_bind_group(a->iommu_group, space->mm, &first, SVA_TEST_FLAGS, NULL))
			continue;
		if (!iommu_sva_bind_group(a->iommu_group, space->mm, &second, SVA_TEST_FLAGS,
					  NULL))
			KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_group(a->iommu_group, second));
		KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_group(a->iommu_group, first));
		left += sva_pasid(a, space->mm) != -ESRCH;
		left += sva_pasid(b, space->mm) >= 0;
	}
	wait_for_completion(&churn.done);
	KUNIT_EXPECT_EQ(test, 0, churn.errors);
	KUNIT_EXPECT_EQ(test, 0, left);
}

/* What a member's comings leave behind does not grow. */
static void r7_member_comes_thousands_of_times(struct kunit *test)
{
	struct mock_smmu_device config = { .pasid_bits = 10, .group = next_group() };
	struct device *a = sva_test_device(test, &config);
	struct device *b = sva_test_device(test, &config);
	struct sva_test_mm *space = sva_test_mm(test);
	unsigned int i, rounds = IS_ENABLED(CONFIG_KASAN) ? 300 : 3000, failed = 0;
	int pasid;
	u64 value;

	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_group(a->iommu_group, space->mm, &pasid,
						      SVA_TEST_FLAGS, NULL));
	for (i = 0; i < rounds; i++)
		failed += iommu_sva_device_shutdown(b) || init_device(b);
	KUNIT_EXPECT_EQ(test, 0, failed);
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(b, pasid, space->addr, &value));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_group(a->iommu_group, pasid));
	KUNIT_EXPECT_NE(test, 0, sva_test_read(b, pasid, space->addr, &value));
}

/* Drivers whose DMA the driver core owns: it would let no member of a bound group come back. */
static void d1_group_whose_members_could_not_come_back(struct kunit *test)
{
	struct mock_smmu_device config = { .pasid_bits = 10, .group = next_group() };
	struct device *a = sva_test_dma_user(test, &config);
	struct sva_test_mm *space = sva_test_mm(test);
	int pasid = -7;

	sva_test_dma_user(test, &config);
	KUNIT_EXPECT_EQ(test, -EPERM, iommu_sva_bind_group(a->iommu_group, space->mm, &pasid,
							   SVA_TEST_FLAGS, NULL));
	KUNIT_EXPECT_EQ(test, -7, pasid);
	KUNIT_EXPECT_EQ(test, -ESRCH, sva_pasid(a, space->mm));
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
	unsigned long addr = space->addr + (1UL << 30);
	u64 without, with;
	int i, held;

	for (i = 0; i < 4000; i++, addr += 2 * PAGE_SIZE)
		vm_mmap(NULL, addr, PAGE_SIZE, i & 1 ? PROT_READ : PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, 0);
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
	KUNIT_CASE_SLOW(r3_binds_of_a_group_whose_member_comes_and_goes),
	KUNIT_CASE_SLOW(r7_member_comes_thousands_of_times),
	KUNIT_CASE(r9_device_plugged_in_before_the_attach),
	KUNIT_CASE(r10_member_initialised_during_bind_group),
	KUNIT_CASE(r10_member_shut_down_during_bind_group),
	KUNIT_CASE(r13_handler_unregistered_before_its_call),
	KUNIT_CASE(d1_group_whose_members_could_not_come_back),
	KUNIT_CASE(v1_exit_handler_costs_nothing_by_the_mapping),
	{}
};

struct kunit_suite sva_race_suite = {
	.name = "sva_race",
	.test_cases = sva_race_cases,
};
