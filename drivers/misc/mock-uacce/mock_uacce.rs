// SPDX-License-Identifier: GPL-2.0

//! A mock accelerator behind uacce, the kernel's own framework for accelerators that share their
//! users' address spaces.
//!
//! The driver of platform devices named "mock_uacce", which have no registers: the driver plays
//! the device too. The module plugs in one such device behind the mock SMMU. uacce binds each
//! process that opens it, by `iommu_sva_bind_device()`, and the kernel serves its page requests:
//! nothing of ours is between the mock SMMU and the process.
//!
//! | module | its one idea |
//! |---|---|
//! | [`device`] | what uacce asks of the device |
//! | [`isolation`] | errors of the device, and what too many of them lead to |
//! | [`queue`] | a process's queue: its states |
//! | [`ring`] | the work: from the doorbell to completion records |

use crate::device::Bound;
use kernel::{
    device::Core,
    driver,
    new_mutex,
    platform,
    prelude::*,
    sync::Mutex,
    InPlaceModule, //
};
use pin_init::pin_init_scope;
use smmuv3::{
    device::{
        DeviceSpec,
        Numbers, //
    },
    host::Plugged, //
};

mod device;
mod isolation;
mod queue;
mod ring;

module! {
    type: MockUacce,
    name: "mock_uacce",
    authors: ["The sva developers"],
    description: "A mock accelerator behind uacce",
    license: "GPL",
}
kernel_ext::module_version!();

/// The name of the platform devices, and the stem of those below `/dev`.
const NAME: &CStr = c"mock_uacce";

/// The platform driver.
struct UacceDriver;

/// What a device has while it is bound to the driver.
///
/// The kernel drops a driver's data only after it has checked that no PASID is attached to the
/// device any more. So this is emptied before, when the driver is told to leave.
#[pin_data]
struct Probed {
    #[pin]
    bound: Mutex<Option<Bound>>,
}

impl platform::Driver for UacceDriver {
    type IdInfo = ();
    type Data<'bound> = Probed;

    fn probe<'bound>(
        pdev: &'bound platform::Device<Core<'_>>,
        _id_info: Option<&'bound ()>,
    ) -> impl PinInit<Probed, Error> + 'bound {
        pin_init_scope(move || {
            let bound = Bound::new(pdev.as_ref())?;

            Ok(try_pin_init!(Probed {
                bound <- new_mutex!(Some(bound), "mock_uacce_bound"),
            }? Error))
        })
    }

    fn unbind<'bound>(_pdev: &'bound platform::Device<Core<'_>>, this: Pin<&Probed>) {
        let bound = this.bound.lock().take();

        drop(bound);
    }
}

/// The module's data, dropped in this order.
#[pin_data]
struct MockUacce {
    _device: Plugged,
    #[pin]
    _driver: driver::Registration<platform::Adapter<UacceDriver>>,
}

impl InPlaceModule for MockUacce {
    fn init(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            _driver <- driver::Registration::new(NAME, module),
            // The driver is there, so it has its device when this returns.
            _device: Plugged::new(NAME, Numbers::default(), &DeviceSpec::DEFAULT)?,
        })
    }
}
