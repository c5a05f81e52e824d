// SPDX-License-Identifier: GPL-2.0
/* PCI: what a host bridge in software and an IOMMU's driver need. */

#ifdef CONFIG_PCI

#include <linux/bitfield.h>
#include <linux/ioport.h>
#include <linux/pci-ats.h>
#include <linux/pci.h>

/* Room for the bridge's addresses, as the bus and as the CPUs see it. */
static int window_init(struct resource *window, u64 size)
{
	window->name = "mock PCI memory";
	window->flags = IORESOURCE_MEM;
	return allocate_resource(&iomem_resource, window, size, size, -1, size, NULL, NULL);
}

/*
 * Gives a bridge that is not scanned yet a domain, @window of @size bytes that the bus
 * sees at @start, and the numbers of @buses. May sleep.
 */
int rust_helper_sva_pci_host_init(struct pci_host_bridge *bridge, struct resource *window,
				  u64 start, u64 size, struct resource *buses, u8 last_bus)
{
	int ret;

	ret = window_init(window, size);
	if (ret)
		return ret;
	/* Far from those that firmware gives. The bridge gives it back. */
	ret = pci_bus_find_emul_domain_nr(0x10000, 0x10000, INT_MAX);
	if (ret < 0) {
		release_resource(window);
		return ret;
	}
	bridge->domain_nr = ret;
	buses->name = "mock PCI buses";
	buses->flags = IORESOURCE_BUS;
	buses->end = last_bus;
	pci_add_resource(&bridge->windows, buses);
	pci_add_resource_offset(&bridge->windows, window, window->start - start);
	return 0;
}

/*
 * Finds what is new on @bus, of whose ports each says which buses are behind it. Called with
 * the lock for rescan and removal held.
 */
void rust_helper_sva_pci_scan(struct pci_bus *bus)
{
	struct pci_dev *dev;
	int pass, slot;

	for (slot = 0; slot < 32; slot++)
		pci_scan_slot(bus, PCI_DEVFN(slot, 0));
	list_for_each_entry(dev, &bus->devices, bus_list) {
		if (!pci_is_bridge(dev) || dev->subordinate)
			continue;
		for (pass = 0; pass < 2; pass++)
			pci_scan_bridge(bus, dev, bus->number, pass);
	}
	if (bus->self)
		pci_assign_unassigned_bridge_resources(bus->self);
	else
		pci_assign_unassigned_bus_resources(bus);
	pci_bus_add_devices(bus);
}

/* A device's place on its bridge's buses, as in its requests: bus, device, function. */
u16 rust_helper_sva_pci_rid(struct device *dev)
{
	return pci_dev_id(to_pci_dev(dev));
}

/* Behind a port that is being added, something may be plugged in later: there is to be room. */
void rust_helper_sva_pci_reserve(struct device *dev)
{
	if (pci_is_bridge(to_pci_dev(dev)))
		to_pci_dev(dev)->is_hotplug_bridge = 1;
}

/* Whether @dev is a PCI device below @bridge. */
bool rust_helper_sva_pci_is_below(struct device *dev, struct pci_host_bridge *bridge)
{
	return dev_is_pci(dev) && pci_find_host_bridge(to_pci_dev(dev)->bus) == bridge;
}

/* Bits of a PASID that @dev sends from now on; 0 if it has none, or the path no ACS. */
u32 rust_helper_sva_pci_enable_pasid(struct device *dev)
{
	struct pci_dev *pdev = to_pci_dev(dev);
	int features = pci_pasid_features(pdev);

	if (features < 0 || (!pdev->pasid_enabled && pci_enable_pasid(pdev, features)))
		return 0;
	return ilog2(pci_max_pasids(pdev));
}

/* Whether @dev has PASIDs and may not send any. */
bool rust_helper_sva_pci_pasid_is_off(struct device *dev)
{
	int status;

	if (!dev_is_pci(dev))
		return false;
	status = pci_pasid_status(to_pci_dev(dev));
	return status >= 0 && !(status & PCI_PASID_CTRL_ENABLE);
}

/* Whether @dev could use ATS, behind an IOMMU that does. */
bool rust_helper_sva_pci_ats_supported(struct device *dev)
{
	return pci_ats_supported(to_pci_dev(dev));
}

/* Whether @dev has page requests. */
bool rust_helper_sva_pci_pri_supported(struct device *dev)
{
#ifdef CONFIG_PCI_PRI
	return pci_pri_supported(to_pci_dev(dev));
#else
	return false;
#endif
}

#ifdef CONFIG_PCI_PRI
/* As the kernel's pci_enable_pri(), which is not for modules. */
static int enable_pri(struct pci_dev *pdev)
{
	int pos = pci_find_ext_capability(pdev, PCI_EXT_CAP_ID_PRI);
	u16 status;
	u32 most;

	if (!pos)
		return 0;
	pci_read_config_word(pdev, pos + PCI_PRI_STATUS, &status);
	if (!(status & PCI_PRI_STATUS_STOPPED))
		return -EBUSY;
	pci_write_config_word(pdev, pos + PCI_PRI_CTRL, PCI_PRI_CTRL_RESET);
	pci_read_config_dword(pdev, pos + PCI_PRI_MAX_REQ, &most);
	pci_write_config_dword(pdev, pos + PCI_PRI_ALLOC_REQ, most);
	pci_write_config_word(pdev, pos + PCI_PRI_CTRL, PCI_PRI_CTRL_ENABLE);
	/* So that it is restored after a reset, and can be switched off. */
	pdev->pri_reqs_alloc = most;
	pdev->pri_enabled = 1;
	return 0;
}

static void disable_pri(struct pci_dev *pdev)
{
	if (pdev->pri_enabled)
		pci_disable_pri(pdev);
}
#else
static int enable_pri(struct pci_dev *pdev)
{
	return 0;
}

static void disable_pri(struct pci_dev *pdev)
{
}
#endif

/*
 * Lets @dev translate by ATS, in units of 1 << @shift bytes, and ask for pages if @pri.
 * Not before the IOMMU answers.
 */
int rust_helper_sva_pci_enable_ats(struct device *dev, int shift, bool pri)
{
	struct pci_dev *pdev = to_pci_dev(dev);
	int ret = 0;

	if (pri)
		ret = enable_pri(pdev);
	return pci_enable_ats(pdev, shift) ?: ret;
}

/* Switches all off again that was switched on, in the opposite order. */
void rust_helper_sva_pci_disable(struct device *dev)
{
	struct pci_dev *pdev = to_pci_dev(dev);

	if (pdev->ats_enabled)
		pci_disable_ats(pdev);
	disable_pri(pdev);
	if (pdev->pasid_enabled)
		pci_disable_pasid(pdev);
}

/*
 * The addresses from which bridges above @dev could route a request to another device: the
 * memory that is @nth of its host bridge. Returns whether there is one.
 */
bool rust_helper_sva_pci_window(struct device *dev, unsigned int nth, u64 *start, u64 *end)
{
	struct pci_host_bridge *bridge = pci_find_host_bridge(to_pci_dev(dev)->bus);
	struct resource_entry *entry;

	resource_list_for_each_entry(entry, &bridge->windows) {
		if (resource_type(entry->res) != IORESOURCE_MEM || nth--)
			continue;
		*start = entry->res->start - entry->offset;
		*end = entry->res->end - entry->offset;
		return true;
	}
	return false;
}

#endif /* CONFIG_PCI */
