// SPDX-License-Identifier: GPL-2.0

//! A mock accelerator that works in the address spaces of its users.
//!
//! The driver of platform devices named "mock_accel", and of PCI endpoints, which have no registers:
//! the driver plays the device too. What a device must do by DMA, [`accel_engine`] does through the port that the
//! device has behind its mock SMMU; the driver touches no memory of a user in any other way.
//!
//! | module | its one idea |
//! |---|---|
//! | [`uapi`] | what processes and the device exchange |
//! | [`queue`] | the jobs of a context between submission and wait |
//! | [`ranges`] | the memory that the device reaches for a job |
//! | [`refusals`] | why the device was refused pages |
//! | [`context`] | an open file's share of the device |
//! | [`accel`] | the device: its contexts, and their end |
//! | [`file`](mod@file) | the ioctls |
//! | [`pci`] | devices on PCI |

use crate::{
    accel::BoundAccel,
    file::OpenFile, //
};
use kernel::{
    device::{
        Bound,
        Core,
        Device, //
    },
    driver::Registration,
    new_mutex,
    platform,
    prelude::*,
    str::CString,
    sync::Mutex, //
};
use kernel_ext::{
    managed_dma::ManagedDma,
    misc_device, //
};
use pin_init::pin_init_scope;

mod accel;
mod context;
mod file;
#[cfg(CONFIG_PCI)]
mod pci;
mod queue;
mod ranges;
mod refusals;
mod uapi;

module! {
    type: Drivers,
    name: "mock_accel",
    authors: ["The sva developers"],
    description: "A mock accelerator that shares its users' address spaces",
    license: "GPL",
}
kernel_ext::module_version!();

/// The drivers, one for each bus.
struct Drivers {
    _platform: Pin<KBox<Registration<ManagedDma<platform::Adapter<MockAccel>>>>>,
    #[cfg(CONFIG_PCI)]
    _pci: Pin<KBox<Registration<ManagedDma<kernel::pci::Adapter<pci::MockAccel>>>>>,
}

impl kernel::Module for Drivers {
    fn init(module: &'static ThisModule) -> Result<Self> {
        let name = <Self as kernel::ModuleMetadata>::NAME;

        Ok(Self {
            _platform: KBox::pin_init(Registration::new(name, module), GFP_KERNEL)?,
            #[cfg(CONFIG_PCI)]
            _pci: KBox::pin_init(Registration::new(name, module), GFP_KERNEL)?,
        })
    }
}

/// The platform driver.
struct MockAccel;

/// What a device has while it is bound to the driver: a misc device, which owns the rest.
///
/// The kernel drops a driver's data only after it has checked that no PASID is attached to the
/// device any more. So this is emptied before, when the driver is told to leave.
#[pin_data]
struct Probed {
    #[pin]
    misc: Mutex<Option<Pin<KBox<misc_device::Registration<OpenFile>>>>>,
}

impl Probed {
    /// Starts the device, and makes `/dev/name`. May sleep.
    fn new(dev: &Device<Bound>, name: CString) -> Result<impl PinInit<Self, Error>> {
        let accel = BoundAccel::new(dev)?;
        let misc = KBox::pin_init(misc_device::Registration::new(name, accel), GFP_KERNEL)?;

        Ok(try_pin_init!(Self {
            misc <- new_mutex!(Some(misc), "mock_accel_misc"),
        }? Error))
    }

    /// Takes the file away, and stops the device. Sleeps.
    fn leave(&self) {
        let misc = self.misc.lock().take();

        drop(misc);
    }
}

impl platform::Driver for MockAccel {
    type IdInfo = ();
    type Data<'bound> = Probed;

    fn probe<'bound>(
        pdev: &'bound platform::Device<Core<'_>>,
        _id_info: Option<&'bound ()>,
    ) -> impl PinInit<Probed, Error> + 'bound {
        pin_init_scope(move || {
            let name = file_name(pdev.as_ref().name().to_str()?)?;

            Probed::new(pdev.as_ref(), name)
        })
    }

    fn unbind<'bound>(_pdev: &'bound platform::Device<Core<'_>>, this: Pin<&Probed>) {
        this.leave();
    }
}

/// The name below `/dev` for the platform device `name`: "mock_accel.3" gives "mock_accel3".
fn file_name(name: &str) -> Result<CString> {
    match name.split_once('.') {
        Some((stem, id)) => CString::try_from_fmt(fmt!("{stem}{id}")),
        None => CString::try_from_fmt(fmt!("{name}")),
    }
}

#[kunit_tests(mock_accel)]
mod tests {
    use super::*;

    #[test]
    fn file_names() -> Result {
        assert_eq!(file_name("mock_accel.0")?.to_bytes(), b"mock_accel0");
        assert_eq!(file_name("mock_accel.12")?.to_bytes(), b"mock_accel12");
        assert_eq!(file_name("mock_accel")?.to_bytes(), b"mock_accel");
        Ok(())
    }
}
