/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared virtual addressing: a device uses the address space of a process.
 *
 * A driver initialises its device, binds processes to it, and gives the PASID of
 * each bond to the device. The device then uses the process's own pointers.
 *
 * The functions are in the symbol namespace "SVA". A driver that was written to the
 * patches of 2018 finds their names in <linux/sva_seed.h>.
 *
 * The device may do what the CPU may do in the process: to write implies to read,
 * and the top byte of a pointer is ignored (see Documentation/rights.rst). Not all
 * that a thread of the process does has a counterpart, though:
 *
 * * A stack does not grow because a device touches what is below it: such accesses
 *   are refused. Have the process touch its stack first, or use other memory.
 * * The NUMA policy of a thread (set_mempolicy()), its cpuset and its protection
 *   keys do not count: a device is no thread of the process. mbind() counts.
 * * On CPUs with shadow stacks (GCS) nothing is bound.
 *
 * All functions may sleep, and take mmap_lock and the mutex of the device's
 * IOMMU group: call them with neither held.
 */
#ifndef _LINUX_SVA_H
#define _LINUX_SVA_H

#include <linux/bits.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/iommu.h>
#include <linux/module.h>

struct device;
struct iommu_group;
struct mm_struct;

/* One bind of an address space to a device, or to the devices of a group. */
struct sva_bond;

/* Accesses carry a PASID. A bond without this has the device's other accesses. */
#define IOMMU_SVA_FEAT_PASID	BIT(0)
/*
 * The device can wait for page faults (PRI or stall). Without it page requests
 * are refused, and the driver pins what the device touches: sva_pin_range().
 */
#define IOMMU_SVA_FEAT_IOPF	BIT(1)
/*
 * No page is faulted in before the device asks for it. Else, where a device goes
 * through memory in order, up to 64 pages after those that it asked for are (module
 * parameter "read_ahead" of sva_core; 0: none): of the same mapping, anonymous, not
 * there yet, as a fault of the process itself would, and only while memory is
 * plentiful. MADV_RANDOM keeps the process's memory from it. Asked for at init it is
 * so for all bonds of the device. Bonds of a group's devices with one mm share this:
 * one that asks for it asks for all.
 */
#define IOMMU_SVA_FEAT_NO_READ_AHEAD	BIT(2)
/*
 * Whatever of PASIDs and page requests the device and its IOMMU have, for a driver that
 * reaches memory by sva_bond_range(): asked for at init and at bind, both work for any
 * device that is behind an IOMMU (one without PASIDs must be alone in its group). A device
 * without PASIDs gives what it accesses without to its bonds: see sva_bind().
 * sva_bond_mode() tells what a bond is.
 */
#define IOMMU_SVA_FEAT_ANY		BIT(3)
/*
 * With IOMMU_SVA_FEAT_ANY, at init and at bind: on a device without PASIDs several
 * processes may have bonds at once, and share its addresses. The driver sees to it that
 * for each process the device uses none but those of that process's ranges. Without
 * this one process at a time has a device without PASIDs.
 */
#define IOMMU_SVA_FEAT_SHARED_ADDRESSES	BIT(4)

/* How the device of a bond reaches the process's memory. */
enum sva_mode {
	/* by the process's addresses, and it waits for pages: any memory, at any time */
	SVA_MODE_SHARED = 1,
	/* by the process's addresses: what is in a range, and stays mapped there */
	SVA_MODE_PINNED,
	/* by addresses that a range tells: what is in it. Without PASID */
	SVA_MODE_MAPPED,
};

/**
 * typedef sva_exit_t - told that a process which was bound is gone
 * @dev: the device
 * @pasid: the PASID of the bond, 0 for one without
 * @drvdata: what the driver passed to bind
 *
 * On return the device must send nothing more under @pasid, which may then
 * belong to another process. The bond has ended then; its handle is still to be
 * given back by sva_unbind(), now or later, which hits nobody else.
 *
 * The memory of the process is gone when this is called, and the device's accesses
 * are refused already. It may give the bond back itself. It must not shut down its
 * device, unless the driver sees to it that the call has returned before it leaves.
 *
 * Context: Process context, no locks held, may sleep.
 */
typedef void (*sva_exit_t)(struct device *dev, u32 pasid, void *drvdata);

