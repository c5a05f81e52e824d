// SPDX-License-Identifier: GPL-2.0

//! A device that firmware describes, for who plays its hardware: its registers are memory, its
//! interrupts are made pending, and its driver is the kernel's.
//!
//! C headers: `include/linux/of_platform.h`, `include/linux/interrupt.h`

use crate::{
    bindings,
    fwspec::IommuNode,
    phys::IoPages, //
};
use core::ptr::{
    addr_of_mut,
    NonNull, //
};
use kernel::{
    device::Device,
    error::to_result,
    prelude::*,
    sync::aref::ARef, //
};

/// The property of a node of the device tree that says that software plays the device, in the
/// memory that the node calls its registers: nobody else uses that.
pub const PLAYED: &CStr = c"sva,played-by-software";

/// A platform device whose node has [`PLAYED`].
///
/// # Invariants
///
/// `pdev` is a platform device to whose device `dev` is a reference.
pub struct FirmwareDevice {
    pdev: NonNull<bindings::platform_device>,
    dev: ARef<Device>,
}

// SAFETY: A platform device belongs to no thread; what is done here takes the locks it needs.
unsafe impl Send for FirmwareDevice {}

// SAFETY: As above.
unsafe impl Sync for FirmwareDevice {}

impl FirmwareDevice {
    /// The first such device that is compatible with `what`. May sleep.
    ///
    /// # Errors
    ///
    /// `ENODEV` if firmware has none.
    pub fn find(what: &CStr) -> Result<Self> {
        // SAFETY: Both are C strings. The helper gives a reference.
        let pdev = unsafe { bindings::sva_find_played(what.as_char_ptr(), PLAYED.as_char_ptr()) };
        let pdev = NonNull::new(pdev).ok_or(ENODEV)?;
        // SAFETY: The device is live.
        let dev = NonNull::from(unsafe { Device::from_raw(addr_of_mut!((*pdev.as_ptr()).dev)) });

        // INVARIANT: The reference is what the helper gave.
        Ok(Self {
            pdev,
            // SAFETY: As above; it passes to the result.
            dev: unsafe { ARef::from_raw(dev) },
        })
    }

    fn raw(&self) -> *mut bindings::device {
        // SAFETY: By the type invariant the device is live.
        unsafe { addr_of_mut!((*self.pdev.as_ptr()).dev) }
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.dev
    }

    /// What devices behind it call it, if it is an IOMMU.
    pub fn node(&self) -> Option<IommuNode> {
        IommuNode::of(&self.dev)
    }

    /// Its registers. May sleep.
    ///
    /// # Errors
    ///
    /// `EINVAL` if there are not at least `len` bytes; `ENOMEM`, also where the memory is RAM that
    /// the kernel uses.
    pub fn registers(&self, len: usize) -> Result<IoPages> {
        let (mut phys, mut size) = (0, 0);

        // SAFETY: The device is live, and both results are written.
        to_result(unsafe { bindings::sva_registers(self.pdev.as_ptr(), &mut phys, &mut size) })?;
        if size < len as u64 {
            return Err(EINVAL);
        }
        // SAFETY: The node has `PLAYED`, which says so.
        unsafe { IoPages::map(phys, len) }
    }

    /// Its interrupt called `name`. May sleep.
    ///
    /// # Errors
    ///
    /// `ENXIO` if there is none, and others of the interrupt controller.
    pub fn interrupt(&self, name: &CStr) -> Result<Interrupt> {
        // SAFETY: The device is live, and `name` is a C string.
        let irq = unsafe {
            bindings::platform_get_irq_byname_optional(self.pdev.as_ptr(), name.as_char_ptr())
        };

        to_result(irq.min(0))?;
        Ok(Interrupt(irq.try_into()?))
    }

    /// Has the kernel look for a driver, and that probe the device. May sleep.
    ///
    /// # Errors
    ///
    /// `ENODEV` if no driver took it.
    pub fn attach_driver(&self) -> Result {
        // SAFETY: The device is live and added, and no lock of it is held here.
        match unsafe { bindings::device_attach(self.raw()) } {
            1 => Ok(()),
            0 => Err(ENODEV),
            error => to_result(error),
        }
    }

    /// Has its driver leave it. Sleeps.
    pub fn release_driver(&self) {
        // SAFETY: As for `attach_driver`.
        unsafe { bindings::device_release_driver(self.raw()) };
    }
}

/// An interrupt that hardware would raise.
pub struct Interrupt(u32);

impl Interrupt {
    /// Makes it pending, as an edge does. Any context, also with interrupts off.
    pub fn raise(&self) {
        // SAFETY: The number is that of an interrupt of a device here; the function locks.
        let ret = unsafe { bindings::sva_raise_irq(self.0) };

        if ret != 0 {
            kernel::pr_warn_once!("interrupt {} cannot be raised: {ret}\n", self.0);
        }
    }
}
