/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For drivers of devices behind a mock SMMU: how the device does DMA.
 *
 * Every access goes the way of a real device's: translated by the SMMU (or by
 * the device's own translation cache), with a page request where a page is
 * missing. The functions are exported in the symbol namespace "MOCK_SMMU".
 */
#ifndef __LINUX_MOCK_SMMU_H
#define __LINUX_MOCK_SMMU_H

#include <linux/types.h>

struct device;

/**
 * struct mock_smmu_region - addresses that are special for a device
 * @start: the first address
 * @len: number of bytes; 0 for no region
 * @direct: firmware has the device use it, so that it must be mapped one to
 *	one (IOMMU_RESV_DIRECT); otherwise accesses to it do not reach the SMMU
 *	on a real bus (IOMMU_RESV_RESERVED)
 *
 * The mock only reports regions: it treats accesses to them like all others.
 */
struct mock_smmu_region {
	u64 start;
	u64 len;
	bool direct;
};

/* How many of them a device can have */
#define MOCK_SMMU_MAX_REGIONS	4

/**
 * struct mock_smmu_device - what a device is to be like
 * @name: of the platform device; a platform driver of this name binds it
 * @id: number of the platform device, after its name
 * @pasid_bits: bits of a PASID; 0 for a device without PASIDs
 * @ats: ATS and PRI: it can wait for missing pages. A device with PASIDs has
 *	them in any case, unless it stalls
 * @stall: its accesses wait for missing pages inside the SMMU
 * @group: devices with the same number share an IOMMU group; 0 is a group of
 *	its own
 * @translated: the DMA API maps memory for it in the SMMU; otherwise it gets
 *	physical addresses
 * @regions: reserved regions
 */
struct mock_smmu_device {
	const char *name;
	int id;
	unsigned int pasid_bits;
	bool ats;
	bool stall;
	unsigned int group;
	bool translated;
	struct mock_smmu_region regions[MOCK_SMMU_MAX_REGIONS];
};

/**
 * mock_smmu_device_create() - plugs in a device behind the mock SMMU
 * @config: what it is like
 *
 * May sleep. The device is in its IOMMU group, and bound if there is a driver,
 * when this returns. Not to be called from a driver's probe or remove.
 *
 * Return: the device, valid until mock_smmu_device_destroy(); or an ERR_PTR:
 * -EEXIST if there is a device of that name and number, -EINVAL for too many
 * PASID bits or a region that wraps, -ENODEV if there is no mock SMMU, -ENOMEM.
 */
struct device *mock_smmu_device_create(const struct mock_smmu_device *config);

/**
 * mock_smmu_device_destroy() - unplugs a device
 * @dev: the device
 *
 * May sleep. Not to be called from a driver's probe or remove.
 */
void mock_smmu_device_destroy(struct device *dev);

/**
 * struct mock_smmu_port - the master port of a device behind a mock SMMU
 */
struct mock_smmu_port;

/*
 * In place of a PASID: the access has none. It goes to physical addresses, to
 * what the DMA API or iommu_map() mapped, or to the address space of a bond
 * without PASID.
 */
#define MOCK_SMMU_NO_SSID	0xffffffffU

/**
 * mock_smmu_port_get() - the port of a device
 * @dev: a device that is bound to its driver
 *
 * May sleep. The port stays valid until mock_smmu_port_put(); after the device
 * is removed its accesses fail with -ESHUTDOWN.
 *
 * Return: the port, or ERR_PTR(-ENODEV) if @dev is not behind a mock SMMU.
 */
struct mock_smmu_port *mock_smmu_port_get(struct device *dev);

/**
 * mock_smmu_port_put() - gives back what mock_smmu_port_get() gave
 * @port: the port; nothing may use it any more
 */
void mock_smmu_port_put(struct mock_smmu_port *port);

/**
 * mock_smmu_read() - has the device read memory
 * @port: the device's port
 * @ssid: PASID, or %MOCK_SMMU_NO_SSID
 * @addr: address in the address space of @ssid
 * @buf: where the data goes
 * @len: number of bytes
 * @fault_addr: where to put the first address that could not be read; may be
 *	NULL
 *
 * May sleep, as all accesses: until a missing page is there.
 *
 * Return: 0; -EFAULT if nothing may be read there; -EIO if the SMMU aborted
 * the access or page requests do not work; -ETIMEDOUT without a response;
 * -EAGAIN if pages promised never came; -ESHUTDOWN when the port is stopped;
 * -EINTR after a signal.
 */
int mock_smmu_read(struct mock_smmu_port *port, u32 ssid, u64 addr, void *buf,
		   size_t len, u64 *fault_addr);

/**
 * mock_smmu_write() - has the device write memory
 * @port: the device's port
 * @ssid: PASID, or %MOCK_SMMU_NO_SSID
 * @addr: address in the address space of @ssid
 * @buf: the data
 * @len: number of bytes
 * @fault_addr: as for mock_smmu_read()
 *
 * Return: as mock_smmu_read().
 */
int mock_smmu_write(struct mock_smmu_port *port, u32 ssid, u64 addr,
		    const void *buf, size_t len, u64 *fault_addr);

/**
 * mock_smmu_fetch_add() - has the device add to a word, atomically
 * @port: the device's port
 * @ssid: PASID, or %MOCK_SMMU_NO_SSID
 * @addr: address of a naturally aligned 64-bit word
 * @add: what to add
 * @old: where the value before goes
 *
 * Return: as mock_smmu_read(); -EINVAL if @addr is not aligned.
 */
int mock_smmu_fetch_add(struct mock_smmu_port *port, u32 ssid, u64 addr,
			u64 add, u64 *old);

/**
 * mock_smmu_prefetch() - has the device ask for translations ahead of use
 * @port: the device's port
 * @ssid: PASID, or %MOCK_SMMU_NO_SSID
 * @addr: first address
 * @len: number of bytes
 * @write: whether the pages will be written
 *
 * Return: as mock_smmu_read().
 */
int mock_smmu_prefetch(struct mock_smmu_port *port, u32 ssid, u64 addr,
		       size_t len, bool write);

/**
 * mock_smmu_stop() - makes accesses under way and later ones fail
 * @port: the device's port
 *
 * Does not sleep.
 */
void mock_smmu_stop(struct mock_smmu_port *port);

/**
 * mock_smmu_start() - lets a stopped port go on
 * @port: the device's port
 *
 * Does not sleep.
 */
void mock_smmu_start(struct mock_smmu_port *port);

#endif /* __LINUX_MOCK_SMMU_H */
