// SPDX-License-Identifier: GPL-2.0

//! IOMMU drivers written in Rust: an instance in the IOMMU core, and the devices behind it.
//!
//! The driver implements [`Driver`]; [`IommuDevice`] registers one instance of it. The table of C
//! callbacks between the two is in [`super::iommu_ops`].
//!
//! C header: `include/linux/iommu.h`

use crate::{
    bindings,
    device_raw,
    group::IommuGroup,
    iommu_ops::Ops,
    iopf_queue::{
        FaultSource,
        IopfQueue,
        PageResponse, //
    },
    platform_device::{
        IommuSpec,
        PlatformDevice,
        Property,
        Value, //
    },
    resv_region::ResvList, //
};
use core::any::TypeId;
use kernel::{
    device::{
        Bound,
        Device, //
    },
    error::to_result,
    mm::MmWithUser,
    module::ModuleMetadata,
    prelude::*,
    sync::{
        aref::ARef,
        Arc,
        ArcBorrow,
        SetOnce, //
    },
    types::Opaque, //
};

/// An IOMMU driver: what the core asks of one instance.
///
/// Everything runs in process context and may sleep, unless said otherwise.
#[vtable]
pub trait Driver: Send + Sync + Sized + 'static {
    /// What the driver keeps for each device behind the IOMMU.
    type Client: Send + Sync + 'static;

    /// A domain that shares the address space of a process.
    type SvaDomain: Send + Sync + 'static;

    /// Takes a device that has stream IDs `ids` behind this IOMMU.
    ///
    /// # Errors
    ///
    /// Any: the device then has no IOMMU, and is not added.
    fn probe_device(&self, dev: &Device, ids: &[u32]) -> Result<Self::Client>;

    /// A device whose IOMMU group `client` must join, because the IOMMU or the bus cannot tell
    /// their accesses apart; `None` gives it a group of its own.
    fn shares_group_with(&self, client: &Client<Self>) -> Option<Arc<Client<Self>>>;

    /// The device is in its group and has its default domain: faults may be reported from now on.
    fn probe_finalize(&self, client: ArcBorrow<'_, Client<Self>>);

    /// The device goes away. Access from it must be blocked, and no fault of it may be in the
    /// making when this returns. Called under the group's mutex.
    fn release_device(&self, client: ArcBorrow<'_, Client<Self>>);

    /// Adds the addresses of a device that are not translated as others to `list`. May be called
    /// under the group's mutex.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, which is logged only: the core believes that `list` is complete.
    fn resv_regions(&self, client: &Client<Self>, list: &mut ResvList<'_>) -> Result;

    /// Where page requests of the instance's devices go; `None` if it has none.
    fn fault_queue(&self) -> Option<Arc<IopfQueue>>;

    /// Lets accesses without PASID through untranslated. Called under the group's mutex.
    ///
    /// # Errors
    ///
    /// None are expected: the core assumes that this works.
    fn attach_identity(&self, client: &Client<Self>) -> Result;

    /// Blocks accesses without PASID. Called under the group's mutex.
    ///
    /// # Errors
    ///
    /// As for `attach_identity`.
    fn attach_blocked(&self, client: &Client<Self>) -> Result;

    /// Blocks accesses with `pasid`. Returns when no request made before can surface any more: when
    /// all of them have been reported. Called under the group's mutex, also if nothing is attached.
    fn block_pasid(&self, client: &Client<Self>, pasid: u32);

    /// Makes a domain for the address space `mm`.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` if the IOMMU cannot walk this machine's page tables; `ENOSPC` when it has no
    /// room for another address space; `ENOMEM`.
    fn alloc_sva(&self, client: &Client<Self>, mm: &MmWithUser) -> Result<Self::SvaDomain>;

    /// Makes accesses of the device with `pasid` go to `domain`, instead of what was there. On
    /// failure what was there stays. Called under the group's mutex.
    ///
    /// # Errors
    ///
    /// `EINVAL` when the process is gone; `ENOMEM`.
    fn attach_sva(&self, domain: &Self::SvaDomain, client: &Client<Self>, pasid: u32) -> Result;

    /// Makes accesses of the device without PASID go to `domain`, instead of what was there, until
    /// `attach_identity` or `attach_blocked`; those then also wait for page requests, as
    /// `block_pasid` does. On failure what was there stays. Called under the group's mutex.
    ///
    /// # Errors
    ///
    /// As for `attach_sva`; `EOPNOTSUPP` if the IOMMU cannot do that.
    fn attach_sva_rid(&self, domain: &Self::SvaDomain, client: &Client<Self>) -> Result;

    /// Answers a page request group. May be called with locks held that `FaultSource::report`
    /// takes: it must not wait for a report to end.
    fn page_response(&self, client: &Client<Self>, response: PageResponse);
}

/// A device behind an IOMMU of driver `T`.
#[pin_data]
pub struct Client<T: Driver> {
    dev: ARef<Device>,
    driver: Arc<T>,
    pub(crate) group: SetOnce<ARef<IommuGroup>>,
    #[pin]
    faults: FaultSource,
    data: T::Client,
}

impl<T: Driver> Client<T> {
    pub(crate) fn new(dev: ARef<Device>, driver: Arc<T>, data: T::Client) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                faults <- FaultSource::new(dev.clone()),
                dev,
                driver,
                group: SetOnce::new(),
                data,
            }),
            GFP_KERNEL,
        )
    }

    /// The device itself.
    pub fn device(&self) -> &Device {
        &self.dev
    }

    /// The instance it is behind.
    pub fn driver(&self) -> &Arc<T> {
        &self.driver
    }

    /// Where its page requests are reported.
    pub fn faults(&self) -> &FaultSource {
        &self.faults
    }

    /// What the driver keeps for it.
    pub fn data(&self) -> &T::Client {
        &self.data
    }
}

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
        let ret = to_result(unsafe { bindings::iommu_device_register(iommu, ops, hwdev) });
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
        let spec = IommuSpec {
            iommu: &self.hardware,
            ids,
        };
        Ok(ClientDevice {
            pdev: PlatformDevice::new(name, id, properties, Some(spec))?,
            iommu: self.clone(),
        })
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

