/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared virtual addressing: a device uses the address space of a process.
 *
 * A driver initialises its device, binds processes to it, and gives the PASID
 * that it gets to the device. The device then uses the process's own pointers.
 *
 * The functions have names of their own, because Linux exports a later and
 * different interface under the names of the 2018 patches. At the end of this
 * file these names are mapped to ours, so that a driver written to the patches
 * compiles as it is. A driver that wants Linux's own meaning of them says
 * "#define SVA_NO_SEED_NAMES" before it includes this file.
 *
 * All functions may sleep, and take mmap_lock and the mutex of the device's
 * IOMMU group: call them with neither held.
 */
#ifndef _LINUX_SVA_H
#define _LINUX_SVA_H

#include <linux/bits.h>
#include <linux/errno.h>
#include <linux/iommu.h>
#include <linux/module.h>

struct device;
struct iommu_group;
struct mm_struct;

/* Accesses carry a PASID. A bond without this has the device's other accesses. */
#define IOMMU_SVA_FEAT_PASID	BIT(0)
/* The device can wait for page faults (PRI or stall). */
#define IOMMU_SVA_FEAT_IOPF	BIT(1)

/**
 * typedef sva_mm_exit_handler_t - told that a process which was bound is gone
 * @dev: the device
 * @pasid: the PASID of the bond, 0 for one without
 * @drvdata: what the driver passed to bind
 *
 * On return the device must send nothing more under @pasid, which may then
 * belong to another process; the driver does not unbind any more.
 *
 * Context: Process context, no locks held, may sleep. May unbind.
 * Return: 0; anything else is logged.
 */
typedef int (*sva_mm_exit_handler_t)(struct device *dev, int pasid, void *drvdata);

#if IS_ENABLED(CONFIG_IOMMU_API) && IS_ENABLED(CONFIG_IOMMU_IOPF) && \
	IS_ENABLED(CONFIG_MMU_NOTIFIER) && !defined(SVA_DISABLED)

/**
 * sva_device_init() - Initialize Shared Virtual Addressing for a device
 * @dev: the device, which has a driver
 * @features: what bonds of this device may use: IOMMU_SVA_FEAT_*
 * @max_pasid: the largest PASID the device can send; 0 for what its IOMMU can
 *
 * Must come before any bind. When the driver leaves the device without
 * sva_device_shutdown(), that is done for it, with a warning if it left bonds.
 *
 * Context: Process context, may sleep.
 * Return:
 * * 0		- the device can be bound
 * * -EINVAL	- @dev is NULL, or a bit of @features means nothing
 * * -ENODEV	- the device has no IOMMU
 * * -EOPNOTSUPP - the device or its IOMMU driver has no PASIDs or no SVA
 * * -EBUSY	- the device is initialized already
 * * -ENOMEM
 */
int sva_device_init(struct device *dev, unsigned long features, unsigned int max_pasid);

/**
 * sva_device_shutdown() - End Shared Virtual Addressing for a device
 * @dev: the device
 *
 * Ends all bonds of the device. The device must be quiet.
 *
 * Context: Process context, may sleep. Waits for a running exit handler, unless
 * called from it.
 * Return: 0, or -EINVAL if the device is not initialized.
 */
int sva_device_shutdown(struct device *dev);

/**
 * sva_bind_device() - Bind a process address space to a device
 * @dev: the device
 * @mm: the mm to bind; the caller holds a reference to it
 * @pasid: where the PASID is stored; IOMMU_NO_PASID (0) for a bond without
 * @flags: IOMMU_SVA_FEAT_*, a subset of what the device was initialized with;
 *	   for now IOMMU_SVA_FEAT_IOPF, with or without IOMMU_SVA_FEAT_PASID
 * @drvdata: passed to the exit handler
 *
 * A second bind of the same mm to the same device with the same @flags and
 * @drvdata returns the same PASID, and needs a second unbind.
 *
 * Without IOMMU_SVA_FEAT_PASID the process gets what the device accesses
 * without a PASID; sva_unbind_device(dev, 0) gives that back to the DMA API.
 * Until then the device must do no other DMA without PASID: addresses of the DMA
 * API mean nothing there, and interrupts that the device sends as messages do
 * not arrive unless its IOMMU lets them pass. Bonds with PASIDs, of the same mm
 * or of others, may live beside it.
 *
 * Context: Process context, may sleep. Takes mmap_lock and the mutex of the
 * device's IOMMU group.
 * Return:
 * * 0		- @pasid is set, and the device may use it
 * * -EINVAL	- a NULL argument, the device is not initialized, or @flags
 *		  has a bit that the device was not initialized with
 * * -EOPNOTSUPP - other flags; or the IOMMU cannot share this address space
 * * -ESRCH	- the process has exited
 * * -EEXIST	- the mm is bound with other @flags or another @drvdata
 * * -EBUSY	- the device's IOMMU group has other devices; without
 *		  IOMMU_SVA_FEAT_PASID also if another mm or another domain has
 *		  the place, or if the device's firmware needs memory mapped one
 *		  to one (IOMMU_RESV_DIRECT)
 * * -EADDRINUSE - the process uses addresses that the IOMMU cannot translate
 * * -ENODEV	- the device is being shut down
 * * -ENOSPC	- no PASID is left that the device can send
 * * -ENOMEM
 */
