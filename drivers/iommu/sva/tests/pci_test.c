// SPDX-License-Identifier: GPL-2.0
/* A real IOMMU group of two, as far as its SMMU goes: it has no PASIDs. */

#include <linux/pci.h>

#include "fixture.h"

static void pci_device_gone(void *card)
{
	pci_dev_put(card);
}

/* A card behind a bridge, in one group with it. */
static struct device *card_behind_bridge(struct kunit *test)
{
	struct pci_dev *bridge = pci_get_class(PCI_CLASS_BRIDGE_PCI << 8, NULL);
	struct pci_dev *card;

	if (!bridge)
		kunit_skip(test, "no PCI bridge in this machine");
	card = bridge->subordinate ? pci_get_slot(bridge->subordinate, PCI_DEVFN(1, 0)) : NULL;
	if (card)
		KUNIT_EXPECT_PTR_EQ(test, bridge->dev.iommu_group, card->dev.iommu_group);
	pci_dev_put(bridge);
	if (!card)
		kunit_skip(test, "no card behind the PCI bridge");
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, pci_device_gone, card));
	return &card->dev;
}

static void pci_group_without_pasids(struct kunit *test)
{
	struct device *dev = card_behind_bridge(test);
	struct sva_test_mm *space = sva_test_mm(test);
	int pasid;

	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, iommu_sva_device_init(dev, SVA_TEST_FLAGS, 0));
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP,
			iommu_sva_device_init(dev, IOMMU_SVA_FEAT_PASID, 0));
	KUNIT_EXPECT_EQ(test, -EINVAL, iommu_sva_bind_device(dev, space->mm, &pasid,
							     SVA_TEST_FLAGS, NULL));
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_device_init(dev, IOMMU_SVA_FEAT_IOPF, 0));
	KUNIT_EXPECT_EQ(test, -EINVAL, iommu_sva_bind_device(dev, space->mm, &pasid,
							     SVA_TEST_FLAGS, NULL));
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_sva_bind_device(dev, space->mm, &pasid,
							    IOMMU_SVA_FEAT_IOPF, NULL));
	KUNIT_EXPECT_EQ(test, -ESRCH, iommu_sva_unbind_device(dev, 1));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_device_shutdown(dev));
}

static void pci_bind_group(struct kunit *test)
{
	struct device *dev = card_behind_bridge(test);
	struct sva_test_mm *space = sva_test_mm(test);
	struct iommu_group *group = iommu_group_get(dev);
	struct iommu_domain *domain = iommu_get_domain_for_dev(dev);
	int pasid = -7;

	KUNIT_ASSERT_NOT_NULL(test, group);
	/* Neither the card nor the bridge is initialised. */
	KUNIT_EXPECT_EQ(test, -ENODEV, iommu_sva_bind_group(group, space->mm, &pasid,
							    SVA_TEST_FLAGS, NULL));
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_device_init(dev, IOMMU_SVA_FEAT_IOPF, 0));
	/* The card has no PASIDs, and without one the bridge would lose its DMA. */
	KUNIT_EXPECT_EQ(test, -EINVAL, iommu_sva_bind_group(group, space->mm, &pasid,
							    SVA_TEST_FLAGS, NULL));
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_sva_bind_group(group, space->mm, &pasid,
							   IOMMU_SVA_FEAT_IOPF, NULL));
	KUNIT_EXPECT_EQ(test, -7, pasid);
	KUNIT_EXPECT_EQ(test, -ESRCH, iommu_sva_unbind_group(group, 1));
	KUNIT_EXPECT_EQ(test, -ESRCH, iommu_sva_unbind_group(group, IOMMU_NO_PASID));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_device_shutdown(dev));
	KUNIT_EXPECT_EQ(test, -ENODEV, iommu_sva_bind_group(group, space->mm, &pasid,
							    IOMMU_SVA_FEAT_IOPF, NULL));
	KUNIT_EXPECT_PTR_EQ(test, domain, iommu_get_domain_for_dev(dev));
	iommu_group_put(group);
}

static struct kunit_case sva_pci_cases[] = {
	KUNIT_CASE(pci_group_without_pasids),
	KUNIT_CASE(pci_bind_group),
	{}
};

struct kunit_suite sva_pci_suite = {
	.name = "sva_pci",
	.test_cases = sva_pci_cases,
};
