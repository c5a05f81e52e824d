// SPDX-License-Identifier: GPL-2.0

//! The interface of 2018, as `include/linux/sva_seed.h` declares and documents it: bonds are named by
//! device and PASID, and a driver hears of exits by device.

use super::{bind, bind_members, errno, export, memory, range, sva_device};
use crate::bond::{
    group,
    owner::{Callback, End, Hears, Plain},
    Bond,
};
use crate::features::{Feature, Features};
use kernel::{
    device::Device,
    ffi::{c_int, c_ulong, c_void},
    mm::Mm,
    prelude::*,
    sync::Arc,
};
use kernel_ext::{bindings, group::IommuGroup};

/// The driver's side of a bond.
fn plain(drvdata: *mut c_void) -> Plain {
    Plain {
        data: drvdata.expose_provenance(),
        hears: Hears::Device,
    }
}

/// The initialised device's bond under `pasid`, or `ESRCH`.
///
/// # Safety
///
/// As for [`sva_device`].
unsafe fn bond(dev: *mut bindings::device, pasid: c_int) -> Result<Arc<Bond>> {
    // SAFETY: By this function's contract.
    let device = unsafe { sva_device(dev)? };

    u32::try_from(pasid)
        .ok()
        .and_then(|pasid| device.bond(pasid))
        .ok_or(ESRCH)
}

fn call_handler(dev: &Device, pasid: u32, code: usize, data: usize) {
    // SAFETY: Registration alone pairs this function with an address, that of such a function.
    let handler: bindings::sva_mm_exit_handler_t = unsafe { core::mem::transmute(code) };
    let Some(handler) = handler else {
        return;
    };
    // SAFETY: The driver registered this handler for this device and waits, when it unregisters it,
    // for calls to end. `drvdata` is what the driver passed to bind.
    let ret = unsafe {
        handler(
            core::ptr::from_ref(dev).cast_mut().cast(),
            pasid as c_int,
            core::ptr::with_exposed_provenance_mut(data),
        )
    };

    if ret != 0 {
        dev_warn!(dev, "exit handler for PASID {pasid} returned {ret}\n");
    }
}

