// SPDX-License-Identifier: GPL-2.0

//! The devices behind an IOMMU.

use super::{
    Driver,
    Header,
    IommuDevice,
    ATTRIBUTES, //
};
use crate::{
    device_raw,
    group::IommuGroup,
    iommu_ops::Ops,
    iopf_queue::FaultSource,
    platform_device::PlatformDevice, //
};
use core::any::TypeId;
use kernel::{
    device::{
        Bound,
        Device, //
    },
    prelude::*,
    sync::{
        aref::ARef,
        Arc,
        SetOnce, //
    }, //
};

/// A device behind an IOMMU of driver `T`.
#[pin_data]
pub struct Client<T: Driver> {
    dev: ARef<Device>,
    driver: Arc<T>,
    pub(crate) group: SetOnce<ARef<IommuGroup>>,
    #[pin]
    faults: FaultSource,
    data: T::DeviceData,
}

impl<T: Driver> Client<T> {
    pub(crate) fn new(dev: ARef<Device>, driver: Arc<T>, data: T::DeviceData) -> Result<Arc<Self>> {
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
    pub fn data(&self) -> &T::DeviceData {
        &self.data
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
    pub(super) fn new(pdev: PlatformDevice, iommu: Arc<IommuDevice<T>>) -> Self {
        Self { pdev, iommu }
    }

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
    // SAFETY: As above: the instance that serves the device stays registered. Its entry in sysfs, if
    // its driver made one, goes later than that.
    let attributes = unsafe {
        let entry = (*iommu).dev;
        if entry.is_null() {
            return None;
        }
        (*entry).groups
    };
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
