// SPDX-License-Identifier: GPL-2.0

//! Members that leave their group for good, while something is attached to it.

use super::{AtWork, Attachment, FaultHandler, Stage};
use crate::{bindings, device_raw, group::IommuGroup, pasid::Pasid};
use kernel::{
    device::Device,
    prelude::*,
    sync::lock::{mutex::MutexBackend, Guard},
    time::{delay::fsleep, Delta},
};

impl<T: FaultHandler> Attachment<T> {
    /// Takes back from `leaves` what is attached to its PASID. The device has no driver any more, and
    /// is about to leave the group for good: the core detaches nothing from a member that goes, so
    /// that its IOMMU's driver may free what the IOMMU still uses (arm-smmu-v3 does). Nothing happens
    /// if it has not been reached. May sleep; takes the group's mutex.
    pub fn withdraw(&self, leaves: &Device) {
        let mut state = self.state.lock();
        let Stage::AtWork(work) = &mut *state else {
            return;
        };
        let (domain, pasid) = (work.translation.domain(), work.translation.pasid());
        let Some(reached) = &mut work.reached else {
            return;
        };
        let Some(at) = reached
            .iter()
            .position(|there| core::ptr::eq(&**there, leaves))
        else {
            return;
        };

        if pasid == Pasid::NONE || work.gone.reserve(1, GFP_KERNEL).is_err() {
            return;
        }
        // The closure never fails.
        let _ = self.group.for_each(|dev| {
            if core::ptr::eq(dev, leaves) {
                // SAFETY: The core calls this with the group's mutex held, as it holds it itself when
                // it blocks a PASID. The device is a member, behind its IOMMU; `domain` is attached to
                // this PASID of it, and stays so while `state` is locked.
                unsafe { block(dev, domain.as_raw(), pasid) };
            }
            Ok(())
        });
        if let Ok(gone) = reached.remove(at) {
            // There is room.
            let _ = work.gone.push(gone, GFP_KERNEL);
        }
    }

    /// Locks, once all who were withdrawn have left the group: the core would detach from them again.
    /// Each is just being removed, which may take the lock, but nothing else of the caller's.
    pub(super) fn lock_to_detach(&self) -> Guard<'_, Stage<T>, MutexBackend> {
        loop {
            let state = self.state.lock();

            if !matches!(&*state, Stage::AtWork(work) if work.is_one_leaving(&self.group)) {
                return state;
            }
            drop(state);
            fsleep(Delta::from_micros(100));
        }
    }
}

impl<T: FaultHandler> AtWork<T> {
    /// Whether one that was withdrawn is still in the group.
    fn is_one_leaving(&self, group: &IommuGroup) -> bool {
        self.gone.iter().any(|gone| {
            let absent = group.for_each(|dev| match core::ptr::eq(dev, &**gone) {
                true => Err(EEXIST),
                false => Ok(()),
            });

            absent.is_err()
        })
    }
}

/// Blocks `pasid` of `dev`, as the core does at a detach.
///
/// # Safety
///
/// `dev` must be behind an IOMMU, `domain` attached to `pasid` of it, and the mutex of its group held.
unsafe fn block(dev: &Device, domain: *mut bindings::iommu_domain, pasid: u32) {
    let raw = device_raw(dev);

    // SAFETY: By this function's contract the device has an IOMMU, whose operations outlive that.
    unsafe {
        let param = (*raw).iommu;
        let blocked = (*(*(*param).iommu_dev).ops).blocked_domain;

        // The core has not attached it to who has no PASIDs.
        if (*param).max_pasids == 0 || blocked.is_null() {
            return;
        }
        if let Some(set) = (*(*blocked).ops).set_dev_pasid {
            // It cannot fail, as at a detach.
            set(blocked, raw, pasid, domain);
        }
    }
}
