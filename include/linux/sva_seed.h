/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The interface of the patches of 2018, on top of <linux/sva.h>.
 *
 * Bonds are named by device and PASID here, not by a handle, and a driver hears of
 * exits by device. The functions have names of their own, because Linux exports a
 * later and different interface under the names of 2018; at the end of this file
 * these are mapped to ours, so that a driver written to the patches compiles as it
 * is. Linux's own meaning of them is hidden from who includes this, which a message
 * says at build time, unless "#define SVA_SEED_NAMES" comes first.
 *
 * A driver that is written today has no need of it. Also here: the symbols are in
 * the namespace "SVA", all functions may sleep, and take mmap_lock and the mutex of
 * the device's IOMMU group.
 */
#ifndef _LINUX_SVA_SEED_H
#define _LINUX_SVA_SEED_H

#include <linux/sva.h>

#ifndef SVA_SEED_NAMES
#pragma message("<linux/sva_seed.h> hides Linux's own iommu_sva_*(): see <linux/sva.h>")
#endif

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
 * sva_bind_device() - Bind a process address space to a device
 * @dev: the device
 * @mm: the mm to bind; the caller holds a reference to it
 * @pasid: where the PASID is stored; IOMMU_NO_PASID (0) for a bond without
 * @flags: IOMMU_SVA_FEAT_*, a subset of what the device was initialized with,
 *	   or that and IOMMU_SVA_FEAT_NO_READ_AHEAD
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
 * * -EOPNOTSUPP - the IOMMU cannot share this address space, or not without
 *		  PASID
 * * -ESRCH	- the process has exited
 * * -EEXIST	- the mm is bound with other @flags or another @drvdata, or with
 *		  another IOMMU_SVA_FEAT_IOPF to another device of the group
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
 * Not to be called after the exit handler returned: the bond has ended then. One that
 * is called all the same hits nobody else: the PASID is given to no other process before
 * it has been unbound as often as it was bound, for the last 64 such processes of the
 * device, or the last quarter of its PASIDs, and as long as there are others. Of the one
 * place without PASID such a call is owed once for each bind of a process that has exited:
 * who calls for @pasid 0 from elsewhere than the process that has the place gets -ESRCH
 * that often, and nothing is unbound. Handles (<linux/sva.h>) need none of this.
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
 * sva_pin_range() - Keep memory present for a device that cannot wait for it
 * @dev: the device
 * @pasid: the PASID that bind returned
 * @addr: first address, at the start of a page
 * @len: number of bytes, of whole pages
 * @write: whether the device is to write too
 *
 * The device then reaches the range under @pasid without page requests. Pages
 * are faulted in, copied now if a write would copy them, and neither swapped out
 * nor moved. The process goes on using them. If it forks, it keeps them, and the
 * child gets copies of those that are private.
 *
 * The pages are released by sva_unpin_range(), at the end of the bond, and when
 * the process exits. Pins may overlap; each is one of its own, and counted. A bond
 * with IOMMU_SVA_FEAT_IOPF may have pins as well.
 *
 * The pages count as pinned by the process (VmPin). The limit is RLIMIT_MEMLOCK
 * of the process that owns the mm, if the kernel keeps track of that
 * (CONFIG_MEMCG), else of the caller. A caller with CAP_IPC_LOCK has no limit;
 * kernel threads have that.
 *
 * What pinning does not do:
 *
 * * The page table stays the process's. Where the process unmaps or protects
 *   memory, the device loses it; what the process may write and has written, the
 *   device can write, even if it is pinned for reading only.
 * * The kernel may make an entry of the page table invalid for a moment: when it
 *   splits a huge page, or tries in vain to move or to merge a page. A device that
 *   meets such a moment is refused, and may try again.
 * * The kernel clears access flags to find out what is used. An IOMMU that does not
 *   set them itself refuses the device until the process touches the page.
 *
 * Context: Process context, may sleep, also for I/O. Takes mmap_lock.
 * Return:
 * * 0		- the device can use the range
 * * -EINVAL	- the device is not initialized, or the range is empty, wraps, or is
 *		  not of whole pages
 * * -ESRCH	- the device has no bond under @pasid, or its process has exited
 * * -EFAULT	- part of the range is not mapped, is not memory, is not to be
 *		  accessed so by the process, or (with @write) is shared with a
 *		  file on a disk
 * * -EOPNOTSUPP - a file that lies in memory itself (DAX)
 * * -ENOMEM	- more than RLIMIT_MEMLOCK, or no memory
 * * -EINTR	- the caller is being killed
 * After an error nothing more is pinned than before.
 */
int sva_pin_range(struct device *dev, int pasid, unsigned long addr, size_t len, bool write);

/**
 * sva_unpin_range() - Undo one sva_pin_range()
 * @dev: the device, which should not use the range any more
 * @pasid: the PASID that bind returned
 * @addr: as it was pinned
 * @len: as it was pinned
 *
 * If the same range is pinned several times, the oldest pin is undone. Pages that
 * the device may have written are marked dirty.
 *
 * Context: Process context, may sleep.
 * Return: 0; -EINVAL as sva_pin_range(), -ESRCH if the device has no bond under
 * @pasid, -ENOENT if there is no pin of exactly this range, or the process has
 * exited.
 */
int sva_unpin_range(struct device *dev, int pasid, unsigned long addr, size_t len);

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
 * sva_pasid() - Find the PASID with which a device reaches an address space
 * @dev: the device
 * @mm: the mm; the caller holds a reference to it
 *
 * The other way round than sva_find(), for one device: several PASIDs may lead to
 * one mm, if a device cannot send the one that others use.
 *
 * Context: Process context, may sleep.
 * Return: what bind stored: a PASID, or IOMMU_NO_PASID (0) if @mm has only the bond
 * without; -EINVAL if an argument is NULL or the device is not initialized,
 * -ESRCH if @mm is not bound to it.
 */
int sva_pasid(struct device *dev, struct mm_struct *mm);

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

#else /* no IOMMU, or no I/O page faults, or not wanted */

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

static inline int sva_pin_range(struct device *dev, int pasid, unsigned long addr, size_t len,
				bool write)
{
	return -ENODEV;
}

static inline int sva_unpin_range(struct device *dev, int pasid, unsigned long addr, size_t len)
{
	return -ENODEV;
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

static inline int sva_pasid(struct device *dev, struct mm_struct *mm)
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

#define iommu_sva_device_init		sva_device_init
#define iommu_sva_device_shutdown	sva_device_shutdown
#define iommu_sva_bind_device		sva_bind_device
#define iommu_sva_unbind_device		sva_unbind_device
#define __iommu_sva_unbind_dev_all	sva_unbind_device_all
#define iommu_sva_bind_group		sva_bind_group
#define iommu_sva_unbind_group		sva_unbind_group
#define iommu_register_mm_exit_handler	sva_register_mm_exit_handler
#define iommu_unregister_mm_exit_handler sva_unregister_mm_exit_handler
#endif /* _LINUX_SVA_SEED_H */
