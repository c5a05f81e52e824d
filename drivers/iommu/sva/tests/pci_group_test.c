// SPDX-License-Identifier: GPL-2.0
/* Groups as the kernel makes them by what ports and functions say of ACS: S12 to S16. */

#include "pci_case.h"

static struct mock_pci_config function(u16 acs)
{
	return (struct mock_pci_config){
		.more_functions = true,
		.no_acs = !acs,
		.acs = acs,
		.pasid_bits = 10,
		.bar_bits = 12,
		.device = MOCK_PCI_DEVICE_TEST,
	};
}

/* Two functions of one device behind @port. */
static void two_functions(struct kunit *test, struct mock_pci_host *host, struct pci_case *port,
			  u16 first, u16 second, struct pci_case **a, struct pci_case **b)
{
	struct mock_pci_config config = function(first);

	*a = pci_case_plug(test, host, port, &config);
	config = function(second);
	*b = pci_case_plug(test, host, port, &config);
	KUNIT_ASSERT_PTR_EQ(test, (*a)->pdev->bus, (*b)->pdev->bus);
	KUNIT_ASSERT_EQ(test, 1, PCI_FUNC((*b)->pdev->devfn));
}

static void ports_with_acs_isolate(struct kunit *test)
{
	struct mock_pci_host *host = pci_case_host(test);
	struct pci_case *ports[2], *ends[2];
	int i;

	for (i = 0; i < 2; i++) {
		ports[i] = pci_case_port(test, host, NULL, ISOLATED);
		ends[i] = pci_case_endpoint(test, host, ports[i]);
		KUNIT_EXPECT_EQ(test, 0, pci_case_error(ends[i]));
		KUNIT_EXPECT_PTR_NE(test, pci_case_group(ports[i]), pci_case_group(ends[i]));
		KUNIT_EXPECT_TRUE(test, ends[i]->pdev->pasid_enabled);
		KUNIT_EXPECT_EQ(test, 1 << 10, ends[i]->pdev->dev.iommu->max_pasids);
	}
	KUNIT_EXPECT_PTR_NE(test, pci_case_group(ports[0]), pci_case_group(ports[1]));
	KUNIT_EXPECT_PTR_NE(test, pci_case_group(ends[0]), pci_case_group(ends[1]));
}

/* What a device sent there with a PASID could reach a neighbour: the kernel lets it send none. */
static void s13_no_pasids_behind_a_port_without_acs(struct kunit *test)
{
	struct mock_pci_host *host = pci_case_host(test);
	struct pci_case *port = pci_case_port(test, host, NULL, 0);
	struct pci_case *end = pci_case_endpoint(test, host, port);
	struct sva_test_mm *space = sva_test_mm(test);
	struct device *dev = &end->pdev->dev;
	int pasid = -7;
	u64 value;

	KUNIT_EXPECT_PTR_EQ(test, pci_case_group(port), pci_case_group(end));
	KUNIT_EXPECT_FALSE(test, end->pdev->pasid_enabled);
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, pci_case_error(end));
	KUNIT_EXPECT_EQ(test, -ENODEV, iommu_sva_bind_group(dev->iommu_group, space->mm, &pasid,
							    SVA_TEST_FLAGS, NULL));
	KUNIT_EXPECT_EQ(test, -EINVAL, iommu_sva_bind_device(dev, space->mm, &pasid,
							     SVA_TEST_FLAGS, NULL));
	/* Nor without PASID: the port would lose its DMA. */
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_device_init(dev, IOMMU_SVA_FEAT_IOPF, 0));
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_sva_bind_device(dev, space->mm, &pasid,
							    IOMMU_SVA_FEAT_IOPF, NULL));
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_sva_bind_group(dev->iommu_group, space->mm, &pasid,
							   IOMMU_SVA_FEAT_IOPF, NULL));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_device_shutdown(dev));
	KUNIT_EXPECT_EQ(test, -7, pasid);
	KUNIT_EXPECT_NE(test, 0, sva_test_read(dev, 1, space->addr, &value));
}

