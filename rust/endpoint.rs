// SPDX-License-Identifier: GPL-2.0

//! Devices behind an IOMMU, and the proof that they still are.
//!
//! `dev->iommu` is valid while a device has a driver. What is done with it on behalf of others, from
//! any task and at any time, needs a [`Held`]; [`crate::devres`] waits for all of them before the
//! driver is gone.

use crate::{
    bindings,
    group::IommuGroup,
    iommu_events::{HeldEvents, IommuEvents},
};
use core::ops::{Deref, Range};
use kernel::{
    device::{Bound, Device},
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{Acquire, Atomic, Full, Relaxed},
        Arc, Completion,
    },
};

/// A device behind an IOMMU, with its group, and what does not change as long as it has a driver.
///
/// # Invariants
///
/// While `holds` is not [`Self::CLOSED`], the device has the driver that it had when this was made,
/// and so `dev->iommu` and `dev->iommu_group` are valid: only [`crate::devres`] opens an endpoint,
/// and it closes it before the driver is gone.
#[pin_data]
pub struct Endpoint {
    dev: ARef<Device>,
    group: ARef<IommuGroup>,
    /// Of the IOMMU's driver. Only compared, unless the endpoint is held.
    ops: *const bindings::iommu_ops,
    has_sva: bool,
    max_pasids: u32,
    pasid_is_off: bool,
    needs_direct: bool,
    untranslated: KVec<Range<u64>>,
    events: IommuEvents,
    /// How many hold it, one more for who opened it, and [`Self::CLOSED`] if nobody else may. Once
    /// there are [`Self::MANY`] nobody counts any more, and the endpoint is held for ever.
    holds: Atomic<u32>,
    /// Nobody holds it any more.
    #[pin]
    idle: Completion,
}

// SAFETY: The operations of an IOMMU's driver are read only, by any thread.
unsafe impl Send for Endpoint {}
// SAFETY: As above; the rest is `Sync`.
unsafe impl Sync for Endpoint {}

impl Endpoint {
    const CLOSED: u32 = 1 << 31;
    /// So many hold it only if some were forgotten.
    const MANY: u32 = 1 << 30;
    /// Nobody has opened it yet.
    const NEW: u32 = u32::MAX;

    /// Takes `dev` as a member of its IOMMU group; nobody can hold it yet. May sleep.
    ///
    /// # Errors
    ///
    /// `ENODEV` if no IOMMU serves the device; `ENOMEM`.
    pub fn new(dev: &Device<Bound>) -> Result<Arc<Self>> {
        let group = IommuGroup::of(dev).ok_or(ENODEV)?;
        let raw = crate::device_raw(dev);
        // SAFETY: The device has a driver and a group, so the IOMMU core has probed it and keeps
        // `dev->iommu`, whose IOMMU and its operations outlive that.
        let (ops, has_sva, max_pasids, needs_direct) = unsafe {
            // A group without IOMMU is one of VFIO's.
            let param = (*raw).iommu.as_ref().ok_or(ENODEV)?;
            let ops = (*param.iommu_dev).ops;

            (
                ops,
                (*ops).domain_alloc_sva.is_some(),
                param.max_pasids,
                param.require_direct() != 0,
            )
        };

        let untranslated = crate::resv_region::untranslated(dev)?;
        // SAFETY: The device is behind an IOMMU, as above.
        let events = unsafe { IommuEvents::of(dev) }?;
        // The core counts those that the device could send, were it let.
        let pasid_is_off = crate::pci_function::pasid_is_off(dev);

        Arc::pin_init(
            // INVARIANT: Nobody can hold it.
            pin_init!(Self {
                dev: ARef::from(&**dev),
                group,
                ops,
                has_sva,
                max_pasids: if pasid_is_off { 0 } else { max_pasids },
                pasid_is_off,
                needs_direct,
                untranslated,
                events,
                holds: Atomic::new(Self::NEW),
                idle <- Completion::new(),
            }),
            GFP_KERNEL,
        )
    }

    /// The device.
    pub fn dev(&self) -> &Device {
        &self.dev
    }

    /// The device's group.
    pub fn group(&self) -> &IommuGroup {
        &self.group
    }

    /// How many PASIDs the device and its IOMMU have: one more than the largest; 0 is none.
    pub fn max_pasids(&self) -> u32 {
        self.max_pasids
    }

    /// Whether the device is a PCI function that has PASIDs, and was not let send any: requests could
    /// go to another device, since a bridge above it, or the function itself, has no ACS.
    pub fn pasid_is_off(&self) -> bool {
        self.pasid_is_off
    }

    /// Whether the IOMMU's driver can share a process's address space at all.
    pub fn has_sva(&self) -> bool {
        self.has_sva
    }

    /// Whether firmware has the device use memory, which must then stay mapped one to one for its
    /// accesses without PASID.
    pub fn needs_direct(&self) -> bool {
        self.needs_direct
    }

    /// The ranges, in whole pages, that DMA of the device cannot translate: reserved ones, and those
    /// that must be mapped one to one.
    pub fn untranslated(&self) -> &[Range<u64>] {
        &self.untranslated
    }

