// SPDX-License-Identifier: GPL-2.0

//! IOMMU groups.
//!
//! C header: [`include/linux/iommu.h`](srctree/include/linux/iommu.h)

use crate::{
    bindings,
    pci_function::pasid_is_off, //
};
use core::ptr::NonNull;
use kernel::{
    device::Device,
    error::to_result,
    prelude::*,
    sync::aref::{ARef, AlwaysRefCounted},
    types::Opaque,
};

/// The kernel's `struct iommu_group`: devices that the IOMMU cannot tell apart.
///
/// # Invariants
///
/// Instances are created by the IOMMU core and counted with `iommu_group_ref_get`.
#[repr(transparent)]
pub struct IommuGroup(Opaque<bindings::iommu_group>);

// SAFETY: A group may be used and released on any thread; the core locks what it holds.
unsafe impl Send for IommuGroup {}
// SAFETY: As above: all methods go through functions of the core that lock.
unsafe impl Sync for IommuGroup {}

// SAFETY: `iommu_group_ref_get` and `iommu_group_put` count references to the group.
unsafe impl AlwaysRefCounted for IommuGroup {
    fn inc_ref(&self) {
        // SAFETY: `self` is a valid group since it is a reference.
        unsafe { bindings::iommu_group_ref_get(self.as_raw()) };
    }

    unsafe fn dec_ref(obj: NonNull<Self>) {
        // SAFETY: The caller gives up a reference that it owns.
        unsafe { bindings::iommu_group_put(obj.as_ptr().cast()) };
    }
}

impl IommuGroup {
    /// The group of `dev`, or `None` if no IOMMU serves the device.
    pub fn of(dev: &Device) -> Option<ARef<Self>> {
        // SAFETY: `dev` is a valid device since it is a reference.
        let group = unsafe { bindings::iommu_group_get(crate::device_raw(dev)) };

        // SAFETY: A group that is not null comes with a reference, which is ours now.
        NonNull::new(group).map(|group| unsafe { ARef::from_raw(group.cast()) })
    }

    /// Borrows a group that C code passed in.
    ///
    /// # Safety
    ///
    /// `group` must be a valid group for the whole of `'a`.
    pub unsafe fn from_raw<'a>(group: *mut bindings::iommu_group) -> &'a Self {
        // SAFETY: The caller promises a valid pointer, and the type is transparent.
        unsafe { &*group.cast() }
    }

    /// The raw pointer, for C functions.
    pub fn as_raw(&self) -> *mut bindings::iommu_group {
        self.0.get()
    }

    /// Tells the group from all others that there are.
    pub fn key(&self) -> usize {
        self.as_raw().addr()
    }

    /// The group's number, as in `/sys/kernel/iommu_groups`.
    pub fn id(&self) -> i32 {
        // SAFETY: `self` is a valid group.
        unsafe { bindings::iommu_group_id(self.as_raw()) }
    }

    /// Calls `visit` for each member, until it fails.
    ///
    /// Takes the group's mutex, so it may sleep, and `visit` must call nothing that takes it.
    ///
    /// # Errors
    ///
    /// What `visit` returned.
    pub fn for_each<F: FnMut(&Device) -> Result>(&self, mut visit: F) -> Result {
        // SAFETY: The callback only uses its arguments while this call runs: `visit` outlives it.
        to_result(unsafe {
            bindings::iommu_group_for_each_dev(
                self.as_raw(),
                core::ptr::from_mut(&mut visit).cast(),
                Some(visit_member::<F>),
            )
        })
    }

    /// How many devices the group has now. May sleep.
    pub fn len(&self) -> usize {
        let mut members = 0;

        // The closure never fails.
        let _ = self.for_each(|_| {
            members += 1;
            Ok(())
        });
        members
    }

    /// The largest PASID that all members which send PASIDs can send; 0 if none does. May sleep.
    ///
    /// Attaching a PASID reaches all of them, whoever asked for it; also one that was not let send
    /// any, if the IOMMU's driver has left it its count. Such a driver may have no room for the PASID
    /// of that one, and not look (arm-smmu-v3), so that it is 0 then.
    pub fn max_pasid(&self) -> u32 {
        let mut least = u32::MAX;

        // The closure never fails.
        let _ = self.for_each(|dev| {
            // SAFETY: The core holds the group's mutex around this call, so the member stays, and
            // with it `dev->iommu`.
            let max = unsafe { (*(*crate::device_raw(dev)).iommu).max_pasids };

            if max > 0 && pasid_is_off(dev) {
                least = 1;
            } else if max > 0 {
                least = least.min(max);
            }
            Ok(())
        });
        match least {
            u32::MAX => 0,
            max => max - 1,
        }
    }

    /// The members at this moment. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn members(&self) -> Result<KVec<ARef<Device>>> {
        let mut members = KVec::new();

        self.for_each(|dev| Ok(members.push(ARef::from(dev), GFP_KERNEL)?))?;
        Ok(members)
    }

    /// Whether the group has lost all its devices. May sleep.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Calls the closure behind `data` for one member of a group.
///
/// # Safety
///
/// `dev` must be a valid device and `data` a valid, unshared `F`, for the time of this call.
unsafe extern "C" fn visit_member<F: FnMut(&Device) -> Result>(
    dev: *mut bindings::device,
    data: *mut c_void,
) -> c_int {
    // SAFETY: By this function's contract.
    let visit = unsafe { &mut *data.cast::<F>() };
    // SAFETY: By this function's contract.
    let dev = unsafe { Device::from_raw(dev) };

    match visit(dev) {
        Ok(()) => 0,
        Err(e) => e.to_errno(),
    }
}
