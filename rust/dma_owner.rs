// SPDX-License-Identifier: GPL-2.0

//! Whose an IOMMU group's DMA is: the kernel's drivers' or user space's, never both's.
//!
//! The driver core counts the drivers that use the DMA API. A driver that manages its DMA itself is
//! counted by nobody, so it claims the group here. All who do so here are one owner, and each member
//! of a group claims for itself.

use crate::{bindings, endpoint::Held};
use kernel::{error::to_result, prelude::*};

/// Tells our claims from those of others; only its address counts.
static OWNER: u8 = 0;

/// A claim to the DMA of a device's group; dropping it gives that up. The drop may sleep.
///
/// While it is claimed, accesses of the group's members without PASID are blocked, unless something
/// else is attached there.
///
/// # Invariants
///
/// The group of the device is claimed for [`OWNER`], and this is counted.
pub struct DmaOwner(Held);

impl DmaOwner {
    /// Claims the group of `held`, if its driver manages DMA itself. May sleep.
    ///
    /// `None` if there is nothing to claim: the driver core has counted the driver, or firmware uses
    /// memory through the group, which then nobody can claim.
    ///
    /// # Errors
    ///
    /// `EBUSY`: the group is somebody else's: user space's, by VFIO or iommufd, or that of a driver
    /// which uses the DMA API. `ENOMEM`, and what the IOMMU driver says.
    pub fn claim(held: &Held) -> Result<Option<Self>> {
        // SAFETY: The device is held, so it keeps the driver that it has.
        let manages = unsafe { bindings::sva_driver_manages_dma(held.as_raw()) };

        if !manages || held.needs_direct() {
            return Ok(None);
        }
        // SAFETY: As above, and it stays in its group.
        let claimed = to_result(unsafe {
            bindings::iommu_device_claim_dma_owner(
                held.as_raw(),
                (&raw const OWNER).cast_mut().cast(),
            )
        });

        match claimed {
            // INVARIANT: Just claimed.
            Ok(()) => Ok(Some(Self(held.clone()))),
            // Another member's firmware uses memory through the group.
            Err(e) if e == EINVAL => Ok(None),
            Err(e) if e == EPERM => Err(EBUSY),
            Err(e) => Err(e),
        }
    }
}

impl Drop for DmaOwner {
    fn drop(&mut self) {
        // SAFETY: By the type invariants this is claimed, and the device is in its group still.
        unsafe { bindings::iommu_device_release_dma_owner(self.0.as_raw()) };
    }
}

/// Whether members of the group of `held` may come back after they have left it, while it is
/// attached: the driver core refuses that to drivers that it counts.
pub fn may_come_back(held: &Held) -> bool {
    // SAFETY: The device is held, so it has a driver.
    unsafe { bindings::sva_driver_manages_dma(held.as_raw()) }
}
