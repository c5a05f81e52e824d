// SPDX-License-Identifier: GPL-2.0
/* Init, bind, unbind and their errors: S1 to S5, S10. */

#include <linux/platform_device.h>
#include <linux/sched/mm.h>

#include "fixture.h"

static int drvdata, other_drvdata;

static void s1_bind_stores_pasid(struct kunit *test)
{
	struct device *dev = sva_test_device(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test);
	int pasid = -1;
	u64 value = 1;

	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(dev, space->mm, &pasid, SVA_TEST_FLAGS,
						       &drvdata));
	KUNIT_EXPECT_GT(test, pasid, 0);
	KUNIT_EXPECT_LT(test, pasid, 1 << 10);

	/* The page has never been touched: it is faulted in, and full of zeroes. */
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(dev, pasid, space->addr, &value));
	KUNIT_EXPECT_EQ(test, 0, value);
	KUNIT_EXPECT_EQ(test, 0, sva_test_write(dev, pasid, space->addr, 0x5ea));
	KUNIT_EXPECT_EQ(test, 0, get_user(value, (u64 __user *)space->addr));
	KUNIT_EXPECT_EQ(test, 0x5ea, value);

	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
	KUNIT_EXPECT_NE(test, 0, sva_test_read(dev, pasid, space->addr, &value));
}

static void s2_second_bind_counts(struct kunit *test)
{
	struct device *dev = sva_test_device(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test);
	int first, second;
	u64 value;

	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(dev, space->mm, &first, SVA_TEST_FLAGS,
						       &drvdata));
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(dev, space->mm, &second, SVA_TEST_FLAGS,
						       &drvdata));
	KUNIT_EXPECT_EQ(test, first, second);

	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, first));
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(dev, first, space->addr, &value));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, first));
	KUNIT_EXPECT_NE(test, 0, sva_test_read(dev, first, space->addr, &value));
	KUNIT_EXPECT_EQ(test, -ESRCH, iommu_sva_unbind_device(dev, first));
}

static void s2_other_drvdata_is_refused(struct kunit *test)
{
	struct device *dev = sva_test_device(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test);
	int pasid, other = -7;

	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(dev, space->mm, &pasid, SVA_TEST_FLAGS,
						       &drvdata));
	KUNIT_EXPECT_EQ(test, -EEXIST, iommu_sva_bind_device(dev, space->mm, &other,
							     SVA_TEST_FLAGS, &other_drvdata));
	KUNIT_EXPECT_EQ(test, -7, other);
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
	KUNIT_EXPECT_EQ(test, -ESRCH, iommu_sva_unbind_device(dev, pasid));
}

static void s2_two_devices_share_the_pasid(struct kunit *test)
{
	struct device *a = sva_test_device(test, NULL);
	struct device *b = sva_test_device(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test);
	int pasid_a, pasid_b;
	u64 value;

	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(a, space->mm, &pasid_a, SVA_TEST_FLAGS,
						       NULL));
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(b, space->mm, &pasid_b, SVA_TEST_FLAGS,
						       NULL));
	KUNIT_EXPECT_EQ(test, pasid_a, pasid_b);
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(a, pasid_a));
	KUNIT_EXPECT_NE(test, 0, sva_test_read(a, pasid_a, space->addr, &value));
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(b, pasid_b, space->addr, &value));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(b, pasid_b));
}

static void narrower_device_gets_its_own_pasid(struct kunit *test)
{
	static const struct mock_smmu_device narrow = { .pasid_bits = 1 };
	struct device *wide = sva_test_device(test, NULL);
	struct device *small = sva_test_device(test, &narrow);
	struct sva_test_mm *space = sva_test_mm(test);
	struct mm_struct *other = mm_alloc();
	int pasid_other, pasid_wide, pasid_small;
	u64 value;

	KUNIT_ASSERT_NOT_NULL(test, other);
	/* Takes the lowest PASID for the time being, so that the next is too large for @small. */
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(wide, other, &pasid_other,
						       SVA_TEST_FLAGS, NULL));
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(wide, space->mm, &pasid_wide,
						       SVA_TEST_FLAGS, NULL));
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_unbind_device(wide, pasid_other));
	mmput(other);

	KUNIT_EXPECT_EQ(test, 0, iommu_sva_bind_device(small, space->mm, &pasid_small,
						       SVA_TEST_FLAGS, NULL));
	KUNIT_EXPECT_LT(test, pasid_small, 2);
	KUNIT_EXPECT_NE(test, pasid_wide, pasid_small);
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(small, pasid_small, space->addr, &value));
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(wide, pasid_wide, space->addr, &value));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(small, pasid_small));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(wide, pasid_wide));
}

