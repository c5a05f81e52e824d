// SPDX-License-Identifier: GPL-2.0
/* Bonds without PASID: which devices can have one: S6. */

#include <linux/platform_device.h>

#include "rid_case.h"

/* A device that knows nothing of PASIDs. */
static struct device *old_device(struct kunit *test, bool ats)
{
	struct mock_smmu_device config = { .ats = ats };
	struct device *dev = sva_test_dma_user(test, &config);

	KUNIT_ASSERT_EQ(test, 0, iommu_sva_device_init(dev, IOMMU_SVA_FEAT_IOPF, 0));
	return dev;
}

static void s6_device_without_pasids(struct kunit *test)
{
	struct device *dev = old_device(test, true);
	struct sva_test_mm *space = sva_test_mm(test);
	int pasid;
	u64 value;

	KUNIT_EXPECT_EQ(test, -EINVAL, bind_pasid(dev, space, &pasid));
	KUNIT_ASSERT_TRUE(test, reaches_memory(test, dev));
	KUNIT_ASSERT_EQ(test, 0, bind(dev, space, &pasid));
	KUNIT_EXPECT_EQ(test, 0, sva_test_write(dev, RID, space->addr, 1));
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(dev, RID, space->addr + PAGE_SIZE, &value));
	KUNIT_EXPECT_EQ(test, -EFAULT, sva_test_read(dev, RID, PAGE_SIZE, &value));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
	KUNIT_EXPECT_TRUE(test, reaches_memory(test, dev));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_device_shutdown(dev));
}

static void s6_device_without_ats(struct kunit *test)
{
	struct device *dev = old_device(test, false);
	struct sva_test_mm *space = sva_test_mm(test);
	int pasid;
	u64 value;

	KUNIT_ASSERT_TRUE(test, reaches_memory(test, dev));
	KUNIT_EXPECT_EQ(test, 0, put_user(0x12UL, (u64 __user *)space->addr));
	KUNIT_ASSERT_EQ(test, 0, bind(dev, space, &pasid));
	/* It reaches what is there, and cannot ask for more. */
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(dev, RID, space->addr, &value));
	KUNIT_EXPECT_EQ(test, 0x12, value);
	KUNIT_EXPECT_EQ(test, -EIO, sva_test_read(dev, RID, space->addr + PAGE_SIZE, &value));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
	KUNIT_EXPECT_TRUE(test, reaches_memory(test, dev));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_device_shutdown(dev));
}

static void s6_group_of_two_ebusy(struct kunit *test)
{
	struct mock_smmu_device config = { .pasid_bits = 10, .group = 3101 };
	struct sva_test_mm *space = sva_test_mm(test);
	struct device *a, *b;
	int pasid = -7;

	a = sva_test_dma_user(test, &config);
	b = sva_test_dma_user(test, &config);
	KUNIT_EXPECT_EQ(test, -EBUSY, bind(a, space, &pasid));
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_sva_bind_group(a->iommu_group, space->mm, &pasid,
							   IOMMU_SVA_FEAT_IOPF, NULL));
	KUNIT_EXPECT_EQ(test, -7, pasid);
	KUNIT_EXPECT_TRUE(test, reaches_memory(test, a));
	KUNIT_EXPECT_TRUE(test, reaches_memory(test, b));
}

static void s6_group_of_one(struct kunit *test)
{
	struct device *dev = sva_test_dma_user(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test);
	int pasid;

	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_group(dev->iommu_group, space->mm, &pasid,
						      IOMMU_SVA_FEAT_IOPF, NULL));
	KUNIT_EXPECT_EQ(test, IOMMU_NO_PASID, pasid);
	KUNIT_EXPECT_EQ(test, 0, sva_test_write(dev, RID, space->addr, 1));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_group(dev->iommu_group, pasid));
	KUNIT_EXPECT_TRUE(test, reaches_memory(test, dev));
}

