// SPDX-License-Identifier: GPL-2.0

//! The kernel's own SVA (`iommu_sva_bind_device()`).

use crate::bindings;
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    error::from_err_ptr,
    mm::MmWithUser,
    prelude::*, //
};
use kernel_ext::{
    device_raw,
    iommu_device::{
        ClientDevice,
        Driver, //
    }, //
};

/// A bond made by the kernel's own `iommu_sva_bind_device()`; unbound when dropped, which sleeps.
///
/// # Invariants
///
/// `handle` is a live handle from `iommu_sva_bind_device()`, of which this object owns a count.
pub struct InTreeBond<'a> {
    handle: NonNull<bindings::iommu_sva>,
    pasid: u32,
    _device: PhantomData<&'a ()>,
}

impl<'a> InTreeBond<'a> {
    /// Binds `mm` to `device`, which must stay behind its IOMMU meanwhile. May sleep.
    ///
    /// # Errors
    ///
    /// `EOVERFLOW` if the address space's PASID is too large for the device; `ENOSPC` without a
    /// free one; what the IOMMU driver says.
    pub fn new<T: Driver>(device: &'a ClientDevice<T>, mm: &MmWithUser) -> Result<Self> {
        let dev = device_raw(device.device());
        // SAFETY: The device is behind an IOMMU as long as it is borrowed, and `mm` has users.
        let handle = from_err_ptr(unsafe { bindings::iommu_sva_bind_device(dev, mm.as_raw()) })?;
        Ok(Self {
            // SAFETY: The handle is live.
            pasid: unsafe { bindings::iommu_sva_get_pasid(handle) },
            // INVARIANT: Just bound.
            handle: NonNull::new(handle).ok_or(EINVAL)?,
            _device: PhantomData,
        })
    }

    /// The PASID.
    pub fn pasid(&self) -> u32 {
        self.pasid
    }
}

impl Drop for InTreeBond<'_> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::iommu_sva_unbind_device(self.handle.as_ptr()) };
    }
}
