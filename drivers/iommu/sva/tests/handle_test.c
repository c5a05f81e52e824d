// SPDX-License-Identifier: GPL-2.0
/* Bonds by handle: <linux/sva.h> without the names of 2018. */

#define SVA_TEST_LINUX_NAMES
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/sched/mm.h>

#include "fixture.h"

struct exit_seen {
	struct completion called;
	struct device *dev;
	u32 pasid;
	int calls;
};

static void see_exit(struct device *dev, u32 pasid, void *drvdata)
{
	struct exit_seen *seen = drvdata;

	seen->dev = dev;
	seen->pasid = pasid;
	seen->calls++;
	complete(&seen->called);
}

static struct exit_seen *new_seen(struct kunit *test)
{
	struct exit_seen *seen = kunit_kzalloc(test, sizeof(*seen), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, seen);
	init_completion(&seen->called);
	return seen;
}

static void handle_leads_to_the_memory(struct kunit *test)
{
	struct device *dev = sva_test_device(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test);
	struct sva_bond *bond = sva_bind(dev, space->mm, SVA_TEST_FLAGS, NULL, NULL);
	u32 pasid;
	u64 value;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, bond);
	pasid = sva_bond_pasid(bond);
	KUNIT_EXPECT_GT(test, pasid, 0);
	KUNIT_EXPECT_EQ(test, 0, sva_test_write(dev, pasid, space->addr, 0x5ea));
	KUNIT_EXPECT_EQ(test, 0, get_user(value, (u64 __user *)space->addr));
	KUNIT_EXPECT_EQ(test, 0x5ea, value);
	sva_unbind(bond);
	KUNIT_EXPECT_NE(test, 0, sva_test_read(dev, pasid, space->addr, &value));
	sva_unbind(NULL);
}

static void handles_count(struct kunit *test)
{
	struct device *dev = sva_test_device(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test);
	struct exit_seen *seen = new_seen(test);
	struct sva_bond *first = sva_bind(dev, space->mm, SVA_TEST_FLAGS, see_exit, seen);
	struct sva_bond *second = sva_bind(dev, space->mm, SVA_TEST_FLAGS, see_exit, seen);
	u32 pasid;
	u64 value;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, first);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, second);
	pasid = sva_bond_pasid(first);
	KUNIT_EXPECT_EQ(test, pasid, sva_bond_pasid(second));
	/* Another callback or other data is another user. */
	KUNIT_EXPECT_EQ(test, -EEXIST,
			PTR_ERR(sva_bind(dev, space->mm, SVA_TEST_FLAGS, NULL, seen)));
	KUNIT_EXPECT_EQ(test, -EEXIST,
			PTR_ERR(sva_bind(dev, space->mm, SVA_TEST_FLAGS, see_exit, test)));
	sva_unbind(first);
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(dev, pasid, space->addr, &value));
	sva_unbind(second);
	KUNIT_EXPECT_NE(test, 0, sva_test_read(dev, pasid, space->addr, &value));
	KUNIT_EXPECT_EQ(test, 0, seen->calls);
}

/* A handle whose bond has ended names nobody else's, even if the PASID does. */
static void late_unbind_hits_nobody(struct kunit *test)
{
	struct device *dev = sva_test_device(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test), *next;
	struct exit_seen *seen = new_seen(test);
	struct sva_bond *bond = sva_bind(dev, space->mm, SVA_TEST_FLAGS, see_exit, seen);
	struct sva_bond *heir = NULL;
	u32 pasid;
	u64 value;
	int i;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, bond);
	pasid = sva_bond_pasid(bond);
	sva_test_mm_exit(test, space);
	KUNIT_ASSERT_NE(test, 0, wait_for_completion_timeout(&seen->called, 30 * HZ));
	KUNIT_EXPECT_PTR_EQ(test, dev, seen->dev);
	KUNIT_EXPECT_EQ(test, pasid, seen->pasid);

	/* The end comes after the callback. */
	next = sva_test_mm(test);
	for (i = 0; i < 3000; i++) {
		heir = sva_bind(dev, next->mm, SVA_TEST_FLAGS, NULL, NULL);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, heir);
		if (sva_bond_pasid(heir) == pasid)
			break;
		sva_unbind(heir);
		msleep(20);
	}
	KUNIT_ASSERT_EQ(test, pasid, sva_bond_pasid(heir));
	sva_unbind(bond);
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(dev, pasid, next->addr, &value));
	KUNIT_EXPECT_EQ(test, 1, seen->calls);
	sva_unbind(heir);
}

