// SPDX-License-Identifier: GPL-2.0
/* Groups whose members come and go while they are bound, in orders that are forced. */

#include <linux/kthread.h>

#include "forced.h"

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
	force(test, SVA_TEST_FIRST_MEMBER, FORCED_A_WHILE, init_device, b);
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

	force(test, SVA_TEST_FIRST_MEMBER, FORCED_A_WHILE, shut_down, b);
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

	force(test, SVA_TEST_LISTED, FORCED_TO_THE_END, plug_in, &plug);
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

struct group_bind {
	struct device *dev;
	struct mm_struct *mm;
};

static int bind_group_once(void *arg)
{
	struct group_bind *bind = arg;
	int pasid;

	return iommu_sva_bind_group(bind->dev->iommu_group, bind->mm, &pasid, SVA_TEST_FLAGS, NULL);
}

/* A bind that fails takes nothing away from who is just ending what it met. */
static void r3_bind_that_fails_during_the_last_unbind(struct kunit *test)
{
	struct mock_smmu_device config = { .pasid_bits = 10, .group = next_group() };
	struct device *a = sva_test_device(test, &config);
	struct device *b = sva_test_device(test, &config);
	struct sva_test_mm *space = sva_test_mm(test);
	struct group_bind bind = { .dev = a, .mm = space->mm };
	struct device *c;
	int pasid;
	u64 value;

	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_group(a->iommu_group, space->mm, &pasid,
						      SVA_TEST_FLAGS, NULL));
	/* A member that cannot have the bond: it stays out, but no new bind succeeds. */
	c = sva_test_device(test, &config);
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_device_shutdown(c));
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_device_init(c, IOMMU_SVA_FEAT_PASID, 0));
	force(test, SVA_TEST_GROUP_UNBOUND, FORCED_TO_THE_END, bind_group_once, &bind);
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_group(a->iommu_group, pasid));
	KUNIT_EXPECT_EQ(test, -EINVAL, forced_result());
	KUNIT_EXPECT_EQ(test, -ESRCH, sva_pasid(a, space->mm));
	KUNIT_EXPECT_EQ(test, -ESRCH, sva_pasid(b, space->mm));
	KUNIT_EXPECT_NE(test, 0, sva_test_read(a, pasid, space->addr, &value));
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

static struct kunit_case sva_race_group_cases[] = {
	KUNIT_CASE_SLOW(r3_binds_of_a_group_whose_member_comes_and_goes),
	KUNIT_CASE(r3_bind_that_fails_during_the_last_unbind),
	KUNIT_CASE_SLOW(r7_member_comes_thousands_of_times),
	KUNIT_CASE(r9_device_plugged_in_before_the_attach),
	KUNIT_CASE(r10_member_initialised_during_bind_group),
	KUNIT_CASE(r10_member_shut_down_during_bind_group),
	KUNIT_CASE(d1_group_whose_members_could_not_come_back),
	{}
};

struct kunit_suite sva_race_group_suite = {
	.name = "sva_race_group",
	.test_cases = sva_race_group_cases,
};
