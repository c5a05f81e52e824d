// SPDX-License-Identifier: GPL-2.0

//! Misc devices with names made at run time, and with data that their files find at open.
//!
//! The kernel crate's registration takes a static name and gives no way from it to the device that
//! it stands for.

use core::marker::PhantomData;
use kernel::{
    fs::File,
    miscdevice::{
        MiscDevice,
        MiscDeviceOptions,
        MiscDeviceRegistration, //
    },
    prelude::*,
    str::{
        CStr,
        CString, //
    },
    types::ForeignOwnable,
};

/// The file operations of a misc device.
#[vtable]
pub trait MiscFile: Sized + 'static {
    /// What the misc device stands for.
    type Device: Send + Sync + 'static;

    /// What an open file owns; dropped when the file is released.
    type Ptr: ForeignOwnable + Send + Sync;

    /// Opens a file. Process context; may sleep. The kernel's mutex of all misc devices is held.
    ///
    /// # Errors
    ///
    /// Whatever open(2) is to say.
    fn open(device: &Self::Device) -> Result<Self::Ptr>;

    /// Serves an ioctl, in the context of its caller. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOTTY` for an unknown `cmd`, else whatever ioctl(2) is to say.
    fn ioctl(
        data: <Self::Ptr as ForeignOwnable>::Borrowed<'_>,
        cmd: u32,
        arg: usize,
    ) -> Result<isize>;
}

/// A registered misc device. Dropping it ends the opening of files, not the open files.
///
/// # Invariants
///
/// Only `Registration`s contain a `MiscDeviceRegistration<Glue<T>>`. `misc` is registered under
/// `name`, which is neither changed nor freed before `misc` is dropped.
#[pin_data]
pub struct Registration<T: MiscFile> {
    // Fields are dropped in this order.
    #[pin]
    misc: MiscDeviceRegistration<Glue<T>>,
    device: T::Device,
    name: CString,
}

impl<T: MiscFile> Registration<T> {
    /// Registers a misc device `name`. Files may be opened before this returns.
    ///
    /// # Errors
    ///
    /// `EEXIST` if the name is taken, `EBUSY` if no minor number is left, `ENOMEM`.
    pub fn new(name: CString, device: T::Device) -> impl PinInit<Self, Error> {
        // A `CString` does not move its characters when it is itself moved.
        let chars: *const CStr = &*name;
        // SAFETY: By the type invariants the characters outlive the registration, which is all
        // that uses them. If registering fails, nothing keeps them.
        let name_for_misc: &'static CStr = unsafe { &*chars };
        let options = MiscDeviceOptions {
            name: name_for_misc,
        };

        try_pin_init!(Self {
            device,
            name,
            misc <- MiscDeviceRegistration::register(options),
        })
    }

    /// What the misc device stands for.
    pub fn device(&self) -> &T::Device {
        &self.device
    }
}

/// Makes the kernel crate's file operations of ours. Private, so that nobody else registers it.
struct Glue<T>(PhantomData<T>);

#[vtable]
impl<T: MiscFile> MiscDevice for Glue<T> {
    type OwnerModule = T::OwnerModule;
    type Ptr = T::Ptr;

    fn open(_file: &File, misc: &MiscDeviceRegistration<Self>) -> Result<Self::Ptr> {
        // SAFETY: By the type invariants of `Registration`, `misc` is in one. All of it has been
        // initialised before `misc` was registered, and stays until `misc` is no longer.
        let this = unsafe {
            &*kernel::container_of!(core::ptr::from_ref(misc).cast_mut(), Registration<T>, misc)
        };

        T::open(&this.device)
    }

    fn ioctl(
        data: <Self::Ptr as ForeignOwnable>::Borrowed<'_>,
        _file: &File,
        cmd: u32,
        arg: usize,
    ) -> Result<isize> {
        T::ioctl(data, cmd, arg)
    }
}
