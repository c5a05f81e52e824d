// SPDX-License-Identifier: GPL-2.0
/* A user of Linux's own interface of the same names, in the same module. */

#define SVA_TEST_LINUX_NAMES
#include "fixture.h"

/* Binds with the in-tree interface, beside a bond of ours. */
void sva_test_in_tree_bond(struct kunit *test, struct device *dev, struct sva_test_mm *space,
			   int our_pasid)
{
	struct iommu_sva *handle = iommu_sva_bind_device(dev, space->mm);
	int pasid;
	u64 value;

	KUNIT_ASSERT_FALSE(test, IS_ERR(handle));
	pasid = iommu_sva_get_pasid(handle);
	KUNIT_EXPECT_NE(test, our_pasid, pasid);
	KUNIT_EXPECT_EQ(test, 0, sva_test_write(dev, pasid, space->addr, 0x7ee));
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(dev, our_pasid, space->addr, &value));
	KUNIT_EXPECT_EQ(test, 0x7ee, value);
	iommu_sva_unbind_device(handle);
	KUNIT_EXPECT_NE(test, 0, sva_test_read(dev, pasid, space->addr, &value));
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(dev, our_pasid, space->addr, &value));
}