/* Why a page request was refused. */
enum sva_reason {
	SVA_REASON_NOT_MAPPED = 1,	/* nothing is mapped there */
	SVA_REASON_NO_RIGHT,		/* the process may not do that there either */
	SVA_REASON_PROCESS_GONE,	/* it has exited */
	SVA_REASON_NEVER_CAME,		/* no page in time, of a file or a userfaultfd */
	SVA_REASON_QUOTA,		/* too many of the process or the device wait already */
	SVA_REASON_NO_MEMORY,
	SVA_REASON_NO_PAGE,		/* beyond the end of a file, I/O error, broken memory */
	SVA_REASON_NOT_ASKED,		/* the bond has no IOMMU_SVA_FEAT_IOPF */
	SVA_REASON_ENDING,		/* the bond is about to end */
};

/**
 * struct sva_refusal - a group of page requests that was refused
 * @addr: the page of the first request that was
 * @access: what the device wanted to do there: IOMMU_FAULT_PERM_*
 * @reason: why it may not
 * @requests: how many requests of the group were refused, this one included
 * @untold: how many groups were refused since the last call without one for them
 */
struct sva_refusal {
	u64 addr;
	u32 access;
	enum sva_reason reason;
	u32 requests;
	u32 untold;
};

/**
 * struct sva_bond_ops - what a driver hears of a bond
 * @exit: as for sva_bind(), or NULL
 * @refused: a group of page requests under @pasid was refused, or NULL
 *
 * @refused is called once for each group that is refused, before the device gets the
 * answer, so that what the device will do with it may be marked; until the bond has
 * ended; but of at most 256 groups a second (@untold then tells of how many it was not).
 * @refusal is valid during the call.
 *
 * Context of @refused: Process context, where page requests of all devices of the IOMMU
 * are served. It may sleep for memory and for short locks. It must wait neither for the
 * device nor for a page, call no function of this header, and take no lock under
 * which the driver does either.
 */
struct sva_bond_ops {
	sva_exit_t exit;
	void (*refused)(struct device *dev, u32 pasid, void *drvdata,
			const struct sva_refusal *refusal);
};

/**
 * struct sva_range - memory that a bond's device reaches
 * @addr: the address of the first byte for the device
 *
 * The rest is for sva_range_end().
 */
struct sva_range {
	u64 addr;
	/* private: what is kept for it */
	struct sva_bond *bond;
	unsigned long first, len;
	u64 number;
};

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
 * If the driver manages DMA itself, the device's group is claimed for the kernel
 * until the shutdown: user space cannot have it meanwhile, and accesses without
 * PASID are blocked unless they are bound. For other drivers the driver core does
 * that, and their accesses without PASID are those of the DMA API.
 *
 * A device that can send more than 8 bits gets PASIDs that others cannot send, while
 * there are any.
 *
 * Context: Process context, may sleep.
 * Return:
 * * 0		- the device can be bound
 * * -EINVAL	- @dev is NULL, or a bit of @features means nothing
 * * -ENODEV	- the device has no IOMMU
 * * -EOPNOTSUPP - the device or its IOMMU driver has no PASIDs or no SVA
 * * -EBUSY	- the device is initialized already; or its driver manages DMA
 *		  itself (driver_managed_dma), and the IOMMU group belongs to user
 *		  space, by VFIO or iommufd, or to a driver that uses the DMA API
 * * -ENOMEM
 */
int sva_device_init(struct device *dev, unsigned long features, unsigned int max_pasid);

/**
 * sva_device_init_within() - The same, for a device that cannot send small PASIDs
 * @dev: as for sva_device_init()
 * @features: as for sva_device_init()
 * @min_pasid: the smallest PASID that a bond may get
 * @max_pasid: as for sva_device_init()
 *
 * Context: Process context, may sleep.
 * Return: As sva_device_init(); -EINVAL also if there are no such PASIDs, or not in the
 * device's IOMMU.
 */
int sva_device_init_within(struct device *dev, unsigned long features, unsigned int min_pasid,
			   unsigned int max_pasid);

/**
 * sva_device_shutdown() - End Shared Virtual Addressing for a device
 * @dev: the device
 *
 * Ends all bonds of the device. The device must be quiet.
 *
 * Context: Process context, may sleep. Waits for a running exit callback,
 * unless called from it.
 * Return: 0, or -EINVAL if the device is not initialized.
 */
int sva_device_shutdown(struct device *dev);

