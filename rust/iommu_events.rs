// SPDX-License-Identifier: GPL-2.0

//! The interrupts by which an IOMMU tells its driver of faults.
//!
//! A driver may leave it to whoever detaches a domain that nobody is just reporting a fault to it, or
//! is about to: arm-smmu-v3 does, and its thread takes neither a reference nor a lock that others can
//! see. It runs for an interrupt, so that it is not running while that is off.
//!
//! C header: `include/linux/interrupt.h`

use crate::{bindings, device_raw};
use kernel::{
    device::{Bound, Device},
    prelude::*,
};

/// The interrupts of an IOMMU that a device is behind.
pub(crate) struct IommuEvents(KVec<u32>);

impl IommuEvents {
    /// Those of the IOMMU of `dev`. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    ///
    /// # Safety
    ///
    /// The device must be behind an IOMMU, and stay so during the call.
    pub(crate) unsafe fn of(dev: &Device<Bound>) -> Result<Self> {
        let mut irqs = KVec::new();

        for nth in 0.. {
            // SAFETY: By this function's contract.
            match unsafe { bindings::sva_iommu_irq(device_raw(dev), nth) } {
                0 => break,
                irq => irqs.push(irq, GFP_KERNEL)?,
            }
        }
        Ok(Self(irqs))
    }

    /// Waits until nobody handles them, and has nobody do so until the result is dropped. What comes
    /// meanwhile is handled then. May sleep.
    ///
    /// # Safety
    ///
    /// The IOMMU must stay as long as the result.
    pub(crate) unsafe fn hold(&self) -> HeldEvents<'_> {
        for &irq in &self.0 {
            // SAFETY: It is an interrupt of an IOMMU that is there.
            unsafe { bindings::disable_irq(irq) };
        }
        HeldEvents(self)
    }
}

/// Interrupts that nobody handles.
///
/// # Invariants
///
/// Each was disabled once for this.
pub(crate) struct HeldEvents<'a>(&'a IommuEvents);

impl Drop for HeldEvents<'_> {
    fn drop(&mut self) {
        for &irq in &self.0 .0 {
            // SAFETY: By the type invariant.
            unsafe { bindings::enable_irq(irq) };
        }
    }
}
