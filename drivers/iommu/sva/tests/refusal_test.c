// SPDX-License-Identifier: GPL-2.0
/* What a driver hears of page requests that are refused. */

#define SVA_TEST_LINUX_NAMES
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/mman.h>

#include "fixture.h"

#define R	IOMMU_FAULT_PERM_READ
#define W	IOMMU_FAULT_PERM_WRITE

struct heard {
	struct device *dev;
	u32 pasid;
	int calls;
	u32 groups;
	struct sva_refusal last;
	/* An access of the device that must not have its answer yet. */
	struct completion *answered;
	bool too_late;
};

static void hear(struct device *dev, u32 pasid, void *drvdata, const struct sva_refusal *refusal)
{
	struct heard *heard = drvdata;

	heard->dev = dev;
	heard->pasid = pasid;
	heard->calls++;
	heard->groups += 1 + refusal->untold;
	heard->last = *refusal;
	if (heard->answered) {
		msleep(100);
		heard->too_late = completion_done(heard->answered);
	}
}

static const struct sva_bond_ops hearing = { .refused = hear };

struct refusal_case {
	struct device *dev;
	struct sva_test_mm *space;
	struct heard *heard;
	struct sva_bond *bond;
	u32 pasid;
};

static struct refusal_case bound(struct kunit *test, unsigned long flags)
{
	struct refusal_case c = {
		.dev = sva_test_device(test, NULL),
		.space = sva_test_mm(test),
		.heard = kunit_kzalloc(test, sizeof(*c.heard), GFP_KERNEL),
	};

	KUNIT_ASSERT_NOT_NULL(test, c.heard);
	c.bond = sva_bind_ops(c.dev, c.space->mm, flags, &hearing, c.heard);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, c.bond);
	c.pasid = sva_bond_pasid(c.bond);
	return c;
}

static int report(struct refusal_case *c, unsigned long addr, u32 perm, bool last)
{
	return sva_test_report(c->dev, c->pasid, addr, perm, last);
}

static unsigned long map(struct kunit *test, unsigned long prot)
{
	unsigned long addr = vm_mmap(NULL, 0, PAGE_SIZE, prot, MAP_PRIVATE | MAP_ANONYMOUS, 0);

	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
	return addr;
}

static void expect(struct kunit *test, struct refusal_case *c, int calls, unsigned long addr,
		   u32 access, enum sva_reason reason, u32 requests)
{
	struct heard *heard = c->heard;

	/* A worker may have had it. */
	for (int i = 0; i < 3000 && READ_ONCE(heard->calls) < calls; i++)
		msleep(20);
	KUNIT_EXPECT_EQ(test, calls, heard->calls);
	KUNIT_EXPECT_PTR_EQ(test, c->dev, heard->dev);
	KUNIT_EXPECT_EQ(test, c->pasid, heard->pasid);
	KUNIT_EXPECT_EQ(test, addr, heard->last.addr);
	KUNIT_EXPECT_EQ(test, access, heard->last.access);
	KUNIT_EXPECT_EQ(test, reason, heard->last.reason);
	KUNIT_EXPECT_EQ(test, requests, heard->last.requests);
	KUNIT_EXPECT_EQ(test, 0, heard->last.untold);
}

static void what_is_not_mapped(struct kunit *test)
{
	struct refusal_case c = bound(test, SVA_TEST_FLAGS);
	u64 value;

	KUNIT_EXPECT_EQ(test, 0, sva_test_read(c.dev, c.pasid, c.space->addr, &value));
	KUNIT_EXPECT_EQ(test, 0, c.heard->calls);
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(c.space->addr + PAGE_SIZE, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -EFAULT, sva_test_read(c.dev, c.pasid, c.space->addr + PAGE_SIZE + 8,
						     &value));
	expect(test, &c, 1, c.space->addr + PAGE_SIZE, R, SVA_REASON_NOT_MAPPED, 1);
	sva_unbind(c.bond);
}

static void what_the_process_may_not_do(struct kunit *test)
{
	struct refusal_case c = bound(test, SVA_TEST_FLAGS);
	unsigned long only = map(test, PROT_READ), none = map(test, PROT_NONE);

	KUNIT_EXPECT_EQ(test, 0, report(&c, only, W, true));
	expect(test, &c, 1, only, W, SVA_REASON_NO_RIGHT, 1);
	KUNIT_EXPECT_EQ(test, 0, report(&c, none, R, true));
	expect(test, &c, 2, none, R, SVA_REASON_NO_RIGHT, 1);
	KUNIT_EXPECT_EQ(test, 0, report(&c, only, R, true));
	KUNIT_EXPECT_EQ(test, 2, c.heard->calls);
	sva_unbind(c.bond);
}