static void s3_no_bind_before_init_or_after_shutdown(struct kunit *test)
{
	struct device *dev = sva_test_device(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test);
	int pasid;

	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_sva_device_init(dev, SVA_TEST_FLAGS, 0));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_device_shutdown(dev));
	KUNIT_EXPECT_EQ(test, -EINVAL, iommu_sva_device_shutdown(dev));
	KUNIT_EXPECT_EQ(test, -EINVAL, iommu_sva_bind_device(dev, space->mm, &pasid,
							     SVA_TEST_FLAGS, NULL));
	KUNIT_EXPECT_EQ(test, -EINVAL, iommu_sva_unbind_device(dev, 1));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_device_init(dev, SVA_TEST_FLAGS, 0));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_bind_device(dev, space->mm, &pasid, SVA_TEST_FLAGS,
						       NULL));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
}

static void s3_init_refuses_what_cannot_work(struct kunit *test)
{
	static const struct mock_smmu_device without_pasids = { .pasid_bits = 0 };
	struct device *plain = sva_test_plain_device(test);
	struct device *dev = sva_test_device(test, &without_pasids);
	struct sva_test_device *plain_state = dev_get_drvdata(plain);
	struct sva_test_device *state = dev_get_drvdata(dev);

	KUNIT_EXPECT_EQ(test, -ENODEV, plain_state->init_error);
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, state->init_error);
	KUNIT_EXPECT_EQ(test, -EINVAL, iommu_sva_device_init(NULL, SVA_TEST_FLAGS, 0));
	KUNIT_EXPECT_EQ(test, -EINVAL, iommu_sva_device_init(dev, 1 << 5, 0));
}

static void s4_einval(struct kunit *test)
{
	struct device *dev = sva_test_device(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test);
	int pasid = -7;

	KUNIT_EXPECT_EQ(test, -EINVAL, iommu_sva_bind_device(NULL, space->mm, &pasid,
							     SVA_TEST_FLAGS, NULL));
	KUNIT_EXPECT_EQ(test, -EINVAL, iommu_sva_bind_device(dev, NULL, &pasid,
							     SVA_TEST_FLAGS, NULL));
	KUNIT_EXPECT_EQ(test, -EINVAL, iommu_sva_bind_device(dev, space->mm, NULL,
							     SVA_TEST_FLAGS, NULL));
	KUNIT_EXPECT_EQ(test, -EINVAL, iommu_sva_bind_device(dev, space->mm, &pasid,
							     SVA_TEST_FLAGS | (1 << 5), NULL));
	KUNIT_EXPECT_EQ(test, -EINVAL, iommu_sva_unbind_device(NULL, 1));

	/* A subset of what the device was initialised with is all that a bond may have. */
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_device_shutdown(dev));
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_device_init(dev, IOMMU_SVA_FEAT_PASID, 0));
	KUNIT_EXPECT_EQ(test, -EINVAL, iommu_sva_bind_device(dev, space->mm, &pasid,
							     SVA_TEST_FLAGS, NULL));
	KUNIT_EXPECT_EQ(test, -7, pasid);
}

static void s5_every_combination_of_flags(struct kunit *test)
{
	struct device *dev = sva_test_device(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test);
	unsigned long flags;
	int pasid;

	for (flags = 0; flags <= SVA_TEST_FLAGS; flags++) {
		KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(dev, space->mm, &pasid, flags,
							       NULL));
		KUNIT_EXPECT_EQ(test, flags & IOMMU_SVA_FEAT_PASID, pasid != 0);
		/* The bond that there is has other flags. */
		KUNIT_EXPECT_EQ(test, -EEXIST,
				iommu_sva_bind_device(dev, space->mm, &pasid,
						      flags ^ IOMMU_SVA_FEAT_IOPF, NULL));
		KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
	}
}

static void max_pasid_is_a_limit(struct kunit *test)
{
	struct device *dev = sva_test_device(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test);
	struct mm_struct *other = mm_alloc();
	int first, second;

	KUNIT_ASSERT_NOT_NULL(test, other);
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_device_shutdown(dev));
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_device_init(dev, SVA_TEST_FLAGS, 1));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_bind_device(dev, space->mm, &first, SVA_TEST_FLAGS,
						       NULL));
	KUNIT_EXPECT_EQ(test, 1, first);
	KUNIT_EXPECT_EQ(test, -ENOSPC, iommu_sva_bind_device(dev, other, &second,
							     SVA_TEST_FLAGS, NULL));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, first));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_bind_device(dev, other, &second, SVA_TEST_FLAGS,
						       NULL));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, second));
	mmput(other);
}