export! {
    /// # Safety
    ///
    /// `dev` must be null, or a device that has a driver. `mm` must be null, or an mm of which
    /// the caller holds a reference. `pasid` must be null, or valid for writing.
    fn sva_bind_device(
        dev: *mut bindings::device,
        mm: *mut bindings::mm_struct,
        pasid: *mut c_int,
        flags: c_ulong,
        drvdata: *mut c_void
    ) -> c_int {
        errno((|| {
            if mm.is_null() || pasid.is_null() {
                return Err(EINVAL);
            }
            // Two of these bonds have one name.
            if Features::from_bits(flags)?.contains(Feature::SharedAddresses) {
                return Err(EINVAL);
            }
            // SAFETY: By this function's contract.
            let (device, mm) = unsafe { (sva_device(dev)?, memory(mm)?) };
            let bond = bind(&device, &mm, flags, plain(drvdata))?;

            // SAFETY: By this function's contract.
            unsafe { pasid.write(bond.pasid as c_int) };
            Ok(())
        })())
    }

    /// # Safety
    ///
    /// `dev` must be null, or a device that has a driver.
    fn sva_unbind_device(dev: *mut bindings::device, pasid: c_int) -> c_int {
        errno((|| {
            // SAFETY: By this function's contract.
            let device = unsafe { sva_device(dev)? };
            let pasid = u32::try_from(pasid).map_err(|_| ESRCH)?;
            // While the PASID of a process that has exited is kept, it is no other's.
            let Some(bond) = device.bond(pasid) else {
                match pasid {
                    0 => {
                        let _ = device.pay_without_pasid();
                    }
                    _ => device.pay(pasid),
                }
                return Err(ESRCH);
            };

            // The place without is another's at once.
            if pasid == 0 && !bond.is_callers() && device.pay_without_pasid() {
                return Err(ESRCH);
            }
            bond.unbind()
        })())
    }

    /// # Safety
    ///
    /// `dev` must be null, or a device that has a driver.
    fn sva_unbind_device_all(dev: *mut bindings::device) -> () {
        // SAFETY: By this function's contract.
        if let Ok(device) = unsafe { sva_device(dev) } {
            device.end_bonds(End::Unbind);
        }
    }

    /// # Safety
    ///
    /// `dev` must be null, or a device that has a driver.
    fn sva_pin_range(
        dev: *mut bindings::device,
        pasid: c_int,
        addr: c_ulong,
        len: usize,
        write: bool
    ) -> c_int {
        errno((|| {
            let range = range(addr, len)?;

            // SAFETY: By this function's contract.
            unsafe { bond(dev, pasid)? }.pin(range, write)?;
            Ok(())
        })())
    }

    /// # Safety
    ///
    /// `dev` must be null, or a device that has a driver.
    fn sva_unpin_range(
        dev: *mut bindings::device,
        pasid: c_int,
        addr: c_ulong,
        len: usize
    ) -> c_int {
        errno((|| {
            let range = range(addr, len)?;

            // SAFETY: By this function's contract.
            unsafe { bond(dev, pasid)? }.unpin(&range)
        })())
    }

    /// # Safety
    ///
    /// `group` must be null, or a group of which the caller holds a reference, and whose members
    /// keep their drivers for the time of the call; the rest as for `sva_bind_device`.
    fn sva_bind_group(
        group: *mut bindings::iommu_group,
        mm: *mut bindings::mm_struct,
        pasid: *mut c_int,
        flags: c_ulong,
        drvdata: *mut c_void
    ) -> c_int {
        errno((|| {
            if group.is_null() || mm.is_null() || pasid.is_null() {
                return Err(EINVAL);
            }
            // SAFETY: By this function's contract.
            let (group, mm) = unsafe { (IommuGroup::from_raw(group), memory(mm)?) };
            let bound = bind_members(group, &mm, flags, plain(drvdata))?;

            // SAFETY: By this function's contract.
            unsafe { pasid.write(bound.pasid as c_int) };
            Ok(())
        })())
    }

    /// # Safety
    ///
    /// As for `sva_bind_group`.
    fn sva_unbind_group(group: *mut bindings::iommu_group, pasid: c_int) -> c_int {
        errno((|| {
            if group.is_null() {
                return Err(EINVAL);
            }
            // SAFETY: By this function's contract.
            let group = unsafe { IommuGroup::from_raw(group) };

            group::unbind(group, u32::try_from(pasid).map_err(|_| ESRCH)?)
        })())
    }

    /// # Safety
    ///
    /// `dev` must be null, or a device that has a driver. `mm` must be null, or an mm of which
    /// the caller holds a reference.
    fn sva_pasid(dev: *mut bindings::device, mm: *mut bindings::mm_struct) -> c_int {
        let pasid = || {
            if mm.is_null() {
                return Err(EINVAL);
            }
            // SAFETY: By this function's contract.
            let (device, mm) = unsafe { (sva_device(dev)?, Mm::from_raw(mm)) };

            device.pasid_of(mm).ok_or(ESRCH)
        };

        match pasid() {
            Ok(pasid) => pasid as c_int,
            Err(e) => e.to_errno(),
        }
    }

    /// # Safety
    ///
    /// `dev` must be null, or a device that has a driver. `handler` must be null, or a function
    /// that may be called until it is unregistered.
    fn sva_register_mm_exit_handler(
        dev: *mut bindings::device,
        handler: bindings::sva_mm_exit_handler_t
    ) -> c_int {
        errno((|| {
            let handler = handler.ok_or(EINVAL)?;
            // SAFETY: By this function's contract.
            let device = unsafe { sva_device(dev)? };

            device.set_watcher(Callback {
                call: call_handler,
                code: handler as usize,
            })
        })())
    }

    /// # Safety
    ///
    /// `dev` must be null, or a device that has a driver.
    fn sva_unregister_mm_exit_handler(dev: *mut bindings::device) -> c_int {
        errno((|| {
            // SAFETY: By this function's contract.
            let device = unsafe { sva_device(dev)? };

            device.take_watcher().ok_or(EINVAL)?;
            // A call may have begun before.
            device.core.exits.flush();
            Ok(())
        })())
    }
}
