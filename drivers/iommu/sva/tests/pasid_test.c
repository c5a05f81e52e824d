// SPDX-License-Identifier: GPL-2.0
/* Which PASIDs devices get that cannot send all of them. */

#define SVA_TEST_LINUX_NAMES
#include <linux/sched/mm.h>

#include "fixture.h"

#define MANY	300

struct process {
	struct mm_struct *mm;
	struct sva_bond *bond;
};

static void unbind_all(struct process *all, int n)
{
	for (int i = 0; i < n; i++) {
		if (!IS_ERR_OR_NULL(all[i].bond))
			sva_unbind(all[i].bond);
		if (all[i].mm)
			mmput(all[i].mm);
	}
}

/* Binds a new process to @dev; its PASID, or an error. */
static int bind_one(struct device *dev, struct process *process)
{
	process->mm = mm_alloc();
	if (!process->mm)
		return -ENOMEM;
	process->mm->task_size = TASK_SIZE;
	process->bond = sva_bind(dev, process->mm, SVA_TEST_FLAGS, NULL, NULL);
	return IS_ERR(process->bond) ? PTR_ERR(process->bond) : sva_bond_pasid(process->bond);
}

static struct process *processes(struct kunit *test, int n)
{
	struct process *all = kunit_kcalloc(test, n, sizeof(*all), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, all);
	return all;
}

static struct device *device(struct kunit *test, unsigned int pasid_bits)
{
	struct mock_smmu_device config = { .pasid_bits = pasid_bits };

	return sva_test_device(test, &config);
}

/* What many processes have on a wide device, a narrow one could not send. */
static void wide_devices_leave_the_small_ones(struct kunit *test)
{
	struct device *wide = device(test, 16), *narrow = device(test, 8);
	struct process *all = processes(test, MANY + 2);
	int pasid, same;

	for (int i = 0; i < MANY; i++) {
		pasid = bind_one(wide, &all[i]);
		KUNIT_EXPECT_GT(test, pasid, 255);
		KUNIT_EXPECT_LT(test, pasid, 1 << 16);
	}
	pasid = bind_one(narrow, &all[MANY]);
	KUNIT_EXPECT_GT(test, pasid, 0);
	KUNIT_EXPECT_LT(test, pasid, 256);
	/* Both can send that one. */
	all[MANY + 1].mm = all[MANY].mm;
	mmget(all[MANY + 1].mm);
	all[MANY + 1].bond = sva_bind(wide, all[MANY].mm, SVA_TEST_FLAGS, NULL, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, all[MANY + 1].bond);
	same = sva_bond_pasid(all[MANY + 1].bond);
	KUNIT_EXPECT_EQ(test, pasid, same);
	unbind_all(all, MANY + 2);
}

/* The small ones are better than none. */
static void wide_devices_use_small_ones_in_the_end(struct kunit *test)
{
	struct device *dev = device(test, 16);
	struct process *all = processes(test, 13);
	int large = 0;

	KUNIT_ASSERT_EQ(test, 0, sva_device_shutdown(dev));
	KUNIT_ASSERT_EQ(test, 0, sva_device_init_within(dev, SVA_TEST_FLAGS, 250, 261));
	for (int i = 0; i < 12; i++) {
		int pasid = bind_one(dev, &all[i]);

		KUNIT_EXPECT_LE(test, 250, pasid);
		KUNIT_EXPECT_GE(test, 261, pasid);
		/* First those that others cannot send. */
		KUNIT_EXPECT_EQ(test, i < 6, pasid > 255);
		large += pasid > 255;
	}
	KUNIT_EXPECT_EQ(test, 6, large);
	KUNIT_EXPECT_EQ(test, -ENOSPC, bind_one(dev, &all[12]));
	unbind_all(all, 13);
}

