// SPDX-License-Identifier: GPL-2.0
/* Page requests that wait, or are just being reported, when their bond or their device goes. */

#include <linux/iommu.h>
#include <linux/kthread.h>
#include <linux/mm.h>

#include "forced.h"
#include "held_mapping.h"

/* An access of a device, by a thread of its own. */
struct access {
	struct device *dev;
	int pasid;
	unsigned long addr;
	int result;
	struct completion done;
};

static int access_thread(void *arg)
{
	struct access *access = arg;
	u64 value;

	access->result = sva_test_read(access->dev, access->pasid, access->addr, &value);
	complete(&access->done);
	return 0;
}

/* Reports a page request, as a driver does that does not wait at a detach for who reports. */
static int report_thread(void *arg)
{
	struct access *access = arg;

	access->result = sva_test_report(access->dev, access->pasid, access->addr,
					 IOMMU_FAULT_PERM_READ, true);
	complete(&access->done);
	return 0;
}

static void start(struct kunit *test, struct access *access, int (*thread)(void *arg))
{
	init_completion(&access->done);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, kthread_run(thread, access, "sva_access"));
}

static int result_of(struct access *access)
{
	wait_for_completion(&access->done);
	return access->result;
}

/* Far less than wait_seconds, after which all that waits is given up. */
#define SOON	(20 * HZ)

static int nothing(void *unused)
{
	return 0;
}

struct bound {
	struct device *dev;
	int pasid;
};

static int unbind(void *arg)
{
	struct bound *bound = arg;

	return iommu_sva_unbind_device(bound->dev, bound->pasid);
}

static int shut_down(void *dev)
{
	return iommu_sva_device_shutdown(dev);
}

/* The IOMMU's driver answers what the core lists of a device, when its last domain goes. */
static void unbind_with_a_group_that_waits(struct kunit *test, bool stall)
{
	struct mock_smmu_device config = { .pasid_bits = 10, .stall = stall };
	struct device *dev = sva_test_device(test, &config);
	struct sva_test_mm *space = sva_test_mm(test);
	struct access access = { .dev = dev, .addr = space->addr };
	struct held_mapping mapping;
	unsigned long begin;
	unsigned int i;
	int pasid;
	u64 value;

	for (i = 0; i < sva_test_rounds; i++) {
		KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(dev, space->mm, &access.pasid,
							       SVA_TEST_FLAGS, NULL));
		hold(test, &mapping, space);
		force(test, SVA_TEST_WAITS, FORCED_TO_THE_END, nothing, NULL);
		start(test, &access, access_thread);
		KUNIT_EXPECT_EQ(test, 0, forced_result());
		/* Its page cannot come now. */
		begin = jiffies;
		KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, access.pasid));
		KUNIT_EXPECT_EQ(test, -EFAULT, result_of(&access));
		KUNIT_EXPECT_TRUE(test, time_before(jiffies, begin + SOON));
		let_go(&mapping);
	}

	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(dev, space->mm, &pasid, SVA_TEST_FLAGS,
						       NULL));
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(dev, pasid, space->addr, &value));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
}

static void r5_unbind_with_a_group_that_waits(struct kunit *test)
{
	unbind_with_a_group_that_waits(test, false);
}

static void r5_unbind_with_a_stall_that_waits(struct kunit *test)
{
	unbind_with_a_group_that_waits(test, true);
}

/* Both ways to be refused while others wait are told, once each. */
struct told {
	int quota, ending, others;
};

static void tell(struct device *dev, u32 pasid, void *drvdata, const struct sva_refusal *refusal)
{
	struct told *told = drvdata;

	if (refusal->reason == SVA_REASON_QUOTA)
		told->quota++;
	else if (refusal->reason == SVA_REASON_ENDING)
		told->ending++;
	else
		told->others++;
}