    /// Keeps the device behind its IOMMU, and its driver from being gone; `None` if it is leaving,
    /// or has not been opened. Any context.
    #[inline]
    pub fn hold(self: &Arc<Self>) -> Option<Held> {
        let mut holds = self.holds.load(Relaxed);

        while holds < Self::MANY {
            match self.holds.cmpxchg(holds, holds + 1, Acquire) {
                // INVARIANT: Counted.
                Ok(_) => return Some(Held(self.clone())),
                Err(now) => holds = now,
            }
        }
        None
    }

    /// Whether this still says how `dev`, which has a driver, is behind its IOMMU.
    pub(crate) fn is_of(&self, dev: &Device<Bound>) -> bool {
        let raw = crate::device_raw(dev);
        // SAFETY: The device has a driver, so neither changes during the call.
        let (group, param) = unsafe { ((*raw).iommu_group, (*raw).iommu.as_ref()) };

        core::ptr::eq(self.dev(), &**dev)
            && core::ptr::eq(group, self.group.as_raw())
            // SAFETY: As above: the IOMMU is there as long as a driver has the device.
            && param.is_some_and(|param| unsafe {
                core::ptr::eq((*param.iommu_dev).ops, self.ops)
            })
    }

    /// Lets it be held, unless that was done before: whether it was not.
    ///
    /// # Safety
    ///
    /// The device must have the driver that it had when this was made. If the result is `true`, the
    /// caller sees to it that [`Self::close`] returns before that driver is gone.
    pub(crate) unsafe fn open(&self) -> bool {
        // INVARIANT: By this function's contract. The 1 is the caller's until `close`.
        self.holds.cmpxchg(Self::NEW, 1, Full).is_ok()
    }

    /// Lets nobody new hold it, since the device is about to leave. Any context.
    pub fn leave(&self) {
        let mut holds = self.holds.load(Relaxed);

        while holds & Self::CLOSED == 0 {
            match self.holds.cmpxchg(holds, holds | Self::CLOSED, Full) {
                Ok(_) => return,
                Err(now) => holds = now,
            }
        }
    }

    /// Whether the device is about to leave. Any context.
    pub fn leaves(&self) -> bool {
        self.holds.load(Acquire) & Self::CLOSED != 0
    }

    /// Lets nobody hold it any more, and waits for those who do. May sleep.
    ///
    /// Only once, by who opened it.
    pub(crate) fn close(&self) {
        self.leave();
        self.release();
        self.idle.wait_for_completion();
    }

    /// One more holds it, beside one that does.
    fn hold_again(&self) {
        let mut holds = self.holds.load(Relaxed);

        while holds & !Self::CLOSED < Self::MANY {
            match self.holds.cmpxchg(holds, holds + 1, Relaxed) {
                Ok(_) => return,
                Err(now) => holds = now,
            }
        }
    }

    /// One holds it less.
    fn release(&self) {
        let mut holds = self.holds.load(Relaxed);

        while holds & !Self::CLOSED < Self::MANY {
            match self.holds.cmpxchg(holds, holds - 1, Full) {
                Ok(_) if holds == Self::CLOSED + 1 => return self.idle.complete_all(),
                Ok(_) => return,
                Err(now) => holds = now,
            }
        }
    }

    /// The operations of the IOMMU's driver, to be compared.
    pub(crate) fn ops(&self) -> *const bindings::iommu_ops {
        self.ops
    }
}

/// A device that stays behind its IOMMU as long as this lives. Its driver cannot be gone meanwhile:
/// whoever holds it must let go in bounded time.
///
/// # Invariants
///
/// Counted in `holds` of the endpoint, as long as that counts.
pub struct Held(Arc<Endpoint>);

impl Held {
    /// The device, for C functions.
    pub(crate) fn as_raw(&self) -> *mut bindings::device {
        crate::device_raw(&self.0.dev)
    }

    /// Whether page requests of the device reach the kernel now: the IOMMU's driver says so when it
    /// attaches a domain that serves them, if both device and IOMMU have any. Any context.
    pub fn has_page_requests(&self) -> bool {
        // SAFETY: The device is held, so it keeps `dev->iommu`. The pointer is only looked at, and
        // may change at any time.
        unsafe {
            !(&raw const (*(*self.as_raw()).iommu).fault_param)
                .read_volatile()
                .is_null()
        }
    }

    /// Waits until its IOMMU's driver handles no interrupt of that, and keeps it from that until the
    /// result is dropped. May sleep.
    pub(crate) fn hold_events(&self) -> HeldEvents<'_> {
        // SAFETY: The device is behind its IOMMU as long as `self`.
        unsafe { self.0.events.hold() }
    }

    /// The endpoint, which may be left by its device once this is dropped.
    pub fn endpoint(&self) -> &Arc<Endpoint> {
        &self.0
    }
}

impl Deref for Held {
    type Target = Endpoint;

    fn deref(&self) -> &Endpoint {
        &self.0
    }
}

impl Clone for Held {
    fn clone(&self) -> Self {
        // Also while the device is leaving: that waits for us already.
        self.0.hold_again();
        // INVARIANT: Just counted.
        Self(self.0.clone())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.release();
    }
}
