// SPDX-License-Identifier: GPL-2.0

//! PCI drivers that use no DMA without PASIDs; see [`crate::platform_driver`], which says why.
//!
//! C header: `include/linux/pci.h`

use core::marker::PhantomData;
use kernel::{
    driver::{DriverLayout, RegistrationOps},
    pci,
    prelude::*,
    types::Opaque,
};

/// An adapter for the registration of such a PCI driver, for [`kernel::driver::Registration`].
///
/// The driver must not use the DMA API: nobody sees to it that its addresses mean anything.
pub struct ManagedDma<T: pci::Driver>(PhantomData<T>);

type Inner<T> = pci::Adapter<T>;

// SAFETY: All is as the kernel crate's adapter has it, whose callbacks these drivers get.
unsafe impl<T: pci::Driver> DriverLayout for ManagedDma<T> {
    type DriverType = <Inner<T> as DriverLayout>::DriverType;
    type DriverData<'bound> = T::Data<'bound>;
    const DEVICE_DRIVER_OFFSET: usize = <Inner<T> as DriverLayout>::DEVICE_DRIVER_OFFSET;
}

// SAFETY: What is registered here is registered by the kernel crate's adapter.
unsafe impl<T: pci::Driver> RegistrationOps for ManagedDma<T> {
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
