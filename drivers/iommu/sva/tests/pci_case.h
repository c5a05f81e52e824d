/* SPDX-License-Identifier: GPL-2.0 */
/* Mock PCI: a host bridge for a test, and what is plugged in behind it. */
#ifndef SVA_TEST_PCI_CASE_H
#define SVA_TEST_PCI_CASE_H

#include <linux/mock_pci.h>
#include <linux/pci.h>

#include "fixture.h"

/* All that keeps a device's requests from others; and what is enough for PASIDs alone. */
#define ISOLATED	(PCI_ACS_SV | PCI_ACS_RR | PCI_ACS_CR | PCI_ACS_UF)
#define REDIRECTED	(PCI_ACS_RR | PCI_ACS_UF)

/* A function that is plugged in, and the device as which the kernel has found it. */
struct pci_case {
	struct mock_pci_function *function;
	struct pci_dev *pdev;
};

struct mock_pci_host *pci_case_host(struct kunit *test);
struct pci_case *pci_case_plug(struct kunit *test, struct mock_pci_host *host,
			       struct pci_case *parent, const struct mock_pci_config *config);
struct pci_case *pci_case_port(struct kunit *test, struct mock_pci_host *host,
			       struct pci_case *parent, u16 acs);
struct pci_case *pci_case_endpoint(struct kunit *test, struct mock_pci_host *host,
				   struct pci_case *parent);
void pci_case_touch(struct kunit *test, struct pci_case *c, struct sva_test_mm *space);
void pci_case_unplug(struct pci_case *c, bool surprise);
void pci_case_find(struct kunit *test, struct pci_case *c);

static inline struct iommu_group *pci_case_group(struct pci_case *c)
{
	return c->pdev->dev.iommu_group;
}

/* Why the driver could not initialise the device for SVA; 0 if it has. */
static inline int pci_case_error(struct pci_case *c)
{
	struct sva_test_device *state = dev_get_drvdata(&c->pdev->dev);

	return state ? state->init_error : -ENODEV;
}

#endif /* SVA_TEST_PCI_CASE_H */
