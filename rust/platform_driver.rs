// SPDX-License-Identifier: GPL-2.0

//! Platform drivers that use no DMA without PASIDs.
//!
//! The driver core keeps the DMA of a device that has a driver for the DMA API: it binds no driver
//! to a device whose IOMMU group has PASIDs attached, and warns if a driver leaves such a device.
//! Members of one group can come and go only if their drivers tell it not to
//! (`driver_managed_dma`). The kernel crate's registration does not offer that.
//!
//! C header: `include/linux/platform_device.h`

use core::marker::PhantomData;
use kernel::{
    driver::{DriverLayout, RegistrationOps},
    platform,
    prelude::*,
    types::Opaque,
};

/// An adapter for the registration of such a platform driver, for [`kernel::module_driver!`].
///
/// The driver must not use the DMA API: nobody sees to it that its addresses mean anything.
pub struct ManagedDma<T: platform::Driver>(PhantomData<T>);

type Inner<T> = platform::Adapter<T>;

// SAFETY: All is as the kernel crate's adapter has it, whose callbacks these drivers get.
unsafe impl<T: platform::Driver> DriverLayout for ManagedDma<T> {
    type DriverType = <Inner<T> as DriverLayout>::DriverType;
    type DriverData<'bound> = T::Data<'bound>;
    const DEVICE_DRIVER_OFFSET: usize = <Inner<T> as DriverLayout>::DEVICE_DRIVER_OFFSET;
}

// SAFETY: What is registered here is registered by the kernel crate's adapter.
unsafe impl<T: platform::Driver> RegistrationOps for ManagedDma<T> {
    unsafe fn register(
        driver: &Opaque<Self::DriverType>,
        name: &'static CStr,
        module: &'static ThisModule,
    ) -> Result {
        // SAFETY: Nobody else knows a driver that is not registered yet.
        unsafe { (*driver.get()).driver_managed_dma = true };
        // SAFETY: By this function's contract, which is the same.
        unsafe { Inner::<T>::register(driver, name, module) }
    }

    unsafe fn unregister(driver: &Opaque<Self::DriverType>) {
        // SAFETY: By this function's contract, which is the same.
        unsafe { Inner::<T>::unregister(driver) }
    }
}
