// SPDX-License-Identifier: GPL-2.0

//! The interface for drivers in C, as `include/linux/sva.h` declares and documents it; that of 2018
//! is in [`seed`].

use crate::{
    api,
    bond::{
        core::CORE,
        device::SvaDevice,
        group::GroupBond,
        members::{self, GroupRequest},
        owner::{AnyOwner, Calls, Hears, Plain},
        Bond, Request,
    },
    fault::refusal::Refusal,
    features::Features,
};
use core::{
    ops::{Range, RangeInclusive},
    ptr::NonNull,
};
use kernel::{
    device::{Bound, Device},
    ffi::{c_int, c_uint, c_ulong, c_void},
    mm::{Mm, MmWithUser, MmWithUserAsync},
    prelude::*,
    sync::{aref::ARef, Arc},
};
use kernel_ext::{
    bindings,
    devres,
    group::IommuGroup,
    pin::PinnedRange, //
};

mod handle;
mod range;
mod seed;

use self::handle::{Handle, LentHandle, OwnedHandle};

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
use export;

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

/// The memory of a process that C code passed in: `EINVAL` if there is none, `ESRCH` if it is gone.
///
/// # Safety
///
/// `mm` must be null, or an mm of which the caller holds a reference.
unsafe fn memory(mm: *mut bindings::mm_struct) -> Result<ARef<MmWithUserAsync>> {
    if mm.is_null() {
        return Err(EINVAL);
    }
    // SAFETY: By this function's contract.
    let mm = unsafe { Mm::from_raw(mm) }.mmget_not_zero().ok_or(ESRCH)?;

    // Dropped without our locks, but perhaps with the driver's.
    Ok(MmWithUser::into_mmput_async(mm))
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

/// Initialises a device.
///
/// # Safety
///
/// `dev` must be null, or a device that has a driver.
unsafe fn init(
    dev: *mut bindings::device,
    features: c_ulong,
    pasids: RangeInclusive<u32>,
) -> Result {
    // SAFETY: By this function's contract.
    let dev = unsafe { device(dev)? };
    let features = Features::from_bits(features)?;
    let core = CORE.get().ok_or(ENODEV)?;
    // SAFETY: By this function's contract the device has a driver; the type is transparent over its
    // context.
    let dev = unsafe { &*::core::ptr::from_ref(dev).cast::<Device<Bound>>() };

    SvaDevice::init(core, dev, features, pasids, None)?;
    Ok(())
}

/// Binds a device.
fn bind(
    device: &Arc<SvaDevice>,
    mm: &MmWithUser,
    flags: c_ulong,
    plain: Plain,
) -> Result<Arc<Bond>> {
    let request = Request {
        flags: Features::from_bits(flags)?,
        identity: plain.identity(),
        owner: || Ok(AnyOwner::Plain(plain)),
    };

    Ok(Bond::bind(device, mm, request)?)
}

/// Binds the members of a group, and logs how many were left out.
fn bind_members(
    group: &IommuGroup,
    mm: &MmWithUser,
    flags: c_ulong,
    plain: Plain,
) -> Result<Arc<GroupBond>> {
    let request = GroupRequest {
        flags: Features::from_bits(flags)?,
        identity: plain.identity(),
        suits: |_: &SvaDevice| true,
        owner: |_: &SvaDevice| Ok(AnyOwner::Plain(plain)),
    };
    let bound = members::bind(group, None, mm, &request)?;

    bound.log_left_out(group);
    Ok(bound.group)
}

/// The driver's side of a bond with a callback of its own.
fn plain(exit: bindings::sva_exit_t, drvdata: *mut c_void) -> Plain {
    Plain {
        data: drvdata.expose_provenance(),
        hears: match exit {
            None => Hears::Nothing,
            Some(exit) => Hears::Bond(exit as usize),
        },
    }
}

/// The driver's side of a bond with a table of callbacks, or none.
///
/// # Safety
///
/// `ops` must be null, or valid.
unsafe fn table(ops: *const bindings::sva_bond_ops, drvdata: *mut c_void) -> Plain {
    // SAFETY: By this function's contract.
    let hears = match unsafe { ops.as_ref() } {
        None => Hears::Nothing,
        Some(there) => Hears::Table {
            table: ops.expose_provenance(),
            exit: there.exit.is_some(),
            refused: there.refused.is_some(),
        },
    };

    Plain {
        data: drvdata.expose_provenance(),
        hears,
    }
}

/// How what [`plain`] and [`table`] got is called.
pub(crate) const CALLS: Calls = Calls {
    exit: call_exit,
    table_exit: call_table_exit,
    table_refused: call_table_refused,
};

/// A table that [`table`] got.
///
/// # Safety
///
/// `table` must be the address of such a table, of a bond that has not ended.
unsafe fn ops<'a>(table: usize) -> &'a bindings::sva_bond_ops {
    // SAFETY: The driver keeps it until the bond has ended.
    unsafe { &*::core::ptr::with_exposed_provenance(table) }
}

fn call_table_exit(dev: &Device, pasid: u32, table: usize, data: usize) {
    // SAFETY: `table` pairs this function with the address of a table, whose bond ends after this.
    if let Some(exit) = unsafe { ops(table) }.exit {
        call_exit(dev, pasid, exit as usize, data);
    }
}

fn call_table_refused(dev: &Device, pasid: u32, table: usize, data: usize, refusal: &Refusal) {
    let told = bindings::sva_refusal {
        addr: refusal.addr,
        access: refusal.access.into(),
        reason: refusal.reason as u32,
        requests: refusal.requests,
        untold: refusal.untold,
    };

    // SAFETY: As above: who takes the bond off the list of those that hear waits for this.
    if let Some(refused) = unsafe { ops(table) }.refused {
        // SAFETY: It is a function for this bond; `drvdata` is what was passed with it.
        unsafe {
            refused(
                ::core::ptr::from_ref(dev).cast_mut().cast(),
                pasid,
                ::core::ptr::with_exposed_provenance_mut(data),
                &told,
            );
        }
    }
}

/// Calls what [`plain`] got.
fn call_exit(dev: &Device, pasid: u32, code: usize, data: usize) {
    // SAFETY: `plain` alone pairs this function with an address, that of such a function.
    let exit: bindings::sva_exit_t = unsafe { ::core::mem::transmute(code) };

    if let Some(exit) = exit {
        // SAFETY: The driver passed the function for this bond, and has not got it back before it
        // has ended; `drvdata` is what it passed with it.
        unsafe {
            exit(
                ::core::ptr::from_ref(dev).cast_mut().cast(),
                pasid,
                ::core::ptr::with_exposed_provenance_mut(data),
            );
        }
    }
}

/// What bind returns.
fn handle(bound: Result<OwnedHandle>) -> *mut bindings::sva_bond {
    match bound {
        Ok(handle) => handle.into_raw(),
        Err(e) => e.to_ptr(),
    }
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
        // SAFETY: By this function's contract.
        errno(unsafe { init(dev, features, 0..=max_pasid) })
    }

    /// # Safety
    ///
    /// `dev` must be null, or a device that has a driver.
    fn sva_device_init_within(
        dev: *mut bindings::device,
        features: c_ulong,
        min_pasid: c_uint,
        max_pasid: c_uint
    ) -> c_int {
        // SAFETY: By this function's contract.
        errno(unsafe { init(dev, features, min_pasid..=max_pasid) })
    }

    /// # Safety
    ///
    /// `dev` must be null, or a device that has a driver.
    fn sva_device_shutdown(dev: *mut bindings::device) -> c_int {
        errno((|| {
            // SAFETY: By this function's contract.
            let (dev, device) = unsafe { (device(dev)?, sva_device(dev)?) };

            devres::end(dev, &device, |device| device.shut_down()).ok_or(EINVAL)?;
            Ok(())
        })())
    }

    /// # Safety
    ///
    /// `dev` must be null, or a device that has a driver. `mm` must be null, or an mm of which
    /// the caller holds a reference. `exit` must be null, or may be called with `drvdata` until the
    /// bond has ended.
    fn sva_bind(
        dev: *mut bindings::device,
        mm: *mut bindings::mm_struct,
        flags: c_ulong,
        exit: bindings::sva_exit_t,
        drvdata: *mut c_void
    ) -> *mut bindings::sva_bond {
        handle((|| {
            // SAFETY: By this function's contract.
            let (device, mm) = unsafe { (sva_device(dev)?, memory(mm)?) };

            Ok(Handle::Device(bind(&device, &mm, flags, plain(exit, drvdata))?))
        })())
    }

    /// # Safety
    ///
    /// `group` must be null, or a group of which the caller holds a reference, and whose members
    /// keep their drivers for the time of the call; the rest as for `sva_bind`.
    fn sva_bind_members(
        group: *mut bindings::iommu_group,
        mm: *mut bindings::mm_struct,
        flags: c_ulong,
        exit: bindings::sva_exit_t,
        drvdata: *mut c_void
    ) -> *mut bindings::sva_bond {
        handle((|| {
            if group.is_null() {
                return Err(EINVAL);
            }
            // SAFETY: By this function's contract.
            let (group, mm) = unsafe { (IommuGroup::from_raw(group), memory(mm)?) };

            Ok(Handle::Group(bind_members(group, &mm, flags, plain(exit, drvdata))?))
        })())
    }

    /// # Safety
    ///
    /// `ops` must be null, or valid, as must be its functions, until the bond has ended; the rest as
    /// for `sva_bind`.
    fn sva_bind_ops(
        dev: *mut bindings::device,
        mm: *mut bindings::mm_struct,
        flags: c_ulong,
        ops: *const bindings::sva_bond_ops,
        drvdata: *mut c_void
    ) -> *mut bindings::sva_bond {
        handle((|| {
            // SAFETY: By this function's contract.
            let (device, mm, plain) =
                unsafe { (sva_device(dev)?, memory(mm)?, table(ops, drvdata)) };

            Ok(Handle::Device(bind(&device, &mm, flags, plain)?))
        })())
    }

    /// # Safety
    ///
    /// As for `sva_bind_members` and `sva_bind_ops`.
    fn sva_bind_members_ops(
        group: *mut bindings::iommu_group,
        mm: *mut bindings::mm_struct,
        flags: c_ulong,
        ops: *const bindings::sva_bond_ops,
        drvdata: *mut c_void
    ) -> *mut bindings::sva_bond {
        handle((|| {
            if group.is_null() {
                return Err(EINVAL);
            }
            // SAFETY: By this function's contract.
            let (group, mm, plain) =
                unsafe { (IommuGroup::from_raw(group), memory(mm)?, table(ops, drvdata)) };

            Ok(Handle::Group(bind_members(group, &mm, flags, plain)?))
        })())
    }

    /// # Safety
    ///
    /// `bond` must be null, or what one of the functions above returned, and is given up.
    fn sva_unbind(bond: *mut bindings::sva_bond) -> () {
        let Some(bond) = NonNull::new(bond) else {
            return;
        };

        // SAFETY: By this function's contract.
        let _ = match unsafe { OwnedHandle::from_raw(bond) } {
            // ESRCH tells that it has ended before.
            Handle::Device(bond) => bond.unbind(),
            Handle::Group(group) => group.unbind(),
        };
    }

    /// # Safety
    ///
    /// `bond` must be what bind returned, and not be given up meanwhile.
    fn sva_bond_pasid(bond: *const bindings::sva_bond) -> u32 {
        // SAFETY: By this function's contract.
        unsafe { LentHandle::from_raw(bond) }.pasid()
    }

    /// # Safety
    ///
    /// As for `sva_bond_pasid`.
    fn sva_bond_pin(
        bond: *mut bindings::sva_bond,
        addr: c_ulong,
        len: usize,
        write: bool
    ) -> c_int {
        // SAFETY: By this function's contract.
        let bond = unsafe { LentHandle::from_raw(bond) };

        errno(range(addr, len).and_then(|range| bond.pin(&range, write)))
    }

    /// # Safety
    ///
    /// As for `sva_bond_pasid`.
    fn sva_bond_unpin(bond: *mut bindings::sva_bond, addr: c_ulong, len: usize) -> c_int {
        // SAFETY: By this function's contract.
        let bond = unsafe { LentHandle::from_raw(bond) };

        errno(range(addr, len).and_then(|range| bond.unpin(&range)))
    }

    /// # Safety
    ///
    /// As for `sva_bond_pasid`; `start` must be a function that may be called with `arg`.
    fn sva_start(
        bond: *mut bindings::sva_bond,
        start: Option<unsafe extern "C" fn(pasid: u32, arg: *mut c_void) -> c_int>,
        arg: *mut c_void
    ) -> c_int {
        // SAFETY: By this function's contract.
        let bond = unsafe { LentHandle::from_raw(bond) };
        let Some(start) = start else {
            return EINVAL.to_errno();
        };

        // SAFETY: By this function's contract.
        match bond.start(|pasid| unsafe { start(pasid, arg) }) {
            Ok(result) => result,
            Err(e) => e.to_errno(),
        }
    }

    /// # Safety
    ///
    /// As for `sva_bond_pasid`.
    fn sva_bond_is_callers(bond: *const bindings::sva_bond) -> bool {
        // SAFETY: By this function's contract.
        unsafe { LentHandle::from_raw(bond) }.is_callers()
    }

    /// # Safety
    ///
    /// As for `sva_bond_pasid`; `from` must be valid for reading `len` bytes.
    fn sva_copy_to(
        bond: *mut bindings::sva_bond,
        addr: c_ulong,
        from: *const c_void,
        len: usize
    ) -> c_int {
        // SAFETY: By this function's contract.
        let bond = unsafe { LentHandle::from_raw(bond) };
        let from = match len {
            0 => &[],
            // SAFETY: By this function's contract.
            _ => unsafe { ::core::slice::from_raw_parts(from.cast::<u8>(), len) },
        };

        errno(bond.any().and_then(|bond| bond.write(addr as u64, from)))
    }

    /// # Safety
    ///
    /// As for `sva_bond_pasid`; `to` must be valid for writing `len` bytes, and hold something.
    fn sva_copy_from(
        bond: *mut bindings::sva_bond,
        to: *mut c_void,
        addr: c_ulong,
        len: usize
    ) -> c_int {
        // SAFETY: By this function's contract.
        let bond = unsafe { LentHandle::from_raw(bond) };
        let to = match len {
            0 => &mut [],
            // SAFETY: By this function's contract; bytes of any value are bytes.
            _ => unsafe { ::core::slice::from_raw_parts_mut(to.cast::<u8>(), len) },
        };

        errno(bond.any().and_then(|bond| bond.read(addr as u64, to)))
    }

    /// # Safety
    ///
    /// As for `sva_bond_pasid`.
    fn sva_prefetch(
        bond: *mut bindings::sva_bond,
        addr: c_ulong,
        len: usize,
        write: bool
    ) -> isize {
        // SAFETY: By this function's contract.
        let bond = unsafe { LentHandle::from_raw(bond) };
        let there = bond
            .any()
            .and_then(|bond| bond.prefetch(addr as u64, len as u64, write));

        match there {
            // CAST: Fewer pages than there are addresses.
            Ok(pages) => pages as isize,
            Err(e) => e.to_errno() as isize,
        }
    }

    /// # Safety
    ///
    /// None of its own: any number may be asked for.
    fn sva_find(pasid: u32) -> *mut bindings::mm_struct {
        match api::find(pasid) {
            // The caller puts this reference with mmput().
            Some(mm) => ARef::into_raw(mm).as_ptr().cast(),
            None => ESRCH.to_ptr(),
        }
    }
}