static void r16_too_many_wait_and_then_the_bond_ends(struct kunit *test)
{
	static const struct sva_bond_ops ops = { .refused = tell };
	struct device *dev = sva_test_device(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test);
	struct told told = {};
	struct held_mapping mapping;
	struct sva_bond *bond;

	bond = sva_bind_ops(dev, space->mm, SVA_TEST_FLAGS, &ops, &told);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, bond);
	hold(test, &mapping, space);
	/* As many as may wait, and some. */
	for (int i = 0; i < 256 + 3; i++)
		KUNIT_EXPECT_EQ(test, 0, sva_test_report(dev, sva_bond_pasid(bond), space->addr,
							 IOMMU_FAULT_PERM_READ, true));
	KUNIT_EXPECT_EQ(test, 3, told.quota);
	KUNIT_EXPECT_EQ(test, 0, told.ending);
	sva_unbind(bond);
	/* Of more than 256 in a second only the number is told. */
	KUNIT_EXPECT_LE(test, 253, told.ending);
	KUNIT_EXPECT_EQ(test, 0, told.others);
	let_go(&mapping);
}

struct copy {
	struct sva_bond *bond;
	unsigned long addr;
	int result;
	struct completion done;
};

static int copying_thread(void *arg)
{
	struct copy *copy = arg;
	u64 word = 1;

	copy->result = sva_copy_to(copy->bond, copy->addr, &word, sizeof(word));
	complete(&copy->done);
	return 0;
}

/* A copy that cannot be made now ends with the bond, and another is made when it can. */
static void r17_copy_while_the_mapping_changes(struct kunit *test)
{
	struct device *dev = sva_test_device(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test);
	struct held_mapping mapping;
	struct copy copy;

	for (int shut = 0; shut < 2; shut++) {
		copy.bond = sva_bind(dev, space->mm, SVA_TEST_FLAGS, NULL, NULL);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, copy.bond);
		copy.addr = space->addr + shut * PAGE_SIZE;
		init_completion(&copy.done);
		hold(test, &mapping, space);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, kthread_run(copying_thread, &copy, "sva_copy"));
		KUNIT_EXPECT_EQ(test, 0, wait_for_completion_timeout(&copy.done, HZ / 5));
		if (shut) {
			KUNIT_EXPECT_EQ(test, 0, sva_device_shutdown(dev));
			wait_for_completion(&copy.done);
			KUNIT_EXPECT_EQ(test, -ESRCH, copy.result);
			let_go(&mapping);
		} else {
			let_go(&mapping);
			wait_for_completion(&copy.done);
			KUNIT_EXPECT_EQ(test, 0, copy.result);
		}
		sva_unbind(copy.bond);
	}
	KUNIT_EXPECT_EQ(test, 0, sva_device_init(dev, SVA_TEST_FLAGS, 0));
}

static int start_access(u32 pasid, void *arg)
{
	struct access *access = arg;
	u64 value;

	return sva_test_read(access->dev, pasid, access->addr, &value);
}

struct starting {
	struct sva_bond *bond;
	struct access access;
};

static int start_access_thread(void *arg)
{
	struct starting *starting = arg;

	starting->access.result = sva_start(starting->bond, start_access, &starting->access);
	complete(&starting->access.done);
	return 0;
}

/* The end waits for who is starting the device, and that for no page which cannot come. */
static void r18_device_at_work_when_its_bond_ends(struct kunit *test)
{
	struct device *dev = sva_test_device(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test);
	struct starting starting = { .access = { .dev = dev, .addr = space->addr } };
	struct held_mapping mapping;
	unsigned long begin;

	starting.bond = sva_bind(dev, space->mm, SVA_TEST_FLAGS, NULL, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, starting.bond);
	hold(test, &mapping, space);
	force(test, SVA_TEST_WAITS, FORCED_TO_THE_END, nothing, NULL);
	init_completion(&starting.access.done);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, kthread_run(start_access_thread, &starting, "start"));
	KUNIT_EXPECT_EQ(test, 0, forced_result());
	begin = jiffies;
	sva_unbind(starting.bond);
	/* Less than the device would wait for. */
	KUNIT_EXPECT_TRUE(test, time_before(jiffies, begin + 5 * HZ));
	KUNIT_EXPECT_TRUE(test, completion_done(&starting.access.done) ||
			  wait_for_completion_timeout(&starting.access.done, HZ));
	KUNIT_EXPECT_EQ(test, -EFAULT, starting.access.result);
	let_go(&mapping);
}

