// SPDX-License-Identifier: GPL-2.0

//! A mock accelerator that works in the address spaces of its users.
//!
//! The driver of platform devices named "mock_accel", which have no registers: the driver plays
//! the device too. What a device must do by DMA, [`accel_engine`] does through the port that the
//! device has behind its mock SMMU; the driver touches no memory of a user in any other way.
//!
//! | module | its one idea |
//! |---|---|
//! | [`uapi`] | what processes and the device exchange |
//! | [`queue`] | the jobs of a context between submission and wait |
//! | [`context`] | an open file's share of the device |
//! | [`accel`] | the device: its contexts, and their end |
//! | [`file`](mod@file) | the ioctls |

use crate::{
    accel::BoundAccel,
    file::OpenFile, //
};
use kernel::{
    device::Core,
    new_mutex,
    platform,
    prelude::*,
    str::CString,
    sync::Mutex, //
};
use kernel_ext::{
    misc_device::Registration,
    platform_driver::ManagedDma, //
};
use pin_init::pin_init_scope;

mod accel;
mod context;
mod file;
mod queue;
mod uapi;

kernel::module_driver!(<T>, ManagedDma<T>, {
    type: MockAccel,
    name: "mock_accel",
    authors: ["The sva developers"],
    description: "A mock accelerator that shares its users' address spaces",
    license: "GPL",
});
kernel_ext::module_version!();

/// The platform driver.
struct MockAccel;

/// What a device has while it is bound to the driver: a misc device, which owns the rest.
///
/// The kernel drops a driver's data only after it has checked that no PASID is attached to the
/// device any more. So this is emptied before, when the driver is told to leave.
#[pin_data]
struct Probed {
    #[pin]
    misc: Mutex<Option<Pin<KBox<Registration<OpenFile>>>>>,
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
            let accel = BoundAccel::new(pdev.as_ref())?;
            let misc = KBox::pin_init(Registration::new(name, accel), GFP_KERNEL)?;

            Ok(try_pin_init!(Probed {
                misc <- new_mutex!(Some(misc), "mock_accel_misc"),
            }? Error))
        })
    }

    fn unbind<'bound>(_pdev: &'bound platform::Device<Core<'_>>, this: Pin<&Probed>) {
        let misc = this.misc.lock().take();

        drop(misc);
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