static void functions_without_acs_share(struct kunit *test)
{
	struct mock_pci_host *host = pci_case_host(test);
	struct pci_case *port = pci_case_port(test, host, NULL, ISOLATED);
	struct pci_case *a, *b;

	two_functions(test, host, port, 0, 0, &a, &b);
	KUNIT_EXPECT_PTR_EQ(test, pci_case_group(a), pci_case_group(b));
	KUNIT_EXPECT_PTR_NE(test, pci_case_group(port), pci_case_group(a));
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, pci_case_error(a));
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, pci_case_error(b));
}

static void functions_with_acs_are_alone(struct kunit *test)
{
	struct mock_pci_host *host = pci_case_host(test);
	struct pci_case *port = pci_case_port(test, host, NULL, ISOLATED);
	struct pci_case *a, *b;

	two_functions(test, host, port, ISOLATED, ISOLATED, &a, &b);
	KUNIT_EXPECT_PTR_NE(test, pci_case_group(a), pci_case_group(b));
	KUNIT_EXPECT_EQ(test, 0, pci_case_error(a));
	KUNIT_EXPECT_EQ(test, 0, pci_case_error(b));
}

/* All requests go upstream, but they may be forged: PASIDs, and yet one group, with the port. */
static void s12_bind_group_of_functions(struct kunit *test)
{
	struct mock_pci_host *host = pci_case_host(test);
	struct pci_case *port = pci_case_port(test, host, NULL, REDIRECTED);
	struct sva_test_mm *space = sva_test_mm(test);
	struct pci_case *a, *b;
	struct device *first, *second;
	int pasid;
	u64 value;

	two_functions(test, host, port, REDIRECTED, REDIRECTED, &a, &b);
	first = &a->pdev->dev;
	second = &b->pdev->dev;
	pci_case_touch(test, a, space);
	KUNIT_ASSERT_PTR_EQ(test, pci_case_group(port), pci_case_group(a));
	KUNIT_ASSERT_PTR_EQ(test, pci_case_group(a), pci_case_group(b));
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_sva_bind_device(first, space->mm, &pasid,
							    SVA_TEST_FLAGS, NULL));
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_group(first->iommu_group, space->mm, &pasid,
						      SVA_TEST_FLAGS, NULL));
	KUNIT_EXPECT_EQ(test, 0, sva_test_write(first, pasid, space->addr, 0x12));
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(second, pasid, space->addr, &value));
	KUNIT_EXPECT_EQ(test, 0x12, value);
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_group(first->iommu_group, pasid));
	KUNIT_EXPECT_NE(test, 0, sva_test_read(first, pasid, space->addr, &value));
	KUNIT_EXPECT_NE(test, 0, sva_test_read(second, pasid, space->addr, &value));
}

/* One of the group could send PASIDs, and is not let: it is left out. */
static void s15_a_function_whose_pasids_are_off(struct kunit *test)
{
	struct mock_pci_host *host = pci_case_host(test);
	struct pci_case *port = pci_case_port(test, host, NULL, REDIRECTED);
	struct sva_test_mm *space = sva_test_mm(test);
	struct pci_case *a, *b;
	int pasid;
	u64 value;

	two_functions(test, host, port, REDIRECTED, 0, &a, &b);
	KUNIT_ASSERT_PTR_EQ(test, pci_case_group(a), pci_case_group(b));
	KUNIT_EXPECT_EQ(test, 0, pci_case_error(a));
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, pci_case_error(b));
	pci_case_touch(test, a, space);
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_group(pci_case_group(a), space->mm, &pasid,
						      SVA_TEST_FLAGS, NULL));
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(&a->pdev->dev, pasid, space->addr, &value));
	KUNIT_EXPECT_NE(test, 0, sva_test_read(&b->pdev->dev, pasid, space->addr, &value));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_group(pci_case_group(a), pasid));
}

/* It has no PASIDs at all, and there is a port in the group: both are left out. */
static void s15_a_function_without_pasids(struct kunit *test)
{
	struct mock_pci_host *host = pci_case_host(test);
	struct pci_case *port = pci_case_port(test, host, NULL, REDIRECTED);
	struct mock_pci_config config = function(REDIRECTED);
	struct sva_test_mm *space = sva_test_mm(test);
	struct pci_case *a, *b;
	int pasid;
	u64 value;

	a = pci_case_plug(test, host, port, &config);
	config.pasid_bits = 0;
	config.no_ats = true;
	b = pci_case_plug(test, host, port, &config);
	KUNIT_ASSERT_PTR_EQ(test, pci_case_group(a), pci_case_group(b));
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, pci_case_error(b));
	pci_case_touch(test, a, space);
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_group(pci_case_group(a), space->mm, &pasid,
						      SVA_TEST_FLAGS, NULL));
	KUNIT_EXPECT_EQ(test, 0, sva_test_write(&a->pdev->dev, pasid, space->addr, 1));
	KUNIT_EXPECT_NE(test, 0, sva_test_read(&b->pdev->dev, pasid, space->addr, &value));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_group(pci_case_group(a), pasid));
}

