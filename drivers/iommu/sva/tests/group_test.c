// SPDX-License-Identifier: GPL-2.0
/* Groups of several devices: S12 to S16, S19. */

#include <linux/sched/mm.h>

#include "fixture.h"

static unsigned int next_group(void)
{
	static atomic_t groups = ATOMIC_INIT(1000);

	return atomic_inc_return(&groups);
}

/* Two devices in one group. */
static void two_members(struct kunit *test, unsigned int pasid_bits, struct device **a,
			struct device **b)
{
	struct mock_smmu_device config = { .pasid_bits = 10, .group = next_group() };

	*a = sva_test_device(test, &config);
	config.pasid_bits = pasid_bits;
	*b = sva_test_device(test, &config);
	KUNIT_ASSERT_PTR_EQ(test, (*a)->iommu_group, (*b)->iommu_group);
}

static void s12_bind_group_binds_all(struct kunit *test)
{
	struct sva_test_mm *space = sva_test_mm(test);
	struct device *a, *b;
	struct iommu_group *group;
	int pasid;
	u64 value;

	two_members(test, 10, &a, &b);
	group = iommu_group_get(a);
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_bind_group(group, space->mm, &pasid, SVA_TEST_FLAGS,
						      NULL));
	KUNIT_EXPECT_EQ(test, 0, sva_test_write(a, pasid, space->addr, 0x12));
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(b, pasid, space->addr, &value));
	KUNIT_EXPECT_EQ(test, 0x12, value);

	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_group(group, pasid));
	KUNIT_EXPECT_NE(test, 0, sva_test_read(a, pasid, space->addr, &value));
	KUNIT_EXPECT_NE(test, 0, sva_test_read(b, pasid, space->addr, &value));
	KUNIT_EXPECT_EQ(test, -ESRCH, iommu_sva_unbind_group(group, pasid));
	iommu_group_put(group);
}

static void s12_bind_group_einval(struct kunit *test)
{
	struct sva_test_mm *space = sva_test_mm(test);
	struct device *a, *b;
	int pasid;

	two_members(test, 10, &a, &b);
	KUNIT_EXPECT_EQ(test, -EINVAL, iommu_sva_bind_group(NULL, space->mm, &pasid,
							    SVA_TEST_FLAGS, NULL));
	KUNIT_EXPECT_EQ(test, -EINVAL, iommu_sva_bind_group(a->iommu_group, NULL, &pasid,
							    SVA_TEST_FLAGS, NULL));
	KUNIT_EXPECT_EQ(test, -EINVAL, iommu_sva_bind_group(a->iommu_group, space->mm, NULL,
							    SVA_TEST_FLAGS, NULL));
	KUNIT_EXPECT_EQ(test, -EINVAL, iommu_sva_unbind_group(NULL, 1));
}

static void s12_bind_group_unwinds(struct kunit *test)
{
	struct sva_test_mm *space = sva_test_mm(test);
	struct device *a, *b;
	int pasid = -7;

	two_members(test, 10, &a, &b);
	/* One member cannot do what is asked for, so none is bound. */
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_device_shutdown(b));
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_device_init(b, IOMMU_SVA_FEAT_PASID, 0));
	KUNIT_EXPECT_EQ(test, -EINVAL, iommu_sva_bind_group(a->iommu_group, space->mm, &pasid,
							    SVA_TEST_FLAGS, NULL));
	KUNIT_EXPECT_EQ(test, -7, pasid);
	KUNIT_EXPECT_EQ(test, -ESRCH, iommu_sva_unbind_group(a->iommu_group, 1));
}

