// SPDX-License-Identifier: GPL-2.0

//! The driver of a device that works in the memory of whoever opens its file.
//!
//! `sva_sample.h` tells what the device does. It is behind a mock SMMU, and has no registers: where
//! this has the device's port make an access, hardware would be told by a register to make it.

use kernel::{
    device::{Bound, Core, Device},
    ioctl::_IO,
    new_mutex, platform,
    prelude::*,
    str::CString,
    sync::{Arc, Mutex},
};
use kernel_ext::misc_device::{MiscFile, Registration};
use smmuv3::api::Dma;

kernel::module_platform_driver! {
    type: Sample,
    name: "sva_sample_rust",
    authors: ["The sva developers"],
    description: "A device that counts in its users' memory, driven in Rust",
    license: "GPL",
}

/// The device.
struct Engine(Dma);

impl sva::Handler for Engine {
    type BondData = ();

    fn stop(&self, _pasid: u32, _data: &Arc<()>, _why: sva::End) {
        // This device works in `start()` only, which has returned. Hardware that goes on by itself is
        // stopped here.
    }
}

/// An open file. While it is there, the device may use the memory of who opened it.
struct OpenFile(sva::Bond<Engine>, Arc<Engine>);

#[vtable]
impl MiscFile for OpenFile {
    type Device = sva::Device<Engine>;
    type Ptr = KBox<Self>;

    fn open(device: &Self::Device) -> Result<KBox<Self>> {
        let task = current!();
        let mm = task.mm().ok_or(EPERM)?;
        let bond = device.bind(mm, sva::Features::ANY, Arc::new((), GFP_KERNEL)?)?;

        Ok(KBox::new(Self(bond, device.handler().clone()), GFP_KERNEL)?)
    }

    fn ioctl(Self(bond, engine): &Self, cmd: u32, arg: usize) -> Result<isize> {
        if cmd != _IO(u32::from(b'S'), 0) {
            return Err(ENOTTY);
        } else if !bond.is_callers() {
            return Err(EPERM);
        }
        let count = || {
            let word = bond.range(arg as u64, 8, true)?;

            bond.start(|pasid| {
                let pasid = (pasid != 0).then_some(pasid);

                engine.0.fetch_add(pasid, word.device_addr(), 1)
            })
        };

        count().map_err(|e| if e == ESRCH { ESHUTDOWN } else { e })??;
        Ok(0)
    }
}

struct Sample;

/// The device's file in `/dev`.
type DevFile = Pin<KBox<Registration<OpenFile>>>;

impl platform::Driver for Sample {
    type IdInfo = ();
    type Data<'bound> = Pin<KBox<Mutex<Option<DevFile>>>>;

    fn probe<'bound>(
        pdev: &'bound platform::Device<Core<'_>>,
        _id: Option<&'bound ()>,
    ) -> impl PinInit<Self::Data<'bound>, Error> + 'bound {
        let dev: &Device<Bound> = pdev.as_ref();

        Dma::of(dev).and_then(|dma| {
            let engine = Arc::new(Engine(dma), GFP_KERNEL)?;
            let sva = sva::Device::init(dev, sva::Features::ANY, 0, engine)?;
            let file = Registration::new(CString::try_from(dev.name())?, sva);

            KBox::pin_init(
                new_mutex!(Some(KBox::pin_init(file, GFP_KERNEL)?)),
                GFP_KERNEL,
            )
        })
    }

    fn unbind<'bound>(_: &'bound platform::Device<Core<'_>>, file: Pin<&Self::Data<'bound>>) {
        // Ends the opening, then all bonds.
        drop(file.lock().take());
    }
}
