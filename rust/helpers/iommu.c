// SPDX-License-Identifier: GPL-2.0
/* Devices behind an IOMMU. */

#include <linux/device.h>
#include <linux/dma-map-ops.h>
#include <linux/iommu.h>
#include <linux/msi.h>
#include <linux/nodemask.h>
#include <linux/pci.h>
#include <linux/platform_device.h>
#include <linux/slab.h>

/*
 * Puts @dev, which is not added yet, behind the IOMMU that is called @iommu.
 *
 * iommu_fwspec_init() would need a lock that is not exported. The core frees
 * both structures when the device is removed.
 */
int rust_helper_sva_dev_iommu_init(struct device *dev, struct fwnode_handle *iommu,
				   const u32 *ids, u32 num_ids)
{
	struct iommu_fwspec *fwspec;
	struct dev_iommu *param;

	param = kzalloc_obj(*param);
	if (!param)
		return -ENOMEM;
	fwspec = kzalloc_flex(*fwspec, ids, num_ids);
	if (!fwspec) {
		kfree(param);
		return -ENOMEM;
	}

	fwspec->iommu_fwnode = fwnode_handle_get(iommu);
	fwspec->num_ids = num_ids;
	memcpy(fwspec->ids, ids, num_ids * sizeof(*ids));
	mutex_init(&param->lock);
	param->fwspec = fwspec;
	dev->iommu = param;
	/* The only masters that are modelled snoop the CPUs' caches. */
	dev_set_dma_coherent(dev);
	return 0;
}

/*
 * An IOMMU of ours that is registered looks through all devices, also through those that
 * are being added.
 */
static DEFINE_MUTEX(probe_mutex);

/* As iommu_device_register(). */
int rust_helper_sva_iommu_device_register(struct iommu_device *iommu, const struct iommu_ops *ops,
					  struct device *hwdev)
{
	guard(mutex)(&probe_mutex);
	return iommu_device_register(iommu, ops, hwdev);
}

/*
 * Puts @dev behind the IOMMU that @iommu is: from a bus notifier that is called when the
 * device is added, ahead of that of the IOMMU core.
 */
int rust_helper_sva_dev_iommu_init_added(struct device *dev, struct fwnode_handle *iommu,
					 u32 id)
{
	int ret;

	guard(mutex)(&probe_mutex);
	if (dev->iommu)
		return -EBUSY;
	ret = rust_helper_sva_dev_iommu_init(dev, iommu, &id, 1);
	if (ret)
		return ret;
	/* What is between PCI devices and an SMMU here passes ATS on. */
	dev->iommu->fwspec->flags |= IOMMU_FWSPEC_PCI_RC_ATS;
	return 0;
}

/* Undoes sva_dev_iommu_init() for a device that could not be added. */
void rust_helper_sva_dev_iommu_discard(struct device *dev)
{
	struct dev_iommu *param = dev->iommu;

	if (!param)
		return;
	dev->iommu = NULL;
	fwnode_handle_put(param->fwspec->iommu_fwnode);
	kfree(param->fwspec);
	kfree(param);
}

/* Whether there is a platform device of that full name. May sleep. */
bool rust_helper_sva_platform_device_exists(const char *name)
{
	struct device *dev = bus_find_device_by_name(&platform_bus_type, NULL, name);

	put_device(dev);
	return dev;
}

/* Adds a region to a list that iommu_get_resv_regions() asked for. May sleep. */
int rust_helper_sva_add_resv_region(struct list_head *list, phys_addr_t start, size_t len,
				    int prot, enum iommu_resv_type type)
{
	struct iommu_resv_region *region;

	region = iommu_alloc_resv_region(start, len, prot, type, GFP_KERNEL);
	if (!region)
		return -ENOMEM;
	list_add_tail(&region->list, list);
	return 0;
}

/* Notes that pages of @domain were unmapped, unless the whole domain is flushed later anyway. */
void rust_helper_sva_iotlb_gather_add(struct iommu_domain *domain,
				      struct iommu_iotlb_gather *gather,
				      unsigned long iova, size_t size)
{
	if (iommu_iotlb_gather_queued(gather))
		return;
	if (iommu_iotlb_gather_is_disjoint(gather, iova, size))
		iommu_iotlb_sync(domain, gather);
	iommu_iotlb_gather_add_range(gather, iova, size);
}

/*
 * Whether the driver of @dev, if it has one, does not use the DMA API, so that the bus
 * has not counted it for its group.
 */
bool rust_helper_sva_driver_manages_dma(struct device *dev)
{
	struct device_driver *driver = READ_ONCE(dev->driver);

	if (!driver)
		return false;
	if (dev->bus == &platform_bus_type)
		return to_platform_driver(driver)->driver_managed_dma;
#ifdef CONFIG_PCI
	if (dev->bus == &pci_bus_type)
		return to_pci_driver(driver)->driver_managed_dma;
#endif
	return false;
}

/* Says that @dev, which is not added yet, is near the first node's memory. */
void rust_helper_sva_dev_set_first_node(struct device *dev)
{
	set_dev_node(dev, first_online_node);
}

/*
 * The number of the @nth interrupt of the IOMMU that @dev is behind, as firmware or as messages
 * have it; 0 if it has no more. May sleep.
 */
unsigned int rust_helper_sva_iommu_irq(struct device *dev, unsigned int nth)
{
	struct device *entry = dev->iommu->iommu_dev->dev;
	struct device *hw = entry ? entry->parent : NULL;
	int irq = 0;

	if (!hw || hw->bus != &platform_bus_type)
		return 0;
	if (IS_ENABLED(CONFIG_GENERIC_MSI_IRQ))
		irq = msi_get_virq(hw, nth);
	if (!irq)
		irq = platform_get_irq_optional(to_platform_device(hw), nth);
	return max(irq, 0);
}