static void no_smaller_than_asked_for(struct kunit *test)
{
	struct device *dev = device(test, 8);
	struct process *all = processes(test, 6);
	int pasid;

	KUNIT_ASSERT_EQ(test, 0, sva_device_shutdown(dev));
	KUNIT_EXPECT_EQ(test, -EINVAL, sva_device_init_within(dev, SVA_TEST_FLAGS, 30, 29));
	KUNIT_EXPECT_EQ(test, -EINVAL, sva_device_init_within(dev, SVA_TEST_FLAGS, 256, 0));
	KUNIT_ASSERT_EQ(test, 0, sva_device_init_within(dev, SVA_TEST_FLAGS, 200, 204));
	for (int i = 0; i < 5; i++) {
		pasid = bind_one(dev, &all[i]);
		KUNIT_EXPECT_LE(test, 200, pasid);
		KUNIT_EXPECT_GE(test, 204, pasid);
	}
	KUNIT_EXPECT_EQ(test, -ENOSPC, bind_one(dev, &all[5]));
	unbind_all(all, 6);
	/* All are back, and none of those below is lost. */
	KUNIT_ASSERT_EQ(test, 0, sva_device_shutdown(dev));
	KUNIT_ASSERT_EQ(test, 0, sva_device_init_within(dev, SVA_TEST_FLAGS, 0, 0));
	memset(all, 0, 6 * sizeof(*all));
	pasid = bind_one(dev, &all[0]);
	KUNIT_EXPECT_LT(test, 0, pasid);
	KUNIT_EXPECT_GT(test, 200, pasid);
	unbind_all(all, 1);
}

/* A process that is bound with one may need another. */
static void two_of_one_process(struct kunit *test)
{
	struct device *low = device(test, 8), *high = device(test, 16);
	struct process all[2] = {};
	int pasid;

	KUNIT_ASSERT_EQ(test, 0, sva_device_shutdown(high));
	KUNIT_ASSERT_EQ(test, 0, sva_device_init_within(high, SVA_TEST_FLAGS, 1000, 0));
	pasid = bind_one(low, &all[0]);
	KUNIT_EXPECT_GT(test, 256, pasid);
	all[1].mm = all[0].mm;
	mmget(all[1].mm);
	all[1].bond = sva_bind(high, all[1].mm, SVA_TEST_FLAGS, NULL, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, all[1].bond);
	KUNIT_EXPECT_LE(test, 1000, sva_bond_pasid(all[1].bond));
	unbind_all(all, 2);
}

/* A group gets one that all members can have. */
static void one_for_a_group(struct kunit *test)
{
	struct mock_smmu_device config = { .pasid_bits = 10, .group = 7930 };
	struct device *a = sva_test_device(test, &config), *b = sva_test_device(test, &config);
	struct sva_test_mm *space = sva_test_mm(test);
	struct sva_bond *bond;

	KUNIT_ASSERT_EQ(test, 0, sva_device_shutdown(a));
	KUNIT_ASSERT_EQ(test, 0, sva_device_init_within(a, SVA_TEST_FLAGS, 40, 60));
	KUNIT_ASSERT_EQ(test, 0, sva_device_shutdown(b));
	KUNIT_ASSERT_EQ(test, 0, sva_device_init_within(b, SVA_TEST_FLAGS, 55, 900));
	bond = sva_bind_members(a->iommu_group, space->mm, SVA_TEST_FLAGS, NULL, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, bond);
	KUNIT_EXPECT_LE(test, 55, sva_bond_pasid(bond));
	KUNIT_EXPECT_GE(test, 60, sva_bond_pasid(bond));
	sva_unbind(bond);
}

static struct kunit_case sva_pasid_cases[] = {
	KUNIT_CASE(wide_devices_leave_the_small_ones),
	KUNIT_CASE(wide_devices_use_small_ones_in_the_end),
	KUNIT_CASE(no_smaller_than_asked_for),
	KUNIT_CASE(two_of_one_process),
	KUNIT_CASE(one_for_a_group),
	{}
};

struct kunit_suite sva_pasid_suite = {
	.name = "sva_pasid",
	.test_cases = sva_pasid_cases,
};