/* A callback that gives the bond back, and is at work still. */
struct slow_exit {
	struct sva_bond *bond;
	struct completion begun;
	bool returned;
};

static void unbind_and_go_on(struct device *dev, u32 pasid, void *drvdata)
{
	struct slow_exit *slow = drvdata;

	sva_unbind(slow->bond);
	complete(&slow->begun);
	msleep(100);
	WRITE_ONCE(slow->returned, true);
}

static void shutdown_waits_for_a_callback_that_has_unbound(struct kunit *test)
{
	struct device *dev = sva_test_device(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test);
	struct slow_exit *slow = kunit_kzalloc(test, sizeof(*slow), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, slow);
	init_completion(&slow->begun);
	slow->bond = sva_bind(dev, space->mm, SVA_TEST_FLAGS, unbind_and_go_on, slow);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, slow->bond);
	sva_test_mm_exit(test, space);
	KUNIT_ASSERT_NE(test, 0, wait_for_completion_timeout(&slow->begun, 30 * HZ));
	KUNIT_EXPECT_EQ(test, 0, sva_device_shutdown(dev));
	KUNIT_EXPECT_TRUE(test, READ_ONCE(slow->returned));
	KUNIT_EXPECT_EQ(test, 0, sva_device_init(dev, SVA_TEST_FLAGS, 0));
}

static void shutdown_ends_it_before(struct kunit *test)
{
	struct device *dev = sva_test_device(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test);
	struct sva_bond *bond = sva_bind(dev, space->mm, SVA_TEST_FLAGS, NULL, NULL);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, bond);
	KUNIT_EXPECT_EQ(test, 0, sva_device_shutdown(dev));
	KUNIT_EXPECT_EQ(test, -ESRCH, sva_bond_pin(bond, space->addr, PAGE_SIZE, false));
	sva_unbind(bond);
	KUNIT_EXPECT_EQ(test, -EINVAL,
			PTR_ERR(sva_bind(dev, space->mm, SVA_TEST_FLAGS, NULL, NULL)));
	KUNIT_EXPECT_EQ(test, 0, sva_device_init(dev, SVA_TEST_FLAGS, 0));
}

static void members_of_a_group(struct kunit *test)
{
	struct mock_smmu_device config = { .pasid_bits = 10, .group = 7900 };
	struct device *a = sva_test_device(test, &config);
	struct device *b = sva_test_device(test, &config);
	struct sva_test_mm *space = sva_test_mm(test);
	struct sva_bond *bond, *again;
	u32 pasid;
	u64 value;

	KUNIT_EXPECT_EQ(test, -EBUSY,
			PTR_ERR(sva_bind(a, space->mm, SVA_TEST_FLAGS, NULL, NULL)));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			PTR_ERR(sva_bind_members(NULL, space->mm, SVA_TEST_FLAGS, NULL, NULL)));
	bond = sva_bind_members(a->iommu_group, space->mm, SVA_TEST_FLAGS, NULL, NULL);
	again = sva_bind_members(b->iommu_group, space->mm, SVA_TEST_FLAGS, NULL, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, bond);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, again);
	pasid = sva_bond_pasid(bond);
	KUNIT_EXPECT_EQ(test, pasid, sva_bond_pasid(again));
	KUNIT_EXPECT_EQ(test, 0, sva_bond_pin(bond, space->addr, PAGE_SIZE, true));
	KUNIT_EXPECT_EQ(test, 0, sva_bond_unpin(bond, space->addr, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -ENOENT, sva_bond_unpin(bond, space->addr, PAGE_SIZE));
	sva_unbind(bond);
	KUNIT_EXPECT_EQ(test, 0, sva_test_write(a, pasid, space->addr, 1));
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(b, pasid, space->addr, &value));
	sva_unbind(again);
	KUNIT_EXPECT_NE(test, 0, sva_test_read(a, pasid, space->addr, &value));
	KUNIT_EXPECT_NE(test, 0, sva_test_read(b, pasid, space->addr, &value));
}

struct slow_start {
	struct sva_bond *bond;
	struct completion begun, go_on, done;
	int result;
	u32 pasid;
	bool returned;
};

static int start_slowly(u32 pasid, void *arg)
{
	struct slow_start *slow = arg;

	slow->pasid = pasid;
	complete(&slow->begun);
	wait_for_completion(&slow->go_on);
	msleep(100);
	WRITE_ONCE(slow->returned, true);
	return 7;
}

