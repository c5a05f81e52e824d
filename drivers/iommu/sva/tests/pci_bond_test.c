// SPDX-License-Identifier: GPL-2.0
/* Bonds of PCI endpoints: page requests, registers that switch things off, removal. */

#include <linux/sched/mm.h>

#include "pci_case.h"

struct bond_case {
	struct mock_pci_host *host;
	struct pci_case *port, *end;
	struct sva_test_mm *space;
	int pasid;
};

static void set_up(struct kunit *test, struct bond_case *c)
{
	c->host = pci_case_host(test);
	c->port = pci_case_port(test, c->host, NULL, ISOLATED);
	c->end = pci_case_endpoint(test, c->host, c->port);
	c->space = sva_test_mm(test);
	pci_case_touch(test, c->end, c->space);
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(&c->end->pdev->dev, c->space->mm, &c->pasid,
						       SVA_TEST_FLAGS, NULL));
	KUNIT_EXPECT_TRUE(test, c->end->pdev->ats_enabled);
}

static int dma(struct bond_case *c, unsigned long addr)
{
	return sva_test_write(&c->end->pdev->dev, c->pasid, addr, 0x77);
}

static int unbind(struct bond_case *c)
{
	return iommu_sva_unbind_device(&c->end->pdev->dev, c->pasid);
}

/* Nobody has touched the pages: each is there since the endpoint asked for it. */
static void page_requests(struct kunit *test)
{
	struct bond_case c;
	u64 value;

	set_up(test, &c);
	KUNIT_ASSERT_TRUE(test, c.end->pdev->pri_enabled);
	KUNIT_EXPECT_EQ(test, 0, dma(&c, c.space->addr));
	KUNIT_EXPECT_EQ(test, 0, get_user(value, (u64 __user *)c.space->addr));
	KUNIT_EXPECT_EQ(test, 0x77, value);
	KUNIT_EXPECT_EQ(test, -EFAULT, dma(&c, c.space->addr + c.space->len + (1UL << 40)));
	KUNIT_EXPECT_EQ(test, 0, unbind(&c));
	KUNIT_EXPECT_NE(test, 0, dma(&c, c.space->addr));
}

static void without_page_requests_pages_must_be_there(struct kunit *test)
{
	struct mock_pci_config config = {
		.no_acs = true, .pasid_bits = 10, .no_pri = true, .device = MOCK_PCI_DEVICE_TEST,
	};
	struct bond_case c = { .host = pci_case_host(test) };

	c.port = pci_case_port(test, c.host, NULL, ISOLATED);
	c.end = pci_case_plug(test, c.host, c.port, &config);
	c.space = sva_test_mm(test);
	KUNIT_EXPECT_FALSE(test, c.end->pdev->pri_enabled);
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(&c.end->pdev->dev, c.space->mm, &c.pasid,
						       SVA_TEST_FLAGS, NULL));
	KUNIT_EXPECT_EQ(test, -EIO, dma(&c, c.space->addr));
	KUNIT_EXPECT_EQ(test, 0, put_user(1ULL, (u64 __user *)c.space->addr));
	KUNIT_EXPECT_EQ(test, 0, dma(&c, c.space->addr));
	KUNIT_EXPECT_EQ(test, 0, unbind(&c));
}

/* What the registers say counts, at the endpoint and at each port above it. */
static void bus_masters_only(struct kunit *test)
{
	struct pci_case *both[2];
	struct bond_case c;
	int i;

	set_up(test, &c);
	both[0] = c.end;
	both[1] = c.port;
	for (i = 0; i < 2; i++) {
		KUNIT_EXPECT_EQ(test, 0, dma(&c, c.space->addr));
		pci_clear_master(both[i]->pdev);
		KUNIT_EXPECT_EQ(test, -EIO, dma(&c, c.space->addr));
		pci_set_master(both[i]->pdev);
		KUNIT_EXPECT_EQ(test, 0, dma(&c, c.space->addr));
	}
	KUNIT_EXPECT_EQ(test, 0, unbind(&c));
}

static void no_pasid_without_its_register(struct kunit *test)
{
	struct bond_case c;
	int pos;
	u16 control;

	set_up(test, &c);
	KUNIT_EXPECT_EQ(test, 0, dma(&c, c.space->addr));
	pos = pci_find_ext_capability(c.end->pdev, PCI_EXT_CAP_ID_PASID) + PCI_PASID_CTRL;
	pci_read_config_word(c.end->pdev, pos, &control);
	pci_write_config_word(c.end->pdev, pos, control & ~PCI_PASID_CTRL_ENABLE);
	KUNIT_EXPECT_EQ(test, -EIO, dma(&c, c.space->addr));
	pci_write_config_word(c.end->pdev, pos, control);
	KUNIT_EXPECT_EQ(test, 0, dma(&c, c.space->addr));
	KUNIT_EXPECT_EQ(test, 0, unbind(&c));
}

static void plug_in_again(struct kunit *test, struct bond_case *c)
{
	c->end = pci_case_endpoint(test, c->host, c->port);
	KUNIT_ASSERT_EQ(test, 0, pci_case_error(c->end));
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(&c->end->pdev->dev, c->space->mm, &c->pasid,
						       SVA_TEST_FLAGS, NULL));
	KUNIT_EXPECT_EQ(test, 0, dma(c, c->space->addr + PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 0, unbind(c));
}

