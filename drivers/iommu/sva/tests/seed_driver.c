// SPDX-License-Identifier: GPL-2.0
/* A driver as the patches of 2018 have it: their names, their order of calls. */

#include <linux/mock_pci.h>
#include <linux/pci.h>
#include <linux/platform_device.h>

#include "fixture.h"

static int sva_test_mm_exit_handler(struct device *dev, int pasid, void *drvdata)
{
	struct sva_test_device *state = dev_get_drvdata(dev);

	return state->on_exit(dev, pasid, drvdata);
}

static int sva_test_start(struct device *dev)
{
	struct sva_test_device *state;

	state = devm_kzalloc(dev, sizeof(*state), GFP_KERNEL);
	if (!state)
		return -ENOMEM;
	dev_set_drvdata(dev, state);

	/* A device without SVA has its driver all the same. */
	state->init_error = iommu_sva_device_init(dev, SVA_TEST_FLAGS, 0);
	return 0;
}

static void sva_test_leave(struct device *dev)
{
	struct sva_test_device *state = dev_get_drvdata(dev);

	if (!state->init_error)
		iommu_sva_device_shutdown(dev);
}

static int sva_test_probe(struct platform_device *pdev)
{
	return sva_test_start(&pdev->dev);
}

static void sva_test_remove(struct platform_device *pdev)
{
	sva_test_leave(&pdev->dev);
}

struct platform_driver sva_test_driver = {
	.probe = sva_test_probe,
	.remove = sva_test_remove,
	.driver = {
		.name = "sva_test",
		/* Members of one group come and go while others are bound. */
	},
	.driver_managed_dma = true,
};

static int sva_test_pci_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	int ret = pci_enable_device(pdev);

	if (ret)
		return ret;
	pci_set_master(pdev);
	ret = sva_test_start(&pdev->dev);
	if (ret)
		pci_disable_device(pdev);
	return ret;
}

static void sva_test_pci_remove(struct pci_dev *pdev)
{
	sva_test_leave(&pdev->dev);
	pci_disable_device(pdev);
}

static const struct pci_device_id sva_test_pci_ids[] = {
	{ PCI_DEVICE(MOCK_PCI_VENDOR_ID, MOCK_PCI_DEVICE_TEST) },
	{}
};

/* The same driver for endpoints of mock PCI. */
struct pci_driver sva_test_pci_driver = {
	.name = "sva_test",
	.id_table = sva_test_pci_ids,
	.probe = sva_test_pci_probe,
	.remove = sva_test_pci_remove,
	.driver_managed_dma = true,
};

/* The same driver for devices that use the DMA API too. */
struct platform_driver sva_test_dma_driver = {
	.probe = sva_test_probe,
	.remove = sva_test_remove,
	.driver = {
		.name = "sva_test_dma_user",
	},
};

/* Has @on_exit called when a process exits that is bound to @dev. */
int sva_test_watch_exit(struct device *dev,
			int (*on_exit)(struct device *dev, int pasid, void *drvdata))
{
	struct sva_test_device *state = dev_get_drvdata(dev);

	state->on_exit = on_exit;
	return iommu_register_mm_exit_handler(dev, sva_test_mm_exit_handler);
}
