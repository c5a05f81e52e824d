// SPDX-License-Identifier: GPL-2.0

//! PASIDs of the kernel's global allocator.

use crate::{bindings, endpoint::Held};
use kernel::prelude::*;

/// A PASID: the 20-bit number with which a device tags its accesses to one address space.
///
/// # Invariants
///
/// The number is allocated from the global allocator, and no other `Pasid` has it; or it is
/// [`Self::NONE`].
pub struct Pasid(u32);

impl Pasid {
    /// In place of a PASID: what the kernel calls accesses that carry none (`IOMMU_NO_PASID`).
    pub const NONE: u32 = bindings::IOMMU_NO_PASID;

    /// Stands for accesses without PASID.
    pub fn none() -> Self {
        // INVARIANT: As allowed.
        Self(Self::NONE)
    }

    /// Whether this is a PASID, not [`Self::NONE`].
    pub fn is_some(&self) -> bool {
        self.0 != Self::NONE
    }

    /// Allocates the lowest free PASID, up to `max` and to what the device can send. May sleep.
    ///
    /// # Errors
    ///
    /// - `EOPNOTSUPP`: the device or its IOMMU has no PASIDs.
    /// - `ENOSPC`: all that the device may use are taken (or memory is short: the allocator does
    ///   not tell these apart).
    pub fn alloc(held: &Held, max: u32) -> Result<Self> {
        if held.max_pasids() == 0 {
            return Err(EOPNOTSUPP);
        }
        // SAFETY: The device is held, so `dev->iommu` is valid, which is all the allocator reads.
        let id = unsafe { bindings::iommu_alloc_global_pasid(held.as_raw()) };

        if id == bindings::IOMMU_PASID_INVALID as u32 {
            return Err(ENOSPC);
        }
        // INVARIANT: `id` was just allocated.
        let pasid = Self(id);

        if pasid.get() > max {
            return Err(ENOSPC);
        }
        Ok(pasid)
    }

    /// The number.
    pub fn get(&self) -> u32 {
        self.0
    }
}

impl Drop for Pasid {
    fn drop(&mut self) {
        if self.is_some() {
            // SAFETY: By the type invariants the number is allocated, and ours.
            unsafe { bindings::iommu_free_global_pasid(self.0) };
        }
    }
}