static void s12_members_must_agree_on_iopf(struct kunit *test)
{
	struct sva_test_mm *space = sva_test_mm(test);
	struct device *a, *b;
	int pasid, other = -7;
	u64 value;

	two_members(test, 10, &a, &b);
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_device_shutdown(a));
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_group(b->iommu_group, space->mm, &pasid,
						      SVA_TEST_FLAGS, NULL));
	/* Page requests of the whole group arrive at one place: they are served there, or not. */
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_device_init(a, IOMMU_SVA_FEAT_PASID, 0));
	KUNIT_EXPECT_EQ(test, -EEXIST, iommu_sva_bind_group(a->iommu_group, space->mm, &other,
							    IOMMU_SVA_FEAT_PASID, NULL));
	KUNIT_EXPECT_EQ(test, -7, other);
	KUNIT_EXPECT_EQ(test, -ESRCH, iommu_sva_unbind_device(a, pasid));

	/* The bond that there was is as before. */
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(b, pasid, space->addr, &value));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_group(b->iommu_group, pasid));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_bind_group(a->iommu_group, space->mm, &other,
						      IOMMU_SVA_FEAT_PASID, NULL));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_group(a->iommu_group, other));
}

static void s13_members_reach_what_one_is_bound_to(struct kunit *test)
{
	struct sva_test_mm *space = sva_test_mm(test);
	struct device *a, *b;
	int pasid, other = -7;
	u64 value;

	two_members(test, 10, &a, &b);
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_device_shutdown(b));
	/* Isolation ends at the group, so one member alone is not bound just like that... */
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_sva_bind_device(a, space->mm, &other, SVA_TEST_FLAGS,
							    NULL));
	KUNIT_EXPECT_EQ(test, -7, other);
	KUNIT_EXPECT_NE(test, 0, sva_test_read(a, 1, space->addr, &value));

	/* ... since the other one reaches the process too, although it has no bond. */
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_group(a->iommu_group, space->mm, &pasid,
						      SVA_TEST_FLAGS, NULL));
	KUNIT_EXPECT_EQ(test, -EINVAL, iommu_sva_unbind_device(b, pasid));
	KUNIT_EXPECT_EQ(test, 0, sva_test_write(b, pasid, space->addr, 0x13));
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(a, pasid, space->addr, &value));
	KUNIT_EXPECT_EQ(test, 0x13, value);
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_group(a->iommu_group, pasid));
	KUNIT_EXPECT_NE(test, 0, sva_test_read(b, pasid, space->addr, &value));
}

static void s14_bind_device_refuses_a_group_of_two(struct kunit *test)
{
	struct sva_test_mm *space = sva_test_mm(test);
	struct device *a, *b;
	int pasid;

	two_members(test, 10, &a, &b);
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_sva_bind_device(a, space->mm, &pasid, SVA_TEST_FLAGS,
							    NULL));
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_sva_bind_device(b, space->mm, &pasid, SVA_TEST_FLAGS,
							    NULL));
}

static void s15_members_without_sva_are_skipped(struct kunit *test)
{
	struct sva_test_mm *space = sva_test_mm(test);
	struct device *a, *b;
	int pasid;
	u64 value;

	two_members(test, 0, &a, &b);
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_bind_group(a->iommu_group, space->mm, &pasid,
						      SVA_TEST_FLAGS, NULL));
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(a, pasid, space->addr, &value));
	KUNIT_EXPECT_NE(test, 0, sva_test_read(b, pasid, space->addr, &value));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_group(a->iommu_group, pasid));

	KUNIT_ASSERT_EQ(test, 0, iommu_sva_device_shutdown(a));
	KUNIT_EXPECT_EQ(test, -ENODEV, iommu_sva_bind_group(a->iommu_group, space->mm, &pasid,
							    SVA_TEST_FLAGS, NULL));
}

static void s12_the_pasid_fits_the_narrowest_member(struct kunit *test)
{
	struct sva_test_mm *space = sva_test_mm(test);
	struct device *a, *b;
	int pasid;
	u64 value;

	two_members(test, 1, &a, &b);
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_bind_group(a->iommu_group, space->mm, &pasid,
						      SVA_TEST_FLAGS, NULL));
	KUNIT_EXPECT_EQ(test, 1, pasid);
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(a, pasid, space->addr, &value));
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(b, pasid, space->addr, &value));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_group(a->iommu_group, pasid));
}

