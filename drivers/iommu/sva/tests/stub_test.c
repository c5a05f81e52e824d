// SPDX-License-Identifier: GPL-2.0
/* What a driver gets that is built without SVA: S20. */

#define SVA_DISABLED
#include "fixture.h"

static void s20_stubs_return_enodev(struct kunit *test)
{
	int pasid = -7;

	KUNIT_EXPECT_EQ(test, -ENODEV, iommu_sva_device_init(NULL, SVA_TEST_FLAGS, 0));
	KUNIT_EXPECT_EQ(test, -ENODEV, iommu_sva_device_shutdown(NULL));
	KUNIT_EXPECT_EQ(test, -ENODEV, iommu_sva_bind_device(NULL, NULL, &pasid, 0, NULL));
	KUNIT_EXPECT_EQ(test, -ENODEV, iommu_sva_unbind_device(NULL, 1));
	KUNIT_EXPECT_EQ(test, -ENODEV, sva_pin_range(NULL, 1, 0, PAGE_SIZE, false));
	KUNIT_EXPECT_EQ(test, -ENODEV, sva_unpin_range(NULL, 1, 0, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -ENODEV, iommu_sva_bind_group(NULL, NULL, &pasid, 0, NULL));
	KUNIT_EXPECT_EQ(test, -ENODEV, iommu_sva_unbind_group(NULL, 1));
	KUNIT_EXPECT_EQ(test, -ENODEV, iommu_register_mm_exit_handler(NULL, NULL));
	KUNIT_EXPECT_EQ(test, -ENODEV, iommu_unregister_mm_exit_handler(NULL));
	KUNIT_EXPECT_EQ(test, -ENODEV, PTR_ERR(sva_find(1)));
	KUNIT_EXPECT_EQ(test, -ENODEV, sva_pasid(NULL, NULL));
	__iommu_sva_unbind_dev_all(NULL);
	KUNIT_EXPECT_EQ(test, -ENODEV, PTR_ERR(sva_bind(NULL, NULL, 0, NULL, NULL)));
	KUNIT_EXPECT_EQ(test, -ENODEV, PTR_ERR(sva_bind_members(NULL, NULL, 0, NULL, NULL)));
	KUNIT_EXPECT_EQ(test, -ENODEV, sva_bond_pin(NULL, 0, PAGE_SIZE, false));
	KUNIT_EXPECT_EQ(test, -ENODEV, sva_bond_unpin(NULL, 0, PAGE_SIZE));
	sva_unbind(NULL);
	KUNIT_EXPECT_EQ(test, -7, pasid);
}

static struct kunit_case sva_stub_cases[] = {
	KUNIT_CASE(s20_stubs_return_enodev),
	{}
};

struct kunit_suite sva_stub_suite = {
	.name = "sva_stubs",
	.test_cases = sva_stub_cases,
};