/**
 * sva_bind() - Bind a process address space to a device
 * @dev: the device
 * @mm: the mm to bind; the caller holds a reference to it
 * @flags: IOMMU_SVA_FEAT_*, a subset of what the device was initialized with,
 *	   or that and IOMMU_SVA_FEAT_NO_READ_AHEAD
 * @exit: called when the process exits, or NULL
 * @drvdata: passed to @exit
 *
 * A second bind of the same mm to the same device with the same @flags, @exit and
 * @drvdata gives the same bond once more; the address space stays bound until both
 * have been given back.
 *
 * Without @exit the driver does not hear of the end of the process: the device's
 * accesses are refused from then on, and the PASID stays reserved.
 *
 * Without IOMMU_SVA_FEAT_PASID the process gets what the device accesses without a
 * PASID, until the unbind. Until then the device must do no other DMA without
 * PASID: addresses of the DMA API mean nothing there, and interrupts that the device
 * sends as messages do not arrive unless its IOMMU lets them pass. Bonds with
 * PASIDs, of the same mm or of others, may live beside it.
 *
 * Each reason of a refusal is logged once, and shown in debugfs, sva/refused.
 *
 * Context: Process context, may sleep. Takes mmap_lock and the mutex of the
 * device's IOMMU group.
 * Return: the bond, to be given back by sva_unbind(), or an error pointer:
 * * -EINVAL	- a NULL argument, the device is not initialized, or @flags
 *		  has a bit that the device was not initialized with
 * * -EOPNOTSUPP - the IOMMU cannot share this address space, or not without
 *		  PASID; or the CPUs have shadow stacks (GCS), which the device
 *		  could write to
 * * -ESRCH	- the process has exited
 * * -EEXIST	- the mm is bound with other @flags, another @exit or @drvdata, or
 *		  with another IOMMU_SVA_FEAT_IOPF to another device of the group
 * * -EBUSY	- the device's IOMMU group has other devices; without
 *		  IOMMU_SVA_FEAT_PASID also if another mm or another domain has
 *		  the place, or if the device's firmware needs memory mapped one
 *		  to one (IOMMU_RESV_DIRECT)
 * * -EADDRINUSE - the process uses addresses that the IOMMU cannot translate
 * * -ENODEV	- the device is being shut down
 * * -ENOSPC	- no PASID is left that the device can send
 * * -ENOMEM
 */
struct sva_bond *sva_bind(struct device *dev, struct mm_struct *mm, unsigned long flags,
			  sva_exit_t exit, void *drvdata);

/**
 * sva_bind_members() - Bind a process address space to the devices of a group
 * @group: the IOMMU group; its members keep their drivers during the call
 * @mm: the mm to bind; the caller holds a reference to it
 * @flags: as for sva_bind()
 * @exit: called for each member when the process exits, or NULL
 * @drvdata: passed to @exit
 *
 * Binds all members that are initialized for SVA, under one PASID, or none. A device
 * that comes into the group later gets the bond when it is initialized.
 * Without IOMMU_SVA_FEAT_PASID the group must have one member only.
 * The devices of a group can reach each other without the IOMMU's knowledge, so
 * whoever calls this accepts that they are not isolated from one another.
 *
 * Context: As sva_bind().
 * Return: the bond, also if members were left out since they are not initialized for
 * SVA: how many is logged. Or an error pointer: -ENODEV if no member is; -EPERM if
 * the group has several devices, and a driver of theirs lets the driver core own its
 * DMA (no driver_managed_dma), which then lets no member come back that has left;
 * else as sva_bind().
 */
struct sva_bond *sva_bind_members(struct iommu_group *group, struct mm_struct *mm,
				  unsigned long flags, sva_exit_t exit, void *drvdata);

/**
 * sva_bind_ops() - Bind a process address space to a device, and hear more of it
 * @dev: as for sva_bind()
 * @mm: as for sva_bind()
 * @flags: as for sva_bind()
 * @ops: what the driver hears, or NULL; it stays as it is until the bond has ended
 * @drvdata: passed to the functions of @ops
 *
 * A second bind must have the same @ops and @drvdata to be one of the same bond.
 *
 * Context: As sva_bind().
 * Return: As sva_bind().
 */
struct sva_bond *sva_bind_ops(struct device *dev, struct mm_struct *mm, unsigned long flags,
			      const struct sva_bond_ops *ops, void *drvdata);

/**
 * sva_bind_members_ops() - Bind to the devices of a group, and hear more of it
 * @group: as for sva_bind_members()
 * @mm: as for sva_bind_members()
 * @flags: as for sva_bind_members()
 * @ops: as for sva_bind_ops(), of each member
 * @drvdata: as for sva_bind_ops()
 *
 * Context: As sva_bind().
 * Return: As sva_bind_members().
 */