/// A platform device behind an IOMMU of driver `T`. Dropping it removes the device; sleeps.
///
/// It keeps the IOMMU registered. What is attached to the device's PASIDs must be detached before,
/// normally by the removal of the device's driver.
pub struct ClientDevice<T: Driver> {
    // Dropped first: the device goes before its IOMMU.
    pdev: PlatformDevice,
    iommu: Arc<IommuDevice<T>>,
}

impl<T: Driver> ClientDevice<T> {
    /// The device.
    pub fn device(&self) -> &Device {
        self.pdev.device()
    }

    /// The IOMMU that the device is behind.
    pub fn iommu(&self) -> &Arc<IommuDevice<T>> {
        &self.iommu
    }

    /// How many PASIDs the device can have, 0 included; 0 for a device without.
    pub fn max_pasids(&self) -> u32 {
        // SAFETY: The device was probed, and only `drop()` releases it: `iommu` stays, and the
        // field was set by the probe.
        unsafe { (*(*self.pdev.as_raw()).iommu).max_pasids }
    }

    /// The device as its IOMMU's driver sees it.
    pub fn client(&self) -> Arc<Client<T>> {
        // SAFETY: The device was probed by an `IommuDevice<T>`, and only `drop()` releases it: so
        // `priv` is what the probe stored there.
        unsafe { Ops::<T>::client(self.pdev.as_raw()) }.into()
    }
}

/// Finds a device's record with its IOMMU driver, if that driver is `T`.
///
/// A bound device stays behind its IOMMU, so the argument's type is the proof that nothing changes
/// meanwhile.
pub fn client_of<T: Driver>(dev: &Device<Bound>) -> Option<Arc<Client<T>>> {
    let dev = device_raw(dev);

    // SAFETY: The device is bound, so its `iommu` pointer and what that refers to do not change.
    let iommu = unsafe {
        let param = (*dev).iommu;
        if param.is_null() || (*param).iommu_dev.is_null() {
            return None;
        }
        (*param).iommu_dev
    };
    // SAFETY: As above; a registered instance has its sysfs entry.
    let attributes = unsafe { (*(*iommu).dev).groups };
    if !core::ptr::eq(attributes.cast(), ATTRIBUTES.0.as_ptr()) {
        return None;
    }
    // SAFETY: Only `IommuDevice::new()` uses that list, and what it registers begins with a header.
    let header = unsafe { &*iommu.cast::<Header>() };
    if header.driver != TypeId::of::<T>() {
        return None;
    }
    // SAFETY: By the header's invariant the instance is an `IommuDevice<T>`, which probed the
    // device, so `priv` is what its probe stored there.
    Some(unsafe { Ops::<T>::client(dev) }.into())
}