static int starting_thread(void *arg)
{
	struct slow_start *slow = arg;

	slow->result = sva_start(slow->bond, start_slowly, slow);
	complete(&slow->done);
	return 0;
}

/* Whatever ends the bond waits for who is starting the device, and nobody starts it later. */
static void no_end_while_the_device_is_started(struct kunit *test)
{
	struct mock_smmu_device config = { .pasid_bits = 10, .group = 7940 };

	for (int how = 0; how < 3; how++) {
		struct device *dev = sva_test_device(test, how == 2 ? &config : NULL);
		struct sva_test_mm *space = sva_test_mm(test);
		struct slow_start slow = {};

		if (how == 2)
			slow.bond = sva_bind_members(dev->iommu_group, space->mm, SVA_TEST_FLAGS,
						     NULL, NULL);
		else
			slow.bond = sva_bind(dev, space->mm, SVA_TEST_FLAGS, NULL, NULL);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, slow.bond);
		init_completion(&slow.begun);
		init_completion(&slow.go_on);
		init_completion(&slow.done);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, kthread_run(starting_thread, &slow, "start"));
		wait_for_completion(&slow.begun);
		KUNIT_EXPECT_EQ(test, sva_bond_pasid(slow.bond), slow.pasid);
		complete(&slow.go_on);
		KUNIT_EXPECT_EQ(test, 0, sva_device_shutdown(dev));
		KUNIT_EXPECT_TRUE(test, READ_ONCE(slow.returned));
		wait_for_completion(&slow.done);
		KUNIT_EXPECT_EQ(test, 7, slow.result);
		KUNIT_EXPECT_EQ(test, -ESRCH, sva_start(slow.bond, start_slowly, &slow));
		sva_unbind(slow.bond);
		KUNIT_EXPECT_EQ(test, 0, sva_device_init(dev, SVA_TEST_FLAGS, 0));
		sva_test_unuse(space);
	}
}

static void whose_memory_it_is(struct kunit *test)
{
	struct device *dev = sva_test_device(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test), *other;
	struct sva_bond *bond = sva_bind(dev, space->mm, SVA_TEST_FLAGS, NULL, NULL);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, bond);
	KUNIT_EXPECT_TRUE(test, sva_bond_is_callers(bond));
	sva_test_unuse(space);
	KUNIT_EXPECT_FALSE(test, sva_bond_is_callers(bond));
	other = sva_test_mm(test);
	KUNIT_EXPECT_NOT_NULL(test, other);
	KUNIT_EXPECT_FALSE(test, sva_bond_is_callers(bond));
	sva_unbind(bond);
}

static void errors_are_pointers(struct kunit *test)
{
	struct device *dev = sva_test_device(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test);
	struct mm_struct *mm = space->mm;

	KUNIT_EXPECT_EQ(test, -EINVAL, PTR_ERR(sva_bind(NULL, mm, SVA_TEST_FLAGS, NULL, NULL)));
	KUNIT_EXPECT_EQ(test, -EINVAL, PTR_ERR(sva_bind(dev, NULL, SVA_TEST_FLAGS, NULL, NULL)));
	KUNIT_EXPECT_EQ(test, -EINVAL, PTR_ERR(sva_bind(dev, mm, BIT(40), NULL, NULL)));
	mmgrab(mm);
	sva_test_mm_exit(test, space);
	KUNIT_EXPECT_EQ(test, -ESRCH, PTR_ERR(sva_bind(dev, mm, SVA_TEST_FLAGS, NULL, NULL)));
	mmdrop(mm);
}

static struct kunit_case sva_handle_cases[] = {
	KUNIT_CASE(handle_leads_to_the_memory),
	KUNIT_CASE(handles_count),
	KUNIT_CASE(late_unbind_hits_nobody),
	KUNIT_CASE(shutdown_waits_for_a_callback_that_has_unbound),
	KUNIT_CASE(shutdown_ends_it_before),
	KUNIT_CASE(members_of_a_group),
	KUNIT_CASE(no_end_while_the_device_is_started),
	KUNIT_CASE(whose_memory_it_is),
	KUNIT_CASE(errors_are_pointers),
	{}
};

struct kunit_suite sva_handle_suite = {
	.name = "sva_handle",
	.test_cases = sva_handle_cases,
};