struct sva_bond *sva_bind_members_ops(struct iommu_group *group, struct mm_struct *mm,
				      unsigned long flags, const struct sva_bond_ops *ops,
				      void *drvdata);

/**
 * sva_unbind() - Give back what sva_bind() or sva_bind_members() gave
 * @bond: the bond; NULL does nothing
 *
 * The last of the address space ends the bond: the device must be quiet for its PASID
 * then, and its page requests must have reached the IOMMU. On return none of them is
 * in flight.
 *
 * A bond ends before that when its process exits, if the driver hears of that, and
 * when the device is shut down. This then touches nothing but the handle.
 *
 * Context: Process context, may sleep. Takes the mutex of the device's IOMMU
 * group. Waits for a running exit callback of the bond, unless called from it.
 */
void sva_unbind(struct sva_bond *bond);

/**
 * sva_bond_pasid() - The PASID with which devices reach the address space
 * @bond: the bond
 *
 * Context: Any.
 * Return: the PASID; IOMMU_NO_PASID (0) for a bond without. Once the bond has ended
 * it may be another process's.
 */
u32 sva_bond_pasid(const struct sva_bond *bond);

/**
 * sva_bond_pin() - Keep memory present for a device that cannot wait for it
 * @bond: the bond; that of a group pins for each member
 * @addr: first address, at the start of a page and without a tag (untagged_addr())
 * @len: number of bytes, of whole pages
 * @write: whether the device is to write too
 *
 * The device then reaches the range without page requests. Pages
 * are faulted in, copied now if a write would copy them, and neither swapped out
 * nor moved. The process goes on using them. If it forks, it keeps them, and the
 * child gets copies of those that are private.
 *
 * The pages are released by sva_bond_unpin(), at the end of the bond, and when
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
 * * -EINVAL	- the range is empty, wraps, or is not of whole pages
 * * -ESRCH	- the bond has ended, or its process has exited
 * * -EFAULT	- part of the range is not mapped, is not memory, is not to be
 *		  accessed so by the process, or (with @write) is shared with a
 *		  file on a disk
 * * -EOPNOTSUPP - a file that lies in memory itself (DAX); or the device has addresses
 *		  of its own (SVA_MODE_MAPPED), and needs sva_bond_range()
 * * -ENOMEM	- more than RLIMIT_MEMLOCK, or no memory
 * * -EINTR	- the caller is being killed
 * After an error nothing more is pinned than before.
 */
int sva_bond_pin(struct sva_bond *bond, unsigned long addr, size_t len, bool write);

/**
 * sva_bond_unpin() - Undo one sva_bond_pin()
 * @bond: the bond
 * @addr: as it was pinned
 * @len: as it was pinned
 *
 * If the same range is pinned several times, the oldest pin is undone. Pages that
 * the device may have written are marked dirty.
 *
 * Context: Process context, may sleep.
 * Return: 0; -EINVAL as sva_bond_pin(), -ESRCH if the bond has ended, -ENOENT if there
 * is no pin of exactly this range, or the process has exited.
 */
int sva_bond_unpin(struct sva_bond *bond, unsigned long addr, size_t len);

/**
 * sva_bond_mode() - How the device of a bond reaches the process's memory
 * @bond: the bond
 *
 * It does not change. Of a group's bond the mode of each member may differ; this is the
 * one that takes most.
 *
 * Context: Process context; for the bond of a group it may sleep.
 * Return: how.
 */
enum sva_mode sva_bond_mode(const struct sva_bond *bond);

/**
 * sva_bond_range() - Have the device reach memory, whatever it can
 * @bond: the bond
 * @addr: first address; its top byte is ignored
 * @len: number of bytes
 * @write: whether the device is to write too
 * @range: where what the device needs is put
 *
 * What it takes depends on sva_bond_mode(). SVA_MODE_SHARED: nothing, and nothing is
 * looked at: that the process has no memory there, the device finds out. Else the pages
 * that the bytes touch are pinned, as by sva_bond_pin(). SVA_MODE_MAPPED: and mapped, at
 * the process's own address if nothing has that in the device's space of addresses, else
 * at another.
 *
 * If the process unmaps the memory, a device in SVA_MODE_PINNED loses it; in
 * SVA_MODE_MAPPED it goes on with the pages that were there. Ranges may overlap: each
 * is one of its own, and counted. The end of the bond, and before the driver hears of it
 * the exit of the process, take all from the device; sva_range_end() does nothing
 * then. In a kernel thread the limit of memory is that of who bound the process.
 *
 * Context: Process context, may sleep for pages that are not there, as sva_copy_to()
 * does. Takes mmap_lock.
 * Return:
 * * 0		- the device can use @range->addr until sva_range_end()
 * * -EINVAL	- the range is empty or wraps
 * * -ENOSPC	- the device has no addresses left
 * * -ETIMEDOUT, -EBUSY - as sva_copy_to()
 * * else as sva_bond_pin(); sva_bond_why_not() tells more of -EFAULT
 */
