// SPDX-License-Identifier: GPL-2.0

//! IOMMU drivers written in Rust: an instance in the IOMMU core, and the devices behind it.
//!
//! The driver implements [`Driver`]; [`IommuDevice`] registers one instance of it. The table of C
//! callbacks between the two is in [`super::iommu_ops`].
//!
//! C header: `include/linux/iommu.h`

use crate::{
    bindings,
    fwspec::IommuNode,
    iommu_ops::Ops,
    platform_device::{
        IommuSpec,
        PlatformDevice,
        Property,
        Value, //
    }, //
};
use core::any::TypeId;
use kernel::{
    device::Device,
    error::to_result,
    module::ModuleMetadata,
    prelude::*,
    sync::{
        Arc,
        SetOnce, //
    },
    types::Opaque, //
};

mod client;
mod driver;

pub use client::{
    client_of,
    Client,
    ClientDevice, //
};
pub use driver::Driver;

/// An empty list of sysfs attributes, by whose address instances registered here are known.
struct Attributes([*const bindings::attribute_group; 1]);

// SAFETY: It is never written to.
unsafe impl Sync for Attributes {}

static ATTRIBUTES: Attributes = Attributes([core::ptr::null()]);

/// The part of an [`IommuDevice`] that does not depend on the driver's type.
///
/// # Invariants
///
/// `driver` is the `TypeId` of the `T` whose [`IommuDevice`] begins with this header.
#[repr(C)]
pub(crate) struct Header {
    pub(crate) iommu: Opaque<bindings::iommu_device>,
    driver: TypeId,
}

/// A registered IOMMU instance.
///
/// Devices are put behind it with [`IommuDevice::add_device`]; they keep it registered. Dropping
/// the last reference unregisters it, and sleeps.
///
/// # Invariants
///
/// The `iommu_device` in the header is registered with `ops` and has its sysfs entry, except in
/// `new()` before success. `ops`, `identity` and `blocked` are not changed any more, and point only
/// into this object, which is pinned, and to statics.
#[repr(C)]
#[pin_data(PinnedDrop)]
pub struct IommuDevice<T: Driver> {
    header: Header,
    ops: Opaque<bindings::iommu_ops>,
    identity: Opaque<bindings::iommu_domain>,
    blocked: Opaque<bindings::iommu_domain>,
    registered: SetOnce<()>,
    hardware: PlatformDevice,
    driver: Arc<T>,
}

// SAFETY: The IOMMU core locks what it changes in the C structures; the rest is `Send`.
unsafe impl<T: Driver> Send for IommuDevice<T> {}

// SAFETY: As above, and the rest is `Sync`.
unsafe impl<T: Driver> Sync for IommuDevice<T> {}

impl<T: Driver> IommuDevice<T> {
    /// Registers an instance.
    ///
    /// `name` is what sysfs calls it; a platform device of that name represents it.
    /// Devices behind it can have PASIDs below `max_pasids`. May sleep.
    ///
    /// # Errors
    ///
    /// `EEXIST` when the name is taken; `ENOMEM`.
    pub fn new(name: &CStr, max_pasids: u32, driver: Arc<T>) -> Result<Arc<Self>> {
        let hardware = PlatformDevice::new(
            name,
            bindings::PLATFORM_DEVID_NONE,
            // A property gives it a software node, by which devices find it.
            &[Property {
                name: c"#iommu-cells",
                value: Value::U32(1),
            }],
            None,
        )?;
        let mut iommu: bindings::iommu_device = pin_init::zeroed();
        iommu.max_pasids = max_pasids;

        let this = Arc::new(
            Self {
                header: Header {
                    iommu: Opaque::new(iommu),
                    driver: TypeId::of::<T>(),
                },
                ops: Opaque::new(Ops::<T>::build(T::OwnerModule::THIS_MODULE.as_ptr())),
                identity: Opaque::new(Ops::<T>::identity_domain()),
                blocked: Opaque::new(Ops::<T>::blocked_domain()),
                registered: SetOnce::new(),
                hardware,
                driver,
            },
            GFP_KERNEL,
        )?;

        let (iommu, ops, hwdev) = (
            this.header.iommu.get(),
            this.ops.get(),
            this.hardware.as_raw(),
        );
        // SAFETY: Nobody else has seen the object yet, so writing to its parts does not race. What
        // is stored points into the object's heap memory, which does not move.
        unsafe {
            (*ops).identity_domain = this.identity.get();
            (*ops).blocked_domain = this.blocked.get();
            // `probe_device` finds the instance here.
            bindings::dev_set_drvdata(hwdev, Arc::as_ptr(&this).cast_mut().cast());
        }
        // SAFETY: `iommu` is zeroed but for its limit, `hwdev` is live, the format takes one string.
        to_result(unsafe {
            bindings::iommu_device_sysfs_add(
                iommu,
                hwdev,
                ATTRIBUTES.0.as_ptr().cast_mut().cast(),
                c"%s".as_char_ptr(),
                name.as_char_ptr(),
            )
        })?;
        // SAFETY: The ops are complete, and they and `iommu` stay until `drop()` unregisters them.
        let ret = to_result(unsafe { bindings::sva_iommu_device_register(iommu, ops, hwdev) });
        if let Err(error) = ret {
            // SAFETY: The entry was added above.
            unsafe { bindings::iommu_device_sysfs_remove(iommu) };
            return Err(error);
        }
        // INVARIANT: Registered, with a sysfs entry.
        this.registered.populate(());
        Ok(this)
    }

    /// The driver's instance.
    pub fn driver(&self) -> &Arc<T> {
        &self.driver
    }

    /// The platform device that represents the instance.
    pub fn device(&self) -> &Device {
        self.hardware.device()
    }

    /// Makes a platform device behind this IOMMU. May sleep.
    ///
    /// # Errors
    ///
    /// Those of [`PlatformDevice::new`].
    pub fn add_device(
        self: &Arc<Self>,
        name: &CStr,
        id: i32,
        properties: &[Property<'_>],
        ids: &[u32],
    ) -> Result<ClientDevice<T>> {
        let node = IommuNode::of(self.device()).ok_or(ENODEV)?;
        let spec = IommuSpec { iommu: &node, ids };
        let pdev = PlatformDevice::new(name, id, properties, Some(spec))?;

        Ok(ClientDevice::new(pdev, self.clone()))
    }

    /// Finds the instance that a registered instance's hardware device stands for.
    ///
    /// # Safety
    ///
    /// `hwdev` must be the hardware device of an `IommuDevice<T>` that lives while `'a` does.
    pub(crate) unsafe fn from_hardware<'a>(hwdev: *mut bindings::device) -> &'a Self {
        // SAFETY: By the function's requirement; `new()` stored a pointer to the object there.
        unsafe { &*bindings::dev_get_drvdata(hwdev).cast::<Self>() }
    }

    pub(crate) fn as_raw(&self) -> *mut bindings::iommu_device {
        self.header.iommu.get()
    }
}

#[pinned_drop]
impl<T: Driver> PinnedDrop for IommuDevice<T> {
    fn drop(self: Pin<&mut Self>) {
        if self.registered.as_ref().is_some() {
            // SAFETY: By the type invariant it is registered. No device is behind it any more,
            // since each `ClientDevice` holds a reference on `self`.
            unsafe {
                bindings::iommu_device_unregister(self.header.iommu.get());
                bindings::iommu_device_sysfs_remove(self.header.iommu.get());
            }
        }
    }
}
