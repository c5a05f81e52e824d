// SPDX-License-Identifier: GPL-2.0
/* Bonds of devices that wait for pages inside the SMMU, without ATS and PRI. */

#include <linux/delay.h>
#include <linux/iommu.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>

#include "fixture.h"

static struct device *stalling_device(struct kunit *test)
{
	struct mock_smmu_device config = { .pasid_bits = 10, .stall = true };

	return sva_test_device(test, &config);
}

static void stall_brings_the_page(struct kunit *test)
{
	struct device *dev = stalling_device(test);
	struct sva_test_mm *space = sva_test_mm(test);
	u64 __user *word = (u64 __user *)space->addr;
	int pasid;
	u64 value;

	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(dev, space->mm, &pasid, SVA_TEST_FLAGS,
						       NULL));
	KUNIT_EXPECT_EQ(test, 0, sva_test_write(dev, pasid, space->addr, 0x12));
	KUNIT_EXPECT_EQ(test, 0, get_user(value, word));
	KUNIT_EXPECT_EQ(test, 0x12, value);
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(dev, pasid, space->addr + PAGE_SIZE, &value));
	KUNIT_EXPECT_EQ(test, 0, value);

	/* Nothing there: the access aborts, and that is the process's fault. */
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(space->addr, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -EFAULT, sva_test_read(dev, pasid, space->addr, &value));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
	KUNIT_EXPECT_EQ(test, -EIO, sva_test_read(dev, pasid, space->addr + PAGE_SIZE, &value));
}

static void s6_stall_without_pasid(struct kunit *test)
{
	struct device *dev = stalling_device(test);
	struct sva_test_mm *space = sva_test_mm(test);
	int pasid;
	u64 value;

	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(dev, space->mm, &pasid,
						       IOMMU_SVA_FEAT_IOPF, NULL));
	KUNIT_EXPECT_EQ(test, 0, sva_test_write(dev, MOCK_SMMU_NO_SSID, space->addr, 0x12));
	KUNIT_EXPECT_EQ(test, 0, get_user(value, (u64 __user *)space->addr));
	KUNIT_EXPECT_EQ(test, 0x12, value);
	KUNIT_EXPECT_EQ(test, -EFAULT, sva_test_read(dev, MOCK_SMMU_NO_SSID, PAGE_SIZE, &value));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
}

/* Without page faults every stall is ended at once. */
static void s7_stall_is_refused(struct kunit *test)
{
	struct device *dev = stalling_device(test);
	struct sva_test_mm *space = sva_test_mm(test);
	int pasid;
	u64 value;

	KUNIT_EXPECT_EQ(test, 0, put_user(0x34UL, (u64 __user *)space->addr));
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(dev, space->mm, &pasid,
						       IOMMU_SVA_FEAT_PASID, NULL));
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(dev, pasid, space->addr, &value));
	KUNIT_EXPECT_EQ(test, 0x34, value);
	KUNIT_EXPECT_EQ(test, -EFAULT, sva_test_read(dev, pasid, space->addr + PAGE_SIZE, &value));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
}

static void s8_exit_of_a_stalling_bond(struct kunit *test)
{
	struct device *dev = stalling_device(test);
	struct sva_test_mm *space = sva_test_mm(test);
	int pasid;
	u64 value;

	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(dev, space->mm, &pasid, SVA_TEST_FLAGS,
						       NULL));
	KUNIT_EXPECT_EQ(test, 0, sva_test_write(dev, pasid, space->addr, 1));
	sva_test_mm_exit(test, space);
	KUNIT_EXPECT_EQ(test, -EIO, sva_test_read(dev, pasid, space->addr, &value));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
}

/* Work of a device that goes from page to page until it is told to stop. */
struct toucher {
	struct work_struct work;
	struct device *dev;
	struct sva_test_mm *space;
	int pasid;
	bool stop;
};

static void touch(struct work_struct *work)
{
	struct toucher *toucher = container_of(work, struct toucher, work);
	unsigned long offset = 0;

	while (!READ_ONCE(toucher->stop)) {
		sva_test_write(toucher->dev, toucher->pasid, toucher->space->addr + offset, 1);
		offset = (offset + PAGE_SIZE) % toucher->space->len;
	}
}

static void s10_unbind_with_stalls_in_flight(struct kunit *test)
{
	struct device *dev = stalling_device(test);
	struct sva_test_mm *space = sva_test_mm(test);
	struct toucher *toucher = kunit_kzalloc(test, sizeof(*toucher), GFP_KERNEL);
	unsigned int i;
	int pasid;

	KUNIT_ASSERT_NOT_NULL(test, toucher);
	toucher->dev = dev;
	toucher->space = space;
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(dev, space->mm, &pasid, SVA_TEST_FLAGS,
						       NULL));
	toucher->pasid = pasid;
	INIT_WORK(&toucher->work, touch);
	queue_work(system_dfl_wq, &toucher->work);
	for (i = 0; i < 20 * sva_test_rounds; i++) {
		usleep_range(200, 400);
		KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
		sva_test_renew(test, space);
		KUNIT_EXPECT_EQ(test, 0, iommu_sva_bind_device(dev, space->mm, &pasid,
							       SVA_TEST_FLAGS, NULL));
	}
	WRITE_ONCE(toucher->stop, true);
	flush_work(&toucher->work);
	KUNIT_EXPECT_EQ(test, 0, sva_test_write(dev, pasid, space->addr, 2));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
}

/* The device goes while it works, and with it its bond. */
static void s10_unplug_with_stalls_in_flight(struct kunit *test)
{
	struct mock_smmu_device config = {
		.name = "sva_test", .id = 9999, .pasid_bits = 10, .stall = true,
	};
	struct sva_test_mm *space = sva_test_mm(test);
	struct toucher toucher = { .space = space };
	unsigned int i;

	for (i = 0; i < 10 * sva_test_rounds; i++) {
		toucher.dev = mock_smmu_device_create(&config);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, toucher.dev);
		get_device(toucher.dev);
		toucher.stop = false;
		KUNIT_EXPECT_EQ(test, 0, iommu_sva_bind_device(toucher.dev, space->mm,
							       &toucher.pasid, SVA_TEST_FLAGS,
							       NULL));
		INIT_WORK_ONSTACK(&toucher.work, touch);
		queue_work(system_dfl_wq, &toucher.work);
		usleep_range(200, 1000);
		mock_smmu_device_destroy(toucher.dev);
		WRITE_ONCE(toucher.stop, true);
		flush_work(&toucher.work);
		destroy_work_on_stack(&toucher.work);
		put_device(toucher.dev);
		sva_test_renew(test, space);
	}
}

static struct kunit_case sva_stall_cases[] = {
	KUNIT_CASE(stall_brings_the_page),
	KUNIT_CASE(s6_stall_without_pasid),
	KUNIT_CASE(s7_stall_is_refused),
	KUNIT_CASE(s8_exit_of_a_stalling_bond),
	KUNIT_CASE(s10_unbind_with_stalls_in_flight),
	KUNIT_CASE(s10_unplug_with_stalls_in_flight),
	{}
};

struct kunit_suite sva_stall_suite = {
	.name = "sva_stall",
	.test_cases = sva_stall_cases,
};