int sva_bond_range(struct sva_bond *bond, unsigned long addr, size_t len, bool write,
		   struct sva_range *range);

/**
 * sva_range_end() - Take what sva_bond_range() gave from the device
 * @range: the range, whose bond has not been given back by sva_unbind()
 *
 * The device must not use it any more. Does nothing if the bond has ended.
 *
 * Context: Process context, may sleep.
 */
void sva_range_end(struct sva_range *range);

/**
 * sva_bond_why_not() - Why a process may not do something, or cannot have a page
 * @bond: the bond
 * @addr: where; its top byte is ignored
 * @write: whether it is to write
 *
 * For a driver that was refused a range, which no page request has been for.
 *
 * Context: As sva_copy_to().
 * Return: an enum sva_reason, 0 if it may and can; -ESRCH if the bond has ended or its
 * process has exited, -EINTR if the caller is being killed.
 */
int sva_bond_why_not(struct sva_bond *bond, unsigned long addr, bool write);

/**
 * sva_start() - Have the device work in the address space, unless the bond has ended
 * @bond: the bond
 * @start: starts the device, or has it do something and waits for that
 * @arg: passed to @start
 *
 * The bond does not end before @start has returned: neither is the exit callback called
 * before, nor does an unbind or a shutdown return. So what it starts is found by
 * whoever ends the bond, and it uses the PASID of no other process.
 *
 * Page requests of the device that wait for a page are refused when the end is due. @start
 * must not wait for the end: not unbind, nor shut down the device, nor bind the process.
 *
 * Context: Process context, may sleep. @start is called without locks, and may sleep.
 * Return: what @start returned; -ESRCH if the bond has ended, or is about to.
 */
int sva_start(struct sva_bond *bond, int (*start)(u32 pasid, void *arg), void *arg);

/**
 * sva_bond_is_callers() - Whether the caller's memory is what the bond is with
 * @bond: the bond
 *
 * Only then do pointers of the calling task mean the same to the device.
 *
 * Context: Process context; for the bond of a group it may sleep.
 * Return: whether it is; of a group's bond that has ended it is not.
 */
bool sva_bond_is_callers(const struct sva_bond *bond);

/**
 * sva_copy_to() - Write to the memory of a bond's process
 * @bond: the bond
 * @addr: where to, in the process; its top byte is ignored, as the device does
 * @from: what
 * @len: number of bytes
 *
 * Such as a completion record that the device could not write. It never hits another
 * process, whatever has become of this one and of its PASID. An aligned word is written
 * at once.
 *
 * Context: Process context, may sleep, for pages that are not there: not longer than a
 * device may wait for them, and not beyond the end of the bond or of the process. Takes
 * mmap_lock. Not to be called in sva_bond_ops.refused.
 * Return: 0, or an error, after which bytes of earlier pages have been written:
 * * -ESRCH	- the bond has ended, or its process has exited
 * * -EFAULT	- the process may not write there, or the page cannot be had
 * * -ETIMEDOUT	- the page did not come
 * * -EBUSY	- too much of the process, or of the device, waits already
 * * -EINTR	- the caller is being killed
 * * -ENOMEM
 */
int sva_copy_to(struct sva_bond *bond, unsigned long addr, const void *from, size_t len);

/**
 * sva_copy_from() - Read the memory of a bond's process
 * @bond: the bond
 * @to: where to; it is initialized memory
 * @addr: where from, in the process; its top byte is ignored
 * @len: number of bytes
 *
 * Context: As sva_copy_to().
 * Return: As sva_copy_to().
 */
int sva_copy_from(struct sva_bond *bond, void *to, unsigned long addr, size_t len);