int sva_bind_device(struct device *dev, struct mm_struct *mm, int *pasid,
		    unsigned long flags, void *drvdata);

/**
 * sva_unbind_device() - Remove a bond created with sva_bind_device()
 * @dev: the device
 * @pasid: the PASID that bind returned, 0 for the bond without one
 *
 * For the last unbind, the device must be quiet for @pasid, and its page
 * requests must have reached the IOMMU. On return none of them is in flight.
 *
 * Not to be called after the exit handler returned: the PASID may belong to
 * another process by then.
 *
 * Context: Process context, may sleep. Takes the mutex of the device's IOMMU
 * group. Waits for a running exit handler, unless called from it.
 * Return: 0, -EINVAL if the device is not initialized, -ESRCH if it has no bond
 * under @pasid.
 */
int sva_unbind_device(struct device *dev, int pasid);

/**
 * sva_unbind_device_all() - Detach all address spaces from a device
 * @dev: the device, which must be quiet
 *
 * Ends the bonds however often they were bound.
 *
 * Context: As sva_unbind_device().
 */
void sva_unbind_device_all(struct device *dev);

/**
 * sva_bind_group() - Share an address space with the devices of a group
 * @group: the IOMMU group; its members keep their drivers during the call
 * @mm: the mm to bind; the caller holds a reference to it
 * @pasid: where the PASID is stored
 * @flags: as for sva_bind_device()
 * @drvdata: passed to the exit handler
 *
 * Binds all members that are initialized for SVA, under one PASID, or none.
 * Without IOMMU_SVA_FEAT_PASID the group must have one member only.
 * The devices of a group can reach each other without the IOMMU's knowledge, so
 * whoever calls this accepts that they are not isolated from one another.
 *
 * Context: As sva_bind_device().
 * Return: 0, also if members were left out since they are not initialized for
 * SVA: how many is logged; -ENODEV if none is, else as sva_bind_device().
 */
int sva_bind_group(struct iommu_group *group, struct mm_struct *mm, int *pasid,
		   unsigned long flags, void *drvdata);

/**
 * sva_unbind_group() - Remove a bond created with sva_bind_group()
 * @group: the group
 * @pasid: the PASID that bind returned
 *
 * Goes on past errors and logs each.
 *
 * Context: As sva_unbind_device().
 * Return: 0, -EINVAL if @group is NULL, -ESRCH if no member has a bond under
 * @pasid; otherwise the first error.
 */
int sva_unbind_group(struct iommu_group *group, int pasid);

/**
 * sva_register_mm_exit_handler() - Be told of the exit of processes
 * @dev: the device
 * @handler: called once for each bond of an mm that lost its last user; the
 *	     bond is gone after it has returned
 *
 * Bonds made before are covered too.
 *
 * Context: Process context, may sleep. Takes mmap_lock of each mm bound.
 * Return: 0, -EINVAL if @handler is NULL or the device is not initialized,
 * -EBUSY if it has a handler, -ENOMEM.
 */
int sva_register_mm_exit_handler(struct device *dev, sva_mm_exit_handler_t handler);

/**
 * sva_unregister_mm_exit_handler() - Be told no more
 * @dev: the device
 *
 * Context: Process context, may sleep. Waits for a running handler: not to be
 * called from one.
 * Return: 0, or -EINVAL if the device is not initialized or has no handler.
 */
int sva_unregister_mm_exit_handler(struct device *dev);

#ifndef __BINDGEN__
MODULE_IMPORT_NS("SVA");
#endif

#else /* no IOMMU, or no I/O page faults, or not wanted */

static inline int sva_device_init(struct device *dev, unsigned long features,
				  unsigned int max_pasid)
{
	return -ENODEV;
}

static inline int sva_device_shutdown(struct device *dev)
{
	return -ENODEV;
}

static inline int sva_bind_device(struct device *dev, struct mm_struct *mm, int *pasid,
				  unsigned long flags, void *drvdata)
{
	return -ENODEV;
}

static inline int sva_unbind_device(struct device *dev, int pasid)
{
	return -ENODEV;
}

static inline void sva_unbind_device_all(struct device *dev)
{
}

static inline int sva_bind_group(struct iommu_group *group, struct mm_struct *mm, int *pasid,
				 unsigned long flags, void *drvdata)
{
	return -ENODEV;
}

static inline int sva_unbind_group(struct iommu_group *group, int pasid)
{
	return -ENODEV;
}

static inline int sva_register_mm_exit_handler(struct device *dev, sva_mm_exit_handler_t handler)
{
	return -ENODEV;
}

static inline int sva_unregister_mm_exit_handler(struct device *dev)
{
	return -ENODEV;
}

#endif

#ifndef SVA_NO_SEED_NAMES
#define iommu_sva_device_init		sva_device_init
#define iommu_sva_device_shutdown	sva_device_shutdown
#define iommu_sva_bind_device		sva_bind_device
#define iommu_sva_unbind_device		sva_unbind_device
#define __iommu_sva_unbind_dev_all	sva_unbind_device_all
#define iommu_sva_bind_group		sva_bind_group
#define iommu_sva_unbind_group		sva_unbind_group
#define iommu_register_mm_exit_handler	sva_register_mm_exit_handler
#define iommu_unregister_mm_exit_handler sva_unregister_mm_exit_handler
#endif

#endif /* _LINUX_SVA_H */