static void s19_unbind_group_goes_on_past_errors(struct kunit *test)
{
	struct sva_test_mm *space = sva_test_mm(test);
	struct device *a, *b;
	int pasid;
	u64 value;

	two_members(test, 10, &a, &b);
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_group(a->iommu_group, space->mm, &pasid,
						      SVA_TEST_FLAGS, NULL));
	/* A member that loses its bond meanwhile does not keep the other bound. */
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(a, pasid));
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(b, pasid, space->addr, &value));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_group(a->iommu_group, pasid));
	KUNIT_EXPECT_NE(test, 0, sva_test_read(b, pasid, space->addr, &value));
}

static void first_member_leaves_the_other_works_on(struct kunit *test)
{
	struct sva_test_mm *space = sva_test_mm(test);
	struct device *a, *b;
	int pasid;
	u64 value;

	two_members(test, 10, &a, &b);
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_group(a->iommu_group, space->mm, &pasid,
						      SVA_TEST_FLAGS, NULL));
	device_release_driver(a);
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(b, pasid, space->addr + PAGE_SIZE, &value));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_group(b->iommu_group, pasid));
	KUNIT_EXPECT_NE(test, 0, sva_test_read(b, pasid, space->addr, &value));
}

static void s16_hot_plugged_device_joins(struct kunit *test)
{
	struct sva_test_mm *space = sva_test_mm(test);
	struct mock_smmu_device config = { .pasid_bits = 10, .group = next_group() };
	struct device *a, *b;
	int pasid;
	u64 value;

	a = sva_test_device(test, &config);
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_group(a->iommu_group, space->mm, &pasid,
						      SVA_TEST_FLAGS, NULL));
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_group(a->iommu_group, space->mm, &pasid,
						      SVA_TEST_FLAGS, NULL));
	KUNIT_EXPECT_EQ(test, 0, sva_test_write(a, pasid, space->addr, 0x16));

	/* Its driver initialises it for SVA as it probes. */
	b = sva_test_device(test, &config);
	KUNIT_ASSERT_PTR_EQ(test, a->iommu_group, b->iommu_group);
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(b, pasid, space->addr, &value));
	KUNIT_EXPECT_EQ(test, 0x16, value);
	KUNIT_EXPECT_EQ(test, 0, sva_test_write(b, pasid, space->addr + PAGE_SIZE, 0x61));
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(a, pasid, space->addr + PAGE_SIZE, &value));
	KUNIT_EXPECT_EQ(test, 0x61, value);

	/* It was bound as often as the others. */
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_group(a->iommu_group, pasid));
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(b, pasid, space->addr, &value));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_group(a->iommu_group, pasid));
	KUNIT_EXPECT_NE(test, 0, sva_test_read(a, pasid, space->addr, &value));
	KUNIT_EXPECT_NE(test, 0, sva_test_read(b, pasid, space->addr, &value));
	KUNIT_EXPECT_EQ(test, -ESRCH, iommu_sva_unbind_device(b, pasid));
}

static void s16_group_of_a_device_bound_alone(struct kunit *test)
{
	struct sva_test_mm *space = sva_test_mm(test);
	struct mock_smmu_device config = { .pasid_bits = 10, .group = next_group() };
	struct device *a, *b;
	int alone, pasid;
	u64 value;

	a = sva_test_device(test, &config);
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(a, space->mm, &alone, SVA_TEST_FLAGS,
						       NULL));
	/* What was bound for one device alone, another does not get by itself. */
	b = sva_test_device(test, &config);
	KUNIT_EXPECT_NE(test, 0, sva_test_read(b, alone, space->addr, &value));

	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_group(a->iommu_group, space->mm, &pasid,
						      SVA_TEST_FLAGS, NULL));
	KUNIT_EXPECT_EQ(test, alone, pasid);
	KUNIT_EXPECT_EQ(test, 0, sva_test_write(a, pasid, space->addr, 0x16));
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(b, pasid, space->addr, &value));
	KUNIT_EXPECT_EQ(test, 0x16, value);

	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_group(a->iommu_group, pasid));
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(a, pasid, space->addr, &value));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(a, pasid));
	KUNIT_EXPECT_NE(test, 0, sva_test_read(a, pasid, space->addr, &value));
}

