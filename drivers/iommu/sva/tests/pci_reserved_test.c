// SPDX-License-Identifier: GPL-2.0
/* Addresses that a PCI bus takes for its own, and what is sent there: S13, S17, S18. */

#include <linux/iommu.h>

#include "pci_case.h"
#include "reserved_case.h"

/* The windows of all bridges and all BARs are in what each device's region says. */
static void bars_are_in_a_reserved_region(struct kunit *test)
{
	struct mock_pci_host *host = pci_case_host(test);
	struct pci_case *port = pci_case_port(test, host, NULL, ISOLATED);
	struct pci_case *end = pci_case_endpoint(test, host, port);
	struct iommu_resv_region *region;
	struct resource *window;
	bool found = false;
	LIST_HEAD(regions);

	iommu_get_resv_regions(&end->pdev->dev, &regions);
	list_for_each_entry(region, &regions, list)
		if (region->type == IOMMU_RESV_RESERVED && region->start == MOCK_PCI_MEMORY_START)
			found = region->length == MOCK_PCI_MEMORY_END - MOCK_PCI_MEMORY_START;
	iommu_put_resv_regions(&end->pdev->dev, &regions);
	KUNIT_EXPECT_TRUE(test, found);

	KUNIT_EXPECT_EQ(test, SZ_64K, pci_resource_len(end->pdev, 0));
	KUNIT_EXPECT_GE(test, pci_bus_address(end->pdev, 0), MOCK_PCI_MEMORY_START);
	KUNIT_EXPECT_LT(test, pci_bus_address(end->pdev, 0), MOCK_PCI_MEMORY_END);
	/* To the CPUs it is elsewhere. */
	KUNIT_EXPECT_NE(test, pci_bus_address(end->pdev, 0), pci_resource_start(end->pdev, 0));
	window = &port->pdev->resource[PCI_BRIDGE_MEM_WINDOW];
	KUNIT_EXPECT_TRUE(test, resource_contains(window, &end->pdev->resource[0]));
}

static void s17_bars_are_carved(struct kunit *test)
{
	struct mock_pci_host *host = pci_case_host(test);
	struct pci_case *port = pci_case_port(test, host, NULL, ISOLATED);
	struct pci_case *end = pci_case_endpoint(test, host, port);
	struct sva_test_mm *space = sva_test_mm(test);
	unsigned long bar = pci_bus_address(end->pdev, 0);
	int pasid;

	KUNIT_ASSERT_EQ(test, 0, bind(&end->pdev->dev, space, &pasid));
	expect_carved(test, space->mm, bar, PAGE_SIZE);
	KUNIT_EXPECT_TRUE(test, is_carved(space->mm, MOCK_PCI_MEMORY_START));
	KUNIT_EXPECT_TRUE(test, is_carved(space->mm, MOCK_PCI_MEMORY_END - PAGE_SIZE));
	KUNIT_EXPECT_FALSE(test, is_carved(space->mm, MOCK_PCI_MEMORY_END));
	KUNIT_EXPECT_EQ(test, 1, count_carved(space->mm));
	/* What is not mapped is not asked for in vain. */
	KUNIT_EXPECT_EQ(test, end->pdev->pri_enabled ? -EFAULT : -EIO,
			sva_test_write(&end->pdev->dev, pasid, bar, 1));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(&end->pdev->dev, pasid));
	KUNIT_EXPECT_TRUE(test, is_free(bar, PAGE_SIZE));

	/* Who uses such an address already is not bound. */
	KUNIT_ASSERT_EQ(test, bar, map_at(bar, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -EADDRINUSE, bind(&end->pdev->dev, space, &pasid));
}

/* Where a device's accesses without PASID go: one page of its own, under an address of a BAR. */
static void map_page(struct kunit *test, struct device *dev, struct iommu_domain *domain,
		     unsigned long iova)
{
	void *page = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_ASSERT_TRUE(test, PAGE_ALIGNED(page));
	KUNIT_ASSERT_EQ(test, 0, iommu_map(domain, iova, virt_to_phys(page), PAGE_SIZE,
					   IOMMU_READ | IOMMU_WRITE, GFP_KERNEL));
	KUNIT_ASSERT_EQ(test, 0, iommu_attach_group(domain, dev->iommu_group));
}

/* A request for a neighbour's memory gets there, or to the SMMU, as the port above has it. */
static void request_for_a_bar(struct kunit *test, u16 acs, int expected)
{
	struct mock_pci_config config = {
		.more_functions = true, .no_acs = true, .bar_bits = 16, .no_ats = true,
		.device = MOCK_PCI_DEVICE_TEST,
	};
	struct mock_pci_host *host = pci_case_host(test);
	struct pci_case *port = pci_case_port(test, host, NULL, acs);
	struct pci_case *neighbour = pci_case_port(test, host, NULL, ISOLATED);
	struct pci_case *end, *other;
	struct iommu_domain *domain;
	unsigned long bar;
	u64 value;

	other = pci_case_plug(test, host, neighbour, &config);
	config.more_functions = false;
	end = pci_case_plug(test, host, port, &config);
	bar = pci_bus_address(other->pdev, 0);
	domain = iommu_paging_domain_alloc(&end->pdev->dev);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, domain);
	map_page(test, &end->pdev->dev, domain, bar);
	KUNIT_EXPECT_EQ(test, expected, sva_test_read(&end->pdev->dev, MOCK_SMMU_NO_SSID, bar,
						      &value));
	iommu_detach_group(domain, end->pdev->dev.iommu_group);
	iommu_domain_free(domain);
}

static void s13_without_acs_requests_go_astray(struct kunit *test)
{
	request_for_a_bar(test, PCI_ACS_SV | PCI_ACS_UF, -EIO);
}

static void s13_with_acs_requests_reach_the_smmu(struct kunit *test)
{
	request_for_a_bar(test, ISOLATED, 0);
}

static struct kunit_case sva_pci_reserved_cases[] = {
	KUNIT_CASE(bars_are_in_a_reserved_region),
	KUNIT_CASE(s17_bars_are_carved),
	KUNIT_CASE(s13_without_acs_requests_go_astray),
	KUNIT_CASE(s13_with_acs_requests_reach_the_smmu),
	{}
};

static struct kunit_suite sva_pci_reserved_suite = {
	.name = "sva_pci_reserved",
	.test_cases = sva_pci_reserved_cases,
};

kunit_test_suite(sva_pci_reserved_suite);
