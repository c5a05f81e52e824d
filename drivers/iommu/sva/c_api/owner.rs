// SPDX-License-Identifier: GPL-2.0

//! The owner of bonds of drivers in C.

use crate::{
    device::SvaDevice,
    owner::{End, Hook, Owner},
};
use kernel::{
    ffi::{c_int, c_void},
    prelude::*,
};
use kernel_ext::bindings;

/// What a driver registers to hear of the exit of a process.
#[derive(Clone, Copy)]
pub(crate) struct ExitHandler(
    unsafe extern "C" fn(*mut bindings::device, c_int, *mut c_void) -> c_int,
);

impl ExitHandler {
    pub(super) fn new(
        handler: unsafe extern "C" fn(*mut bindings::device, c_int, *mut c_void) -> c_int,
    ) -> Self {
        Self(handler)
    }
}

/// The owner of a bond of a driver in C.
#[derive(Clone, Copy)]
pub(crate) struct COwner {
    /// Passed back to the driver, never followed.
    drvdata: usize,
}

impl COwner {
    pub(super) fn new(drvdata: usize) -> Self {
        Self { drvdata }
    }
}

impl Owner for COwner {
    fn identity(&self) -> usize {
        self.drvdata
    }

    fn suits(&self, _device: &SvaDevice) -> bool {
        true
    }

    fn hook(&self, device: &SvaDevice) -> Hook {
        match device.exit_handler() {
            Some(_) => Hook::Exit,
            None => Hook::None,
        }
    }

    fn stop(&self, device: &SvaDevice, pasid: u32, _why: End) {
        let Some(ExitHandler(handler)) = device.exit_handler() else {
            return;
        };
        let dev = device.endpoint.dev();
        let drvdata = core::ptr::with_exposed_provenance_mut(self.drvdata);

        // SAFETY: The driver registered this handler for this device and waits, when it
        // unregisters it, for calls to end. `drvdata` is what the driver passed to bind.
        let ret = unsafe {
            handler(
                core::ptr::from_ref(dev).cast_mut().cast(),
                pasid as c_int,
                drvdata,
            )
        };

        if ret != 0 {
            dev_warn!(dev, "exit handler for PASID {pasid} returned {ret}\n");
        }
    }
}