/**
 * sva_prefetch() - Have pages there before the device asks for them
 * @bond: the bond
 * @addr: first address; its top byte is ignored
 * @len: number of bytes
 * @write: whether the device will write to them
 *
 * As far as memory is plentiful, and nothing has to be waited for: pages of files, in
 * swap and behind a userfaultfd are left to the device's requests. Nothing is kept there.
 *
 * Context: Process context, may sleep for memory. Takes locks of the mappings. Not to be
 * called in sva_bond_ops.refused.
 * Return: how many of the pages are there; -EINVAL if the range wraps, -ESRCH if the bond
 * has ended or its process has exited, -EINTR if the caller is being killed.
 */
ssize_t sva_prefetch(struct sva_bond *bond, unsigned long addr, size_t len, bool write);

/**
 * sva_find() - Find the address space that devices reach with a PASID
 * @pasid: the PASID; 0 finds nothing
 *
 * A caller without a bond must expect that the PASID belongs to another process
 * by the time it uses the result.
 *
 * Context: Process context, may sleep.
 * Return: the mm with a user reference, to be put with mmput_async() or, where
 * the exit of the process may run, mmput(); ERR_PTR(-ESRCH) if no device has a
 * bond under @pasid, or if its process has exited.
 */
struct mm_struct *sva_find(u32 pasid);

#else /* no IOMMU, or no I/O page faults, or not wanted */

static inline int sva_device_init(struct device *dev, unsigned long features,
				  unsigned int max_pasid)
{
	return -ENODEV;
}

static inline int sva_device_init_within(struct device *dev, unsigned long features,
					 unsigned int min_pasid, unsigned int max_pasid)
{
	return -ENODEV;
}

static inline int sva_device_shutdown(struct device *dev)
{
	return -ENODEV;
}

static inline struct sva_bond *sva_bind(struct device *dev, struct mm_struct *mm,
					unsigned long flags, sva_exit_t exit, void *drvdata)
{
	return ERR_PTR(-ENODEV);
}

static inline struct sva_bond *sva_bind_members(struct iommu_group *group, struct mm_struct *mm,
						unsigned long flags, sva_exit_t exit,
						void *drvdata)
{
	return ERR_PTR(-ENODEV);
}

static inline struct sva_bond *sva_bind_ops(struct device *dev, struct mm_struct *mm,
					    unsigned long flags, const struct sva_bond_ops *ops,
					    void *drvdata)
{
	return ERR_PTR(-ENODEV);
}

static inline struct sva_bond *sva_bind_members_ops(struct iommu_group *group,
						    struct mm_struct *mm, unsigned long flags,
						    const struct sva_bond_ops *ops,
						    void *drvdata)
{
	return ERR_PTR(-ENODEV);
}

static inline void sva_unbind(struct sva_bond *bond)
{
}

static inline u32 sva_bond_pasid(const struct sva_bond *bond)
{
	return 0;
}

static inline int sva_bond_pin(struct sva_bond *bond, unsigned long addr, size_t len, bool write)
{
	return -ENODEV;
}

static inline int sva_bond_unpin(struct sva_bond *bond, unsigned long addr, size_t len)
{
	return -ENODEV;
}

static inline enum sva_mode sva_bond_mode(const struct sva_bond *bond)
{
	return SVA_MODE_SHARED;
}

static inline int sva_bond_range(struct sva_bond *bond, unsigned long addr, size_t len,
				 bool write, struct sva_range *range)
{
	return -ENODEV;
}

static inline void sva_range_end(struct sva_range *range)
{
}

static inline int sva_bond_why_not(struct sva_bond *bond, unsigned long addr, bool write)
{
	return -ENODEV;
}

static inline int sva_start(struct sva_bond *bond, int (*start)(u32 pasid, void *arg), void *arg)
{
	return -ENODEV;
}

static inline bool sva_bond_is_callers(const struct sva_bond *bond)
{
	return false;
}

static inline int sva_copy_to(struct sva_bond *bond, unsigned long addr, const void *from,
			      size_t len)
{
	return -ENODEV;
}

static inline int sva_copy_from(struct sva_bond *bond, void *to, unsigned long addr, size_t len)
{
	return -ENODEV;
}

static inline ssize_t sva_prefetch(struct sva_bond *bond, unsigned long addr, size_t len,
				   bool write)
{
	return -ENODEV;
}

static inline struct mm_struct *sva_find(u32 pasid)
{
	return ERR_PTR(-ENODEV);
}

#endif

#endif /* _LINUX_SVA_H */