/* One call for a group: the first that is refused at once, then those that a worker has. */
static void once_for_a_group(struct kunit *test)
{
	struct refusal_case c = bound(test, SVA_TEST_FLAGS);
	unsigned long only = map(test, PROT_READ), gone = map(test, PROT_READ);

	KUNIT_ASSERT_EQ(test, 0, vm_munmap(gone, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 0, report(&c, c.space->addr, W, false));
	KUNIT_EXPECT_EQ(test, 0, report(&c, only, W, false));
	KUNIT_EXPECT_EQ(test, 0, report(&c, gone, R, false));
	KUNIT_EXPECT_EQ(test, 0, report(&c, c.space->addr + PAGE_SIZE, W, true));
	expect(test, &c, 1, only, W, SVA_REASON_NO_RIGHT, 2);
	sva_unbind(c.bond);
	KUNIT_EXPECT_EQ(test, 1, c.heard->calls);
}

static void without_page_requests(struct kunit *test)
{
	struct refusal_case c = bound(test, IOMMU_SVA_FEAT_PASID);

	KUNIT_EXPECT_EQ(test, 0, report(&c, c.space->addr, R, false));
	KUNIT_EXPECT_EQ(test, 0, report(&c, c.space->addr + PAGE_SIZE, R, true));
	expect(test, &c, 1, c.space->addr, R, SVA_REASON_NOT_ASKED, 2);
	sva_unbind(c.bond);
}

static void of_a_process_that_is_gone(struct kunit *test)
{
	struct refusal_case c = bound(test, SVA_TEST_FLAGS);
	unsigned long addr = c.space->addr;

	sva_test_mm_exit(test, c.space);
	KUNIT_EXPECT_EQ(test, 0, report(&c, addr, R, true));
	expect(test, &c, 1, addr, R, SVA_REASON_PROCESS_GONE, 1);
	sva_unbind(c.bond);
}

struct access {
	struct refusal_case *c;
	unsigned long addr;
	int result;
	struct completion done;
};

static int access_thread(void *arg)
{
	struct access *access = arg;
	u64 value;

	access->result = sva_test_read(access->c->dev, access->c->pasid, access->addr, &value);
	complete(&access->done);
	return 0;
}

static void before_the_answer(struct kunit *test)
{
	struct refusal_case c = bound(test, SVA_TEST_FLAGS);
	unsigned long places[] = { map(test, PROT_NONE), map(test, PROT_NONE) };

	/* One is refused by who reports, the other by a worker. */
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(places[1], PAGE_SIZE));
	for (int i = 0; i < ARRAY_SIZE(places); i++) {
		struct access access = { .c = &c, .addr = places[i] };

		init_completion(&access.done);
		c.heard->answered = &access.done;
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test,
					     kthread_run(access_thread, &access, "sva_access"));
		wait_for_completion(&access.done);
		KUNIT_EXPECT_EQ(test, -EFAULT, access.result);
		KUNIT_EXPECT_EQ(test, i + 1, c.heard->calls);
		KUNIT_EXPECT_FALSE(test, c.heard->too_late);
		c.heard->answered = NULL;
	}
	sva_unbind(c.bond);
}

/* Not of each, but of how many. */
static void not_of_too_many(struct kunit *test)
{
	struct refusal_case c = bound(test, SVA_TEST_FLAGS);
	unsigned long none = map(test, PROT_NONE), begin = jiffies;
	const u32 groups = 1000;

	for (u32 i = 0; i < groups; i++)
		KUNIT_EXPECT_EQ(test, 0, report(&c, none, R, true));
	if (time_before(jiffies, begin + HZ / 2))
		KUNIT_EXPECT_LE(test, c.heard->calls, 512);
	KUNIT_EXPECT_LE(test, 256, c.heard->calls);
	msleep(1100);
	KUNIT_EXPECT_EQ(test, 0, report(&c, none, R, true));
	KUNIT_EXPECT_EQ(test, groups + 1, c.heard->groups);
	sva_unbind(c.bond);
}

static void none_after_the_end(struct kunit *test)
{
	struct refusal_case c = bound(test, SVA_TEST_FLAGS);
	u64 value;

	sva_unbind(c.bond);
	KUNIT_EXPECT_NE(test, 0, sva_test_read(c.dev, c.pasid, 0, &value));
	KUNIT_EXPECT_EQ(test, 0, c.heard->calls);

	c.bond = sva_bind_ops(c.dev, c.space->mm, SVA_TEST_FLAGS, NULL, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, c.bond);
	KUNIT_EXPECT_EQ(test, -EFAULT, sva_test_read(c.dev, sva_bond_pasid(c.bond), 0, &value));
	KUNIT_EXPECT_EQ(test, 0, c.heard->calls);
	sva_unbind(c.bond);
}