/* A member leaves a group that stays bound, when a request of its is about to wait. */
static void r4_member_leaves_while_its_request_begins_to_wait(struct kunit *test)
{
	struct mock_smmu_device config = { .pasid_bits = 10, .group = 7500 };
	struct device *a = sva_test_device(test, &config);
	struct device *b = sva_test_device(test, &config);
	struct sva_test_mm *space = sva_test_mm(test);
	struct access access = { .dev = b, .addr = space->addr };
	struct held_mapping mapping;
	unsigned long begin;
	u64 value;

	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_group(a->iommu_group, space->mm, &access.pasid,
						      SVA_TEST_FLAGS, NULL));
	hold(test, &mapping, space);
	force(test, SVA_TEST_WAITS, FORCED_A_WHILE, shut_down, b);
	begin = jiffies;
	start(test, &access, access_thread);
	/* It waits until none of its requests is left, and for no page. */
	KUNIT_EXPECT_EQ(test, 0, forced_result());
	KUNIT_EXPECT_TRUE(test, forced_waited());
	KUNIT_EXPECT_EQ(test, -EFAULT, result_of(&access));
	KUNIT_EXPECT_TRUE(test, time_before(jiffies, begin + SOON));
	let_go(&mapping);

	KUNIT_EXPECT_EQ(test, -EINVAL, sva_pasid(b, space->mm));
	KUNIT_EXPECT_EQ(test, access.pasid, sva_pasid(a, space->mm));
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(a, access.pasid, space->addr, &value));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_group(a->iommu_group, access.pasid));
}

/* A report that began before the detach, and that the IOMMU's driver has not waited for. */
static void r14_report_that_outlives_the_detach(struct kunit *test)
{
	struct bound bound = { .dev = sva_test_device(test, NULL) };
	struct sva_test_mm *space = sva_test_mm(test);
	struct access access = { .dev = bound.dev, .addr = space->addr };
	struct held_mapping mapping;
	unsigned long begin;

	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(bound.dev, space->mm, &bound.pasid,
						       SVA_TEST_FLAGS, NULL));
	access.pasid = bound.pasid;
	hold(test, &mapping, space);
	force(test, SVA_TEST_WAITS, FORCED_A_WHILE, unbind, &bound);
	begin = jiffies;
	start(test, &access, report_thread);
	KUNIT_EXPECT_EQ(test, 0, forced_result());
	KUNIT_EXPECT_TRUE(test, forced_waited());
	KUNIT_EXPECT_EQ(test, 0, result_of(&access));
	KUNIT_EXPECT_TRUE(test, time_before(jiffies, begin + SOON));
	let_go(&mapping);
	KUNIT_EXPECT_EQ(test, -ESRCH, iommu_sva_unbind_device(bound.dev, bound.pasid));
}

static struct kunit_case sva_race_fault_cases[] = {
	KUNIT_CASE(r4_member_leaves_while_its_request_begins_to_wait),
	KUNIT_CASE(r5_unbind_with_a_group_that_waits),
	KUNIT_CASE(r5_unbind_with_a_stall_that_waits),
	KUNIT_CASE(r18_device_at_work_when_its_bond_ends),
	KUNIT_CASE(r17_copy_while_the_mapping_changes),
	KUNIT_CASE(r16_too_many_wait_and_then_the_bond_ends),
	KUNIT_CASE(r14_report_that_outlives_the_detach),
	{}
};

struct kunit_suite sva_race_fault_suite = {
	.name = "sva_race_fault",
	.test_cases = sva_race_fault_cases,
};
