// SPDX-License-Identifier: GPL-2.0

//! The interface for drivers in C, as `include/linux/sva.h` declares and documents it.

use crate::{
    api,
    bond::{Bond, Request, Scope},
    core::CORE,
    device::SvaDevice,
    features::Features,
    group,
    owner::{AnyOwner, End},
    trace, //
};
use core::ops::Range;
use kernel::{
    device::{Bound, Device},
    ffi::{c_int, c_uint, c_ulong, c_void},
    mm::{Mm, MmWithUser},
    prelude::*,
    sync::{aref::ARef, Arc},
};
use kernel_ext::{
    bindings,
    counted::{self, Key},
    devres,
    group::IommuGroup,
    pin::PinnedRange, //
};

mod owner;

pub(crate) use self::owner::{COwner, ExitHandler};

/// What a driver in C asks for.
fn request(
    scope: Scope,
    flags: Features,
    drvdata: *mut c_void,
) -> Request<impl FnOnce() -> Result<AnyOwner>> {
    let drvdata = drvdata.expose_provenance();

    Request {
        scope,
        flags,
        identity: drvdata,
        owner: move || Ok(AnyOwner::C(COwner::new(drvdata))),
    }
}

/// A device that C code passed in, or `EINVAL`.
///
/// # Safety
///
/// `dev` must be null, or valid for the whole of `'a`.
unsafe fn device<'a>(dev: *mut bindings::device) -> Result<&'a Device> {
    if dev.is_null() {
        return Err(EINVAL);
    }
    // SAFETY: By this function's contract.
    Ok(unsafe { Device::from_raw(dev) })
}

/// The initialised device behind one that C code passed in, or `EINVAL` (S4).
///
/// # Safety
///
/// As for [`device`].
unsafe fn sva_device(dev: *mut bindings::device) -> Result<Arc<SvaDevice>> {
    // SAFETY: By this function's contract.
    devres::find::<SvaDevice>(unsafe { device(dev)? }).ok_or(EINVAL)
}

/// The initialised device's bond under `pasid`, or `ESRCH`.
///
/// # Safety
///
/// As for [`device`].
unsafe fn bond(dev: *mut bindings::device, pasid: c_int) -> Result<Arc<Bond>> {
    // SAFETY: By this function's contract.
    let device = unsafe { sva_device(dev)? };

    u32::try_from(pasid)
        .ok()
        .and_then(|pasid| device.bond(pasid))
        .ok_or(ESRCH)
}

/// Counts one more user of a bond that there is already; its PASID.
///
/// # Safety
///
/// `mm` must be null, or an mm of which the caller holds a reference.
unsafe fn repeat(
    dev: *mut bindings::device,
    mm: *mut bindings::mm_struct,
    flags: c_ulong,
    drvdata: *mut c_void,
) -> Option<u32> {
    let flags = u32::try_from(flags).ok()?;

    if mm.is_null() {
        return None;
    }
    // SAFETY: By this function's contract the address space lives.
    unsafe {
        counted::try_get(&Key::new(
            dev.cast(),
            Mm::from_raw(mm),
            drvdata.expose_provenance(),
            flags,
        ))
    }
}

/// The range of `len` bytes at `addr`, or `EINVAL` if it wraps or is not whole pages.
fn range(addr: c_ulong, len: usize) -> Result<Range<usize>> {
    let range = addr..addr.checked_add(len).ok_or(EINVAL)?;

    PinnedRange::check(&range)?;
    Ok(range)
}

/// What a function of the C interface returns.
fn errno(result: Result) -> c_int {
    match result {
        Ok(()) => 0,
        Err(e) => e.to_errno(),
    }
}

