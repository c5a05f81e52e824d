/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Mock PCI: host bridges in software, with ports, switches and endpoints whose DMA goes
 * through a mock SMMU.
 *
 * The kernel sees them as any others. The functions are exported in the symbol namespace
 * "MOCK_PCI"; those here may sleep, and are not to be called from a driver's probe or
 * remove.
 */
#ifndef __LINUX_MOCK_PCI_H
#define __LINUX_MOCK_PCI_H

#include <linux/types.h>

struct device;

/*
 * IDs: of the endpoints that mock_accel drives, of ports, and of those that tests drive. They are
 * from a range that the vendor lends to experiments.
 */
#define MOCK_PCI_VENDOR_ID	0x1af4
#define MOCK_PCI_DEVICE_ACCEL	0x10f0
#define MOCK_PCI_DEVICE_PORT	0x10f1
#define MOCK_PCI_DEVICE_TEST	0x10f2

/* What the buses see of the memory of each host bridge; all BARs are there */
#define MOCK_PCI_MEMORY_START	0xe0000000ULL
#define MOCK_PCI_MEMORY_END	0xf0000000ULL

/* A host bridge. */
struct mock_pci_host;

/**
 * mock_pci_host_create() - plugs in a host bridge, in a domain of its own
 * @name: its name, at most 19 characters
 * @smmu: name of the mock SMMU that it is behind
 * @sid_base: what the SMMU adds to Requester IDs
 *
 * Return: the bridge, or an ERR_PTR: -EEXIST if there is one of that name, -EBUSY if there
 * is no room for its memory, -ENODEV if there is no such SMMU, -ENOMEM.
 */
struct mock_pci_host *mock_pci_host_create(const char *name, const char *smmu, u32 sid_base);

/**
 * mock_pci_host_destroy() - unplugs a host bridge
 * @host: the bridge, behind which all has been unplugged
 */
void mock_pci_host_destroy(struct mock_pci_host *host);

/**
 * mock_pci_host_rescan() - has the kernel find again what it was told to remove
 * @host: the bridge
 *
 * Return: 0.
 */
int mock_pci_host_rescan(struct mock_pci_host *host);

/**
 * struct mock_pci_config - what a function is to be like
 * @port: a port: on the root bus a root port; else a switch's port upstream, or, behind
 *	that, one of its ports downstream. Otherwise it is an endpoint
 * @more_functions: it says that its device has other functions, which may come later
 * @no_acs: it has no access control services
 * @acs: with them: those that work, as PCI_ACS_SV, PCI_ACS_RR, PCI_ACS_CR and PCI_ACS_UF;
 *	they are on from the start
 * @pasid_bits: bits of a PASID; 0 for none
 * @no_ats: it does not translate by ATS, and so asks for no pages
 * @no_pri: it asks for no pages
 * @bar_bits: log2 of the size of its memory, 12 to 24; 0 for none
 * @device: its device ID; 0 for one that mock_accel drives, or that of a port
 */
struct mock_pci_config {
	bool port;
	bool more_functions;
	bool no_acs;
	u16 acs;
	unsigned int pasid_bits;
	bool no_ats;
	bool no_pri;
	unsigned int bar_bits;
	u16 device;
};

/* A function behind a host bridge. */
struct mock_pci_function;

/**
 * mock_pci_plug() - plugs in a function
 * @host: the bridge
 * @parent: the port that it is behind; NULL for the root bus. A port may have one device,
 *	of which these are the functions
 * @config: what it is like
 *
 * The kernel has found it, it is in its IOMMU group, and bound if there is a driver, when
 * this returns.
 *
 * Return: the function, or an ERR_PTR: -EINVAL if there can be no such function, -ENOSPC if
 * there are too many, or no bus is left for a port, -ENOMEM.
 */
struct mock_pci_function *mock_pci_plug(struct mock_pci_host *host,
					struct mock_pci_function *parent,
					const struct mock_pci_config *config);

/**
 * mock_pci_unplug() - unplugs a function
 * @function: the function, behind which nothing is left
 * @surprise: it is gone before the kernel is told
 */
void mock_pci_unplug(struct mock_pci_function *function, bool surprise);

/**
 * mock_pci_get_device() - the device that the kernel has found
 * @function: the function
 *
 * Return: the device, with a reference for the caller; NULL if the kernel has removed it.
 */
struct device *mock_pci_get_device(struct mock_pci_function *function);

#endif /* __LINUX_MOCK_PCI_H */
