// SPDX-License-Identifier: GPL-2.0

//! A device that works in the memory of whoever opens its file, on whichever bus.
//!
//! `sva_sample.h` tells what the device does. It is behind a mock SMMU, and has no registers: where
//! this has the device's port make an access, hardware would be told by a register to make it.

use kernel::{
    device::{Bound, Device},
    ioctl::_IO,
    new_mutex,
    prelude::*,
    str::CString,
    sync::{Arc, Mutex},
};
use kernel_ext::misc_device::{MiscFile, Registration};
use smmuv3::api::Dma;

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

/// The device's file in `/dev`, until its driver leaves.
#[pin_data]
pub(crate) struct Counter {
    #[pin]
    file: Mutex<Option<Pin<KBox<Registration<OpenFile>>>>>,
}

impl Counter {
    /// What a driver does when it probes. May sleep.
    pub(crate) fn probe(dev: &Device<Bound>) -> Result<impl PinInit<Self, Error>> {
        let engine = Arc::new(Engine(Dma::of(dev)?), GFP_KERNEL)?;
        let sva = sva::Device::init(dev, sva::Features::ANY, 0, engine)?;
        let file = Registration::new(CString::try_from(dev.name())?, sva);
        let file = KBox::pin_init(file, GFP_KERNEL)?;

        Ok(try_pin_init!(Self {
            file <- new_mutex!(Some(file)),
        }? Error))
    }

    /// What it does when it leaves: ends the opening, then all bonds. Sleeps.
    pub(crate) fn leave(&self) {
        drop(self.file.lock().take());
    }
}
