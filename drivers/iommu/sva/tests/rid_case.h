/* SPDX-License-Identifier: GPL-2.0 */
/* Bonds without PASID, and where the device's accesses go. */
#ifndef SVA_TEST_RID_CASE_H
#define SVA_TEST_RID_CASE_H

#include <linux/io.h>
#include <linux/slab.h>

#include "fixture.h"

#define RID	MOCK_SMMU_NO_SSID

static inline int bind(struct device *dev, struct sva_test_mm *space, int *pasid)
{
	return iommu_sva_bind_device(dev, space->mm, pasid, IOMMU_SVA_FEAT_IOPF, NULL);
}

static inline int bind_pasid(struct device *dev, struct sva_test_mm *space, int *pasid)
{
	return iommu_sva_bind_device(dev, space->mm, pasid, SVA_TEST_FLAGS, NULL);
}

/* Whether the device's accesses without PASID go to physical memory, as by default. */
static inline bool reaches_memory(struct kunit *test, struct device *dev)
{
	u64 *word = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	u64 value = 0;

	KUNIT_ASSERT_NOT_NULL(test, word);
	*word = 0x5ca1ab1e;
	return !sva_test_read(dev, RID, virt_to_phys(word), &value) && value == 0x5ca1ab1e &&
		!sva_test_write(dev, RID, virt_to_phys(word), 7) && READ_ONCE(*word) == 7;
}

#endif /* SVA_TEST_RID_CASE_H */