static void s6_device_that_joins_the_group(struct kunit *test)
{
	struct mock_smmu_device config = { .pasid_bits = 10, .group = 3102 };
	struct sva_test_mm *space = sva_test_mm(test);
	struct device *a = sva_test_device(test, &config);
	struct device *b;
	int pasid;
	u64 value;

	KUNIT_ASSERT_EQ(test, 0, bind(a, space, &pasid));
	b = sva_test_device(test, &config);
	KUNIT_EXPECT_EQ(test, 0, sva_test_write(a, RID, space->addr, 1));
	/* It is not bound, but the IOMMU cannot tell the two apart. */
	KUNIT_EXPECT_EQ(test, -ESRCH, iommu_sva_unbind_device(b, IOMMU_NO_PASID));
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(b, RID, space->addr, &value));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(a, pasid));
	/* Their drivers do without the DMA API, so nothing else is there for them. */
	KUNIT_EXPECT_FALSE(test, reaches_memory(test, a));
	KUNIT_EXPECT_FALSE(test, reaches_memory(test, b));
}

static void s6_direct_region_ebusy(struct kunit *test)
{
	struct mock_smmu_device config = {
		.pasid_bits = 10,
		.regions = { { 0x40000000, PAGE_SIZE, true } },
	};
	struct device *dev = sva_test_dma_user(test, &config);
	struct sva_test_mm *space = sva_test_mm(test);
	int maps = space->mm->map_count;
	int pasid = -7;

	/* Firmware's accesses would go to the process. */
	KUNIT_EXPECT_EQ(test, -EBUSY, bind(dev, space, &pasid));
	KUNIT_EXPECT_EQ(test, -7, pasid);
	KUNIT_EXPECT_EQ(test, maps, space->mm->map_count);
	KUNIT_EXPECT_TRUE(test, reaches_memory(test, dev));
}

static int sva_rid_probe(struct platform_device *pdev)
{
	return iommu_sva_device_init(&pdev->dev, IOMMU_SVA_FEAT_IOPF, 0);
}

static void sva_rid_remove(struct platform_device *pdev)
{
	iommu_sva_device_shutdown(&pdev->dev);
}

/* Unlike the other driver of the tests, it may use the DMA API: the core counts it as a user. */
static struct platform_driver sva_rid_driver = {
	.probe = sva_rid_probe,
	.remove = sva_rid_remove,
	.driver = {
		.name = "sva_test_dma",
	},
};

static void s6_driver_of_the_dma_api(struct kunit *test)
{
	struct mock_smmu_device config = { .name = "sva_test_dma", .ats = true };
	struct sva_test_mm *space = sva_test_mm(test);
	struct device *dev;
	int pasid;

	KUNIT_ASSERT_EQ(test, 0, platform_driver_register(&sva_rid_driver));
	dev = mock_smmu_device_create(&config);
	KUNIT_EXPECT_FALSE(test, IS_ERR(dev));
	if (!IS_ERR(dev)) {
		KUNIT_EXPECT_EQ(test, 0, bind(dev, space, &pasid));
		KUNIT_EXPECT_EQ(test, 0, sva_test_write(dev, RID, space->addr, 1));
		KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
		KUNIT_EXPECT_EQ(test, 0, bind(dev, space, &pasid));
		/* Removed with its bond: the driver shuts down. */
		mock_smmu_device_destroy(dev);
	}
	platform_driver_unregister(&sva_rid_driver);
}

static struct kunit_case sva_rid_device_cases[] = {
	KUNIT_CASE(s6_device_without_pasids),
	KUNIT_CASE(s6_device_without_ats),
	KUNIT_CASE(s6_group_of_two_ebusy),
	KUNIT_CASE(s6_group_of_one),
	KUNIT_CASE(s6_device_that_joins_the_group),
	KUNIT_CASE(s6_direct_region_ebusy),
	KUNIT_CASE(s6_driver_of_the_dma_api),
	{}
};

struct kunit_suite sva_rid_device_suite = {
	.name = "sva_rid_devices",
	.test_cases = sva_rid_device_cases,
};
