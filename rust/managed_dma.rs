// SPDX-License-Identifier: GPL-2.0

//! Drivers that use no DMA without PASIDs.
//!
//! The driver core keeps the DMA of a device that has a driver for the DMA API: it binds no driver
//! to a device whose IOMMU group has PASIDs attached, and warns if a driver leaves such a device.
//! Members of one group can come and go only if their drivers tell it not to
//! (`driver_managed_dma`). The kernel crate's registrations do not offer that.
//!
//! C headers: `include/linux/platform_device.h`, `include/linux/pci.h`

use core::marker::PhantomData;
#[cfg(CONFIG_PCI)]
use kernel::pci;
use kernel::{
    driver::{DriverLayout, RegistrationOps},
    platform,
    prelude::*,
    types::Opaque,
};

/// A bus's adapter of the kernel crate, whose drivers can say so.
pub trait Adapter: RegistrationOps {
    /// Where `driver` says so. Any context.
    fn managed_dma(driver: &mut Self::DriverType) -> &mut bool;
}

impl<T: platform::Driver> Adapter for platform::Adapter<T> {
    fn managed_dma(driver: &mut Self::DriverType) -> &mut bool {
        &mut driver.driver_managed_dma
    }
}

#[cfg(CONFIG_PCI)]
impl<T: pci::Driver> Adapter for pci::Adapter<T> {
    fn managed_dma(driver: &mut Self::DriverType) -> &mut bool {
        &mut driver.driver_managed_dma
    }
}

/// An adapter for the registration of such a driver, in place of the bus's own `A`: for
/// [`kernel::module_driver!`] and [`kernel::driver::Registration`].
///
/// The driver must not use the DMA API: nobody sees to it that its addresses mean anything.
pub struct ManagedDma<A>(PhantomData<A>);

// SAFETY: All is as the bus's own adapter has it, whose callbacks these drivers get.
unsafe impl<A: Adapter> DriverLayout for ManagedDma<A> {
    type DriverType = A::DriverType;
    type DriverData<'bound> = A::DriverData<'bound>;
    const DEVICE_DRIVER_OFFSET: usize = A::DEVICE_DRIVER_OFFSET;
}

// SAFETY: What is registered here is registered by the bus's own adapter.
unsafe impl<A: Adapter> RegistrationOps for ManagedDma<A> {
    unsafe fn register(
        driver: &Opaque<Self::DriverType>,
        name: &'static CStr,
        module: &'static ThisModule,
    ) -> Result {
        // SAFETY: Nobody else knows a driver that is not registered yet.
        *A::managed_dma(unsafe { &mut *driver.get() }) = true;
        // SAFETY: By this function's contract, which is the same.
        unsafe { A::register(driver, name, module) }
    }

    unsafe fn unregister(driver: &Opaque<Self::DriverType>) {
        // SAFETY: By this function's contract, which is the same.
        unsafe { A::unregister(driver) }
    }
}