/// Defines functions of the C interface; one that differs from its C prototype does not compile.
macro_rules! export {
    ($(
        $(#[$attr:meta])*
        fn $name:ident($($arg:ident: $type:ty),*) -> $ret:ty $body:block
    )*) => {$(
        $(#[$attr])*
        #[no_mangle]
        pub(crate) unsafe extern "C" fn $name($($arg: $type),*) -> $ret $body

        const _: () = {
            // Both must have the one type that `if` has.
            let _ = if true { bindings::$name } else { $name };
        };
    )*};
}

export! {
    /// # Safety
    ///
    /// `dev` must be null, or a device that has a driver.
    fn sva_device_init(
        dev: *mut bindings::device,
        features: c_ulong,
        max_pasid: c_uint
    ) -> c_int {
        errno((|| {
            // SAFETY: By this function's contract.
            let dev = unsafe { device(dev)? };
            let features = Features::from_bits(features as usize)?;
            let core = CORE.get().ok_or(ENODEV)?;
            // SAFETY: By this function's contract the device has a driver; the type is
            // transparent over its context.
            let dev = unsafe { &*core::ptr::from_ref(dev).cast::<Device<Bound>>() };

            SvaDevice::init(core, dev, features, max_pasid, None)?;
            Ok(())
        })())
    }

    /// # Safety
    ///
    /// `dev` must be null, or a device that has a driver.
    fn sva_device_shutdown(dev: *mut bindings::device) -> c_int {
        errno((|| {
            // SAFETY: By this function's contract.
            let device = unsafe { sva_device(dev)? };

            devres::take(device.endpoint.dev(), &device).ok_or(EINVAL)?.shut_down();
            Ok(())
        })())
    }

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
        if !pasid.is_null() && !trace::counts() {
            // SAFETY: By this function's contract.
            if let Some(bound) = unsafe { repeat(dev, mm, flags, drvdata) } {
                // SAFETY: By this function's contract.
                unsafe { pasid.write(bound as c_int) };
                return 0;
            }
        }
        errno((|| {
            if mm.is_null() || pasid.is_null() {
                return Err(EINVAL);
            }
            // SAFETY: By this function's contract.
            let device = unsafe { sva_device(dev)? };
            let flags = Features::from_bits(flags as usize)?;
            // SAFETY: By this function's contract.
            let mm = unsafe { Mm::from_raw(mm) }.mmget_not_zero().ok_or(ESRCH)?;
            // Dropped without our locks, but perhaps with the driver's.
            let mm = MmWithUser::into_mmput_async(mm);
            let bond = Bond::bind(&device, &mm, request(Scope::Device, flags, drvdata))?;

            // SAFETY: By this function's contract.
            unsafe { pasid.write(bond.pasid as c_int) };
            Ok(())
        })())
    }

    /// # Safety
    ///
    /// `dev` must be null, or a device that has a driver.
    fn sva_unbind_device(dev: *mut bindings::device, pasid: c_int) -> c_int {
        // Most often others use the bond still. A negative number is no bond's.
        if !trace::counts() && counted::try_put(dev.cast(), pasid as u32) {
            return 0;
        }
        // SAFETY: By this function's contract.
        errno(unsafe { bond(dev, pasid) }.and_then(|bond| bond.unbind()))
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
            let bond = unsafe { bond(dev, pasid)? };

            bond.pin(range, write)?;
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
            let group = unsafe { IommuGroup::from_raw(group) };
            let flags = Features::from_bits(flags as usize)?;
            // SAFETY: By this function's contract.
            let mm = unsafe { Mm::from_raw(mm) }.mmget_not_zero().ok_or(ESRCH)?;
            let mm = MmWithUser::into_mmput_async(mm);
            let request = || request(Scope::Group, flags, drvdata);
            let bound = group::bind(group, &mm, |_| true, request)?;

            bound.log_left_out(group);
            // SAFETY: By this function's contract.
            unsafe { pasid.write(bound.pasid() as c_int) };
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
    /// None of its own: any number may be asked for.
    fn sva_find(pasid: c_int) -> *mut bindings::mm_struct {
        match u32::try_from(pasid).ok().and_then(api::find) {
            // The caller puts this reference with mmput().
            Some(mm) => ARef::into_raw(mm).as_ptr().cast(),
            None => ESRCH.to_ptr(),
        }
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

            device.set_exit_handler(ExitHandler::new(handler))
        })())
    }

    /// # Safety
    ///
    /// `dev` must be null, or a device that has a driver.
    fn sva_unregister_mm_exit_handler(dev: *mut bindings::device) -> c_int {
        errno((|| {
            // SAFETY: By this function's contract.
            let device = unsafe { sva_device(dev)? };

            device.take_exit_handler().ok_or(EINVAL)?;
            // A call may have begun before.
            device.core.queue.flush();
            Ok(())
        })())
    }
}
