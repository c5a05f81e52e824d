// SPDX-License-Identifier: GPL-2.0
/* Host bridges, ports and endpoints for the suites on PCI. */

#include "pci_case.h"

static void host_gone(void *host)
{
	mock_pci_host_destroy(host);
}

/* A host bridge behind the SMMU that there is, until the test ends. */
struct mock_pci_host *pci_case_host(struct kunit *test)
{
	struct mock_pci_host *host = mock_pci_host_create("kunit", "smmu0", 0x8000);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, host);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, host_gone, host));
	return host;
}

/* The device is as the kernel has it now. */
void pci_case_find(struct kunit *test, struct pci_case *c)
{
	struct device *dev = mock_pci_get_device(c->function);

	KUNIT_ASSERT_NOT_NULL_MSG(test, dev, "the kernel has not found it");
	pci_dev_put(c->pdev);
	c->pdev = to_pci_dev(dev);
}

/* What arm-smmu-v3 has its functions ask for, nobody answers: there the pages must be there. */
void pci_case_touch(struct kunit *test, struct pci_case *c, struct sva_test_mm *space)
{
	unsigned long page;

	if (c->pdev->pri_enabled)
		return;
	for (page = 0; page < space->len; page += PAGE_SIZE)
		KUNIT_ASSERT_EQ(test, 0, put_user(0ULL, (u64 __user *)(space->addr + page)));
}

void pci_case_unplug(struct pci_case *c, bool surprise)
{
	if (c->function)
		mock_pci_unplug(c->function, surprise);
	c->function = NULL;
	pci_dev_put(c->pdev);
	c->pdev = NULL;
}

static void function_gone(void *c)
{
	pci_case_unplug(c, false);
}

/* A function, until it is unplugged or the test ends. */
struct pci_case *pci_case_plug(struct kunit *test, struct mock_pci_host *host,
			       struct pci_case *parent, const struct mock_pci_config *config)
{
	struct pci_case *c = kunit_kzalloc(test, sizeof(*c), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, c);
	c->function = mock_pci_plug(host, parent ? parent->function : NULL, config);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, c->function);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, function_gone, c));
	pci_case_find(test, c);
	return c;
}

/* A port with the services @acs, or with none. */
struct pci_case *pci_case_port(struct kunit *test, struct mock_pci_host *host,
			       struct pci_case *parent, u16 acs)
{
	struct mock_pci_config config = { .port = true, .acs = acs, .no_acs = !acs };

	return pci_case_plug(test, host, parent, &config);
}

/* An endpoint of one function, with all that it takes, and with its driver. */
struct pci_case *pci_case_endpoint(struct kunit *test, struct mock_pci_host *host,
				   struct pci_case *parent)
{
	struct mock_pci_config config = {
		.no_acs = true,
		.pasid_bits = 10,
		.bar_bits = 16,
		.device = MOCK_PCI_DEVICE_TEST,
	};

	return pci_case_plug(test, host, parent, &config);
}