/* Two that come between a bind of one and that of the group are both reached. */
static void s16_two_come_before_the_group_is_bound(struct kunit *test)
{
	struct sva_test_mm *space = sva_test_mm(test);
	struct mock_smmu_device config = { .pasid_bits = 10, .group = next_group() };
	struct device *a = sva_test_device(test, &config), *b, *c;
	int alone, pasid;
	u64 value;

	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(a, space->mm, &alone, SVA_TEST_FLAGS,
						       NULL));
	b = sva_test_device(test, &config);
	c = sva_test_device(test, &config);
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_group(a->iommu_group, space->mm, &pasid,
						      SVA_TEST_FLAGS, NULL));
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(b, pasid, space->addr, &value));
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(c, pasid, space->addr, &value));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_group(a->iommu_group, pasid));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(a, pasid));
	KUNIT_EXPECT_NE(test, 0, sva_test_read(c, pasid, space->addr, &value));
}

/* A group that is bound again, after a member has lost its bond, counts in one place. */
static void s12_bind_again_without_a_member(struct kunit *test)
{
	struct sva_test_mm *space = sva_test_mm(test);
	struct device *a, *b;
	int pasid, again;
	u64 value;

	two_members(test, 10, &a, &b);
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_group(a->iommu_group, space->mm, &pasid,
						      SVA_TEST_FLAGS, NULL));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(a, pasid));
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_group(a->iommu_group, space->mm, &again,
						      SVA_TEST_FLAGS, NULL));
	KUNIT_EXPECT_EQ(test, pasid, again);
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_group(a->iommu_group, pasid));
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(b, pasid, space->addr, &value));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_group(a->iommu_group, pasid));
	KUNIT_EXPECT_NE(test, 0, sva_test_read(a, pasid, space->addr, &value));
	KUNIT_EXPECT_NE(test, 0, sva_test_read(b, pasid, space->addr, &value));
	KUNIT_EXPECT_EQ(test, -ESRCH, iommu_sva_unbind_group(a->iommu_group, pasid));
}

static void s16_too_narrow_a_device_is_left_out(struct kunit *test)
{
	struct sva_test_mm *space = sva_test_mm(test);
	struct mock_smmu_device config = { .pasid_bits = 10, .group = next_group() };
	struct mm_struct *other = mm_alloc();
	struct device *a, *b;
	int first, pasid;
	u64 value;

	KUNIT_ASSERT_NOT_NULL(test, other);
	a = sva_test_device(test, &config);
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_group(a->iommu_group, other, &first,
						      SVA_TEST_FLAGS, NULL));
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_group(a->iommu_group, space->mm, &pasid,
						      SVA_TEST_FLAGS, NULL));
	config.pasid_bits = 1;
	b = sva_test_device(test, &config);
	KUNIT_EXPECT_NE(test, 0, sva_test_read(b, pasid, space->addr, &value));
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(a, pasid, space->addr, &value));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_group(a->iommu_group, pasid));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_group(a->iommu_group, first));
	mmput(other);
}

static struct kunit_case sva_group_cases[] = {
	KUNIT_CASE(s12_bind_group_binds_all),
	KUNIT_CASE(s12_bind_group_einval),
	KUNIT_CASE(s12_bind_group_unwinds),
	KUNIT_CASE(s12_the_pasid_fits_the_narrowest_member),
	KUNIT_CASE(s12_members_must_agree_on_iopf),
	KUNIT_CASE(s13_members_reach_what_one_is_bound_to),
	KUNIT_CASE(s14_bind_device_refuses_a_group_of_two),
	KUNIT_CASE(s15_members_without_sva_are_skipped),
	KUNIT_CASE(s16_hot_plugged_device_joins),
	KUNIT_CASE(s16_group_of_a_device_bound_alone),
	KUNIT_CASE(s16_two_come_before_the_group_is_bound),
	KUNIT_CASE(s12_bind_again_without_a_member),
	KUNIT_CASE(s16_too_narrow_a_device_is_left_out),
	KUNIT_CASE(s19_unbind_group_goes_on_past_errors),
	KUNIT_CASE(first_member_leaves_the_other_works_on),
	{}
};

struct kunit_suite sva_group_suite = {
	.name = "sva_group",
	.test_cases = sva_group_cases,
};