static void s10_unbind_of_what_is_not_bound(struct kunit *test)
{
	struct device *a = sva_test_device(test, NULL);
	struct device *b = sva_test_device(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test);
	int pasid;

	KUNIT_EXPECT_EQ(test, -ESRCH, iommu_sva_unbind_device(a, 0));
	KUNIT_EXPECT_EQ(test, -ESRCH, iommu_sva_unbind_device(a, -1));
	KUNIT_EXPECT_EQ(test, -ESRCH, iommu_sva_unbind_device(a, INT_MAX));
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(a, space->mm, &pasid, SVA_TEST_FLAGS,
						       NULL));
	KUNIT_EXPECT_EQ(test, -ESRCH, iommu_sva_unbind_device(b, pasid));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(a, pasid));
}

static void find_gives_the_mm(struct kunit *test)
{
	struct device *dev = sva_test_device(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test);
	struct mm_struct *mm;
	int pasid;

	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(dev, space->mm, &pasid, SVA_TEST_FLAGS,
						       NULL));
	mm = sva_find(pasid);
	KUNIT_EXPECT_PTR_EQ(test, space->mm, mm);
	if (!IS_ERR(mm))
		mmput(mm);
	KUNIT_EXPECT_EQ(test, -ESRCH, PTR_ERR(sva_find(pasid + 1)));
	KUNIT_EXPECT_EQ(test, -ESRCH, PTR_ERR(sva_find(0)));
	KUNIT_EXPECT_EQ(test, -ESRCH, PTR_ERR(sva_find(-1)));

	/* The PASID stays reserved, but there is no process behind it. */
	sva_test_mm_exit(test, space);
	KUNIT_EXPECT_EQ(test, -ESRCH, PTR_ERR(sva_find(pasid)));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
}

static void pasid_names_the_bond(struct kunit *test)
{
	struct device *a = sva_test_device(test, NULL);
	struct device *b = sva_test_device(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test);
	struct mm_struct *mm = space->mm;
	int pasid, rid;

	KUNIT_EXPECT_EQ(test, -EINVAL, sva_pasid(NULL, mm));
	KUNIT_EXPECT_EQ(test, -EINVAL, sva_pasid(a, NULL));
	KUNIT_EXPECT_EQ(test, -ESRCH, sva_pasid(a, mm));
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(a, mm, &rid, IOMMU_SVA_FEAT_IOPF, NULL));
	KUNIT_EXPECT_EQ(test, IOMMU_NO_PASID, sva_pasid(a, mm));
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(a, mm, &pasid, SVA_TEST_FLAGS, NULL));
	KUNIT_EXPECT_EQ(test, pasid, sva_pasid(a, mm));
	KUNIT_EXPECT_EQ(test, -ESRCH, sva_pasid(b, mm));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(a, rid));

	/* As long as the bond, which the exit does not end. */
	mmgrab(mm);
	sva_test_mm_exit(test, space);
	KUNIT_EXPECT_EQ(test, pasid, sva_pasid(a, mm));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(a, pasid));
	KUNIT_EXPECT_EQ(test, -ESRCH, sva_pasid(a, mm));
	mmdrop(mm);
}

static void in_tree_bond_lives_beside_ours(struct kunit *test)
{
	struct device *dev = sva_test_device(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test);
	int pasid;

	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(dev, space->mm, &pasid, SVA_TEST_FLAGS,
						       NULL));
	sva_test_in_tree_bond(test, dev, space, pasid);
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
}

static struct kunit_case sva_bind_cases[] = {
	KUNIT_CASE(s1_bind_stores_pasid),
	KUNIT_CASE(s2_second_bind_counts),
	KUNIT_CASE(s2_other_drvdata_is_refused),
	KUNIT_CASE(s2_two_devices_share_the_pasid),
	KUNIT_CASE(narrower_device_gets_its_own_pasid),
	KUNIT_CASE(s3_no_bind_before_init_or_after_shutdown),
	KUNIT_CASE(s3_init_refuses_what_cannot_work),
	KUNIT_CASE(s4_einval),
	KUNIT_CASE(s5_every_combination_of_flags),
	KUNIT_CASE(max_pasid_is_a_limit),
	KUNIT_CASE(s10_unbind_of_what_is_not_bound),
	KUNIT_CASE(find_gives_the_mm),
	KUNIT_CASE(pasid_names_the_bond),
	KUNIT_CASE(in_tree_bond_lives_beside_ours),
	{}
};

struct kunit_suite sva_bind_suite = {
	.name = "sva_bind",
	.test_cases = sva_bind_cases,
};