static void other_ops_are_another_user(struct kunit *test)
{
	static const struct sva_bond_ops others = { .refused = hear };
	struct refusal_case c = bound(test, SVA_TEST_FLAGS);
	struct mm_struct *mm = c.space->mm;
	struct sva_bond *again = sva_bind_ops(c.dev, mm, SVA_TEST_FLAGS, &hearing, c.heard);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, again);
	KUNIT_EXPECT_EQ(test, -EEXIST, PTR_ERR(sva_bind_ops(c.dev, mm, SVA_TEST_FLAGS, &others,
							    c.heard)));
	KUNIT_EXPECT_EQ(test, -EEXIST, PTR_ERR(sva_bind(c.dev, mm, SVA_TEST_FLAGS, NULL,
							c.heard)));
	sva_unbind(again);
	sva_unbind(c.bond);
}

/* The driver hears of its own device's, and of no other member's. */
static void of_the_member_that_asks(struct kunit *test)
{
	struct mock_smmu_device config = { .pasid_bits = 10, .group = 7910 };
	struct device *a = sva_test_device(test, &config);
	struct refusal_case c = {
		.dev = sva_test_device(test, &config),
		.space = sva_test_mm(test),
		.heard = kunit_kzalloc(test, sizeof(*c.heard), GFP_KERNEL),
	};
	u64 value;

	KUNIT_ASSERT_NOT_NULL(test, c.heard);
	c.bond = sva_bind_members_ops(a->iommu_group, c.space->mm, SVA_TEST_FLAGS, &hearing,
				      c.heard);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, c.bond);
	c.pasid = sva_bond_pasid(c.bond);
	KUNIT_EXPECT_EQ(test, -EFAULT, sva_test_read(c.dev, c.pasid, 0, &value));
	expect(test, &c, 1, 0, R, SVA_REASON_NOT_MAPPED, 1);
	/* Who leaves and comes back is told once, as before. */
	KUNIT_EXPECT_EQ(test, 0, sva_device_shutdown(c.dev));
	KUNIT_EXPECT_EQ(test, 0, sva_device_init(c.dev, SVA_TEST_FLAGS, 0));
	KUNIT_EXPECT_EQ(test, -EFAULT, sva_test_read(c.dev, c.pasid, 0, &value));
	expect(test, &c, 2, 0, R, SVA_REASON_NOT_MAPPED, 1);
	c.dev = a;
	KUNIT_EXPECT_EQ(test, -EFAULT, sva_test_read(a, c.pasid, 0, &value));
	expect(test, &c, 3, 0, R, SVA_REASON_NOT_MAPPED, 1);
	sva_unbind(c.bond);
}

static void seen_exit(struct device *dev, u32 pasid, void *drvdata)
{
	struct heard *heard = drvdata;

	WRITE_ONCE(heard->pasid, pasid);
}

static void exit_by_ops(struct kunit *test)
{
	static const struct sva_bond_ops ops = { .exit = seen_exit };
	struct device *dev = sva_test_device(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test);
	struct heard *heard = kunit_kzalloc(test, sizeof(*heard), GFP_KERNEL);
	struct sva_bond *bond;

	KUNIT_ASSERT_NOT_NULL(test, heard);
	bond = sva_bind_ops(dev, space->mm, SVA_TEST_FLAGS, &ops, heard);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, bond);
	sva_test_mm_exit(test, space);
	for (int i = 0; i < 3000 && !READ_ONCE(heard->pasid); i++)
		msleep(20);
	KUNIT_EXPECT_EQ(test, sva_bond_pasid(bond), heard->pasid);
	sva_unbind(bond);
}

static struct kunit_case sva_refusal_cases[] = {
	KUNIT_CASE(what_is_not_mapped),
	KUNIT_CASE(what_the_process_may_not_do),
	KUNIT_CASE(once_for_a_group),
	KUNIT_CASE(without_page_requests),
	KUNIT_CASE(of_a_process_that_is_gone),
	KUNIT_CASE(before_the_answer),
	KUNIT_CASE(not_of_too_many),
	KUNIT_CASE(none_after_the_end),
	KUNIT_CASE(other_ops_are_another_user),
	KUNIT_CASE(of_the_member_that_asks),
	KUNIT_CASE(exit_by_ops),
	{}
};

struct kunit_suite sva_refusals_suite = {
	.name = "sva_refusals",
	.test_cases = sva_refusal_cases,
};