static void s16_hot_plug_into_a_bonded_group(struct kunit *test)
{
	struct mock_pci_host *host = pci_case_host(test);
	struct pci_case *port = pci_case_port(test, host, NULL, REDIRECTED);
	struct mock_pci_config config = function(REDIRECTED);
	struct sva_test_mm *space = sva_test_mm(test);
	struct pci_case *a = pci_case_plug(test, host, port, &config), *b;
	int pasid;
	u64 value;

	pci_case_touch(test, a, space);
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_group(pci_case_group(a), space->mm, &pasid,
						      SVA_TEST_FLAGS, NULL));
	KUNIT_EXPECT_EQ(test, 0, sva_test_write(&a->pdev->dev, pasid, space->addr, 0x16));
	b = pci_case_plug(test, host, port, &config);
	KUNIT_ASSERT_PTR_EQ(test, pci_case_group(a), pci_case_group(b));
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(&b->pdev->dev, pasid, space->addr, &value));
	KUNIT_EXPECT_EQ(test, 0x16, value);

	/* It goes, and the other stays bound. */
	pci_case_unplug(b, false);
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(&a->pdev->dev, pasid, space->addr, &value));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_group(pci_case_group(a), pasid));
	KUNIT_EXPECT_NE(test, 0, sva_test_read(&a->pdev->dev, pasid, space->addr, &value));
}

/* One port of a switch isolates, the other does not. */
static void groups_behind_a_switch(struct kunit *test)
{
	struct mock_pci_host *host = pci_case_host(test);
	struct pci_case *root = pci_case_port(test, host, NULL, ISOLATED);
	struct pci_case *up = pci_case_port(test, host, root, 0);
	struct pci_case *with = pci_case_port(test, host, up, ISOLATED);
	struct pci_case *without = pci_case_port(test, host, up, 0);
	struct pci_case *a = pci_case_endpoint(test, host, with);
	struct pci_case *b = pci_case_endpoint(test, host, without);
	struct sva_test_mm *space = sva_test_mm(test);
	int pasid;
	u64 value;

	KUNIT_EXPECT_EQ(test, PCI_EXP_TYPE_UPSTREAM, pci_pcie_type(up->pdev));
	KUNIT_EXPECT_EQ(test, PCI_EXP_TYPE_DOWNSTREAM, pci_pcie_type(with->pdev));
	KUNIT_EXPECT_PTR_NE(test, pci_case_group(a), pci_case_group(b));
	KUNIT_EXPECT_PTR_EQ(test, pci_case_group(without), pci_case_group(b));
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, pci_case_error(b));
	KUNIT_ASSERT_EQ(test, 0, pci_case_error(a));
	pci_case_touch(test, a, space);
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(&a->pdev->dev, space->mm, &pasid,
						       SVA_TEST_FLAGS, NULL));
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(&a->pdev->dev, pasid, space->addr, &value));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(&a->pdev->dev, pasid));
}

static struct kunit_case sva_pci_group_cases[] = {
	KUNIT_CASE(ports_with_acs_isolate),
	KUNIT_CASE(s13_no_pasids_behind_a_port_without_acs),
	KUNIT_CASE(functions_without_acs_share),
	KUNIT_CASE(functions_with_acs_are_alone),
	KUNIT_CASE(s12_bind_group_of_functions),
	KUNIT_CASE(s15_a_function_whose_pasids_are_off),
	KUNIT_CASE(s15_a_function_without_pasids),
	KUNIT_CASE(s16_hot_plug_into_a_bonded_group),
	KUNIT_CASE(groups_behind_a_switch),
	{}
};

static struct kunit_suite sva_pci_group_suite = {
	.name = "sva_pci_group",
	.test_cases = sva_pci_group_cases,
};

kunit_test_suite(sva_pci_group_suite);