static void removal_ends_bonds(struct kunit *test)
{
	struct bond_case c;

	set_up(test, &c);
	KUNIT_EXPECT_EQ(test, 0, dma(&c, c.space->addr));
	pci_case_unplug(c.end, false);
	plug_in_again(test, &c);
}

static void surprise_removal_ends_bonds(struct kunit *test)
{
	struct bond_case c;

	set_up(test, &c);
	KUNIT_EXPECT_EQ(test, 0, dma(&c, c.space->addr));
	pci_case_unplug(c.end, true);
	plug_in_again(test, &c);
}

/* With the port goes all that is behind it; and comes back. */
static void removal_of_a_port(struct kunit *test)
{
	struct bond_case c;

	set_up(test, &c);
	pci_stop_and_remove_bus_device_locked(c.port->pdev);
	KUNIT_EXPECT_NE(test, 0, dma(&c, c.space->addr));
	KUNIT_EXPECT_EQ(test, 0, mock_pci_host_rescan(c.host));
	pci_case_find(test, c.port);
	pci_case_find(test, c.end);
	KUNIT_ASSERT_EQ(test, 0, pci_case_error(c.end));
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(&c.end->pdev->dev, c.space->mm, &c.pasid,
						       SVA_TEST_FLAGS, NULL));
	KUNIT_EXPECT_EQ(test, 0, dma(&c, c.space->addr));
	KUNIT_EXPECT_EQ(test, 0, unbind(&c));
}

/* As by the files of sysfs: the kernel forgets the device, and finds it again. */
static void removal_and_rescan(struct kunit *test)
{
	struct bond_case c;
	struct pci_bus *bus;

	set_up(test, &c);
	KUNIT_EXPECT_EQ(test, 0, dma(&c, c.space->addr));
	bus = c.end->pdev->bus;
	pci_stop_and_remove_bus_device_locked(c.end->pdev);
	KUNIT_EXPECT_EQ(test, -ENODEV, dma(&c, c.space->addr));

	pci_lock_rescan_remove();
	pci_rescan_bus(bus);
	pci_unlock_rescan_remove();
	pci_case_find(test, c.end);
	KUNIT_ASSERT_EQ(test, 0, pci_case_error(c.end));
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(&c.end->pdev->dev, c.space->mm, &c.pasid,
						       SVA_TEST_FLAGS, NULL));
	KUNIT_EXPECT_EQ(test, 0, dma(&c, c.space->addr));
	KUNIT_EXPECT_EQ(test, 0, unbind(&c));
}

/* Its driver comes and goes; PASIDs, ATS and page requests are the IOMMU driver's, and stay on. */
static void driver_comes_and_goes(struct kunit *test)
{
	struct bond_case c;

	set_up(test, &c);
	device_release_driver(&c.end->pdev->dev);
	KUNIT_EXPECT_TRUE(test, c.end->pdev->pasid_enabled);
	KUNIT_ASSERT_EQ(test, 1, device_attach(&c.end->pdev->dev));
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(&c.end->pdev->dev, c.space->mm, &c.pasid,
						       SVA_TEST_FLAGS, NULL));
	KUNIT_EXPECT_EQ(test, 0, dma(&c, c.space->addr));
	KUNIT_EXPECT_EQ(test, 0, unbind(&c));
}

/* A bond without PASID, of a device that has none. */
static void s6_without_pasid(struct kunit *test)
{
	struct mock_pci_config config = { .no_acs = true, .device = MOCK_PCI_DEVICE_TEST };
	struct mock_pci_host *host = pci_case_host(test);
	struct pci_case *port = pci_case_port(test, host, NULL, ISOLATED);
	struct pci_case *end = pci_case_plug(test, host, port, &config);
	struct sva_test_mm *space = sva_test_mm(test);
	struct device *dev = &end->pdev->dev;
	int pasid;

	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, pci_case_error(end));
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_device_init(dev, IOMMU_SVA_FEAT_IOPF, 0));
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(dev, space->mm, &pasid,
						       IOMMU_SVA_FEAT_IOPF, NULL));
	KUNIT_EXPECT_EQ(test, 0, sva_test_write(dev, MOCK_SMMU_NO_SSID, space->addr, 6));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_device_shutdown(dev));
}

static struct kunit_case sva_pci_bond_cases[] = {
	KUNIT_CASE(page_requests),
	KUNIT_CASE(without_page_requests_pages_must_be_there),
	KUNIT_CASE(bus_masters_only),
	KUNIT_CASE(no_pasid_without_its_register),
	KUNIT_CASE(removal_ends_bonds),
	KUNIT_CASE(surprise_removal_ends_bonds),
	KUNIT_CASE(removal_of_a_port),
	KUNIT_CASE(removal_and_rescan),
	KUNIT_CASE(driver_comes_and_goes),
	KUNIT_CASE(s6_without_pasid),
	{}
};

static struct kunit_suite sva_pci_bond_suite = {
	.name = "sva_pci_bond",
	.test_cases = sva_pci_bond_cases,
};

kunit_test_suite(sva_pci_bond_suite);
