// SPDX-License-Identifier: GPL-2.0

//! The C interface, `include/linux/mock_smmu.h`, which documents it.
//!
//! A `struct mock_smmu_port` is a boxed [`Dma`].

use crate::{
    api::{
        Dma,
        DmaError, //
    },
    device::{
        DeviceSpec,
        MAX_RESV, //
    },
    instances::{
        Numbers,
        INSTANCES, //
    },
};
use core::slice;
use kernel::{
    device::Device,
    prelude::*,
    types::ForeignOwnable, //
};
use kernel_ext::{
    bindings,
    resv_region::{
        ResvKind,
        ResvRegion, //
    }, //
};

const _: () = assert!(bindings::MOCK_SMMU_MAX_REGIONS as usize == MAX_RESV);

type Port = bindings::mock_smmu_port;

/// Checks at compile time that a function here has the type that the C header gives it.
macro_rules! matches_prototype {
    ($($name:ident),* $(,)?) => {$(
        const _: () = {
            if true {
                bindings::$name
            } else {
                $name
            };
        };
    )*};
}

matches_prototype!(
    mock_smmu_device_create,
    mock_smmu_device_destroy,
    mock_smmu_port_get,
    mock_smmu_port_put,
    mock_smmu_read,
    mock_smmu_write,
    mock_smmu_fetch_add,
    mock_smmu_prefetch,
    mock_smmu_stop,
    mock_smmu_start,
);

/// # Safety
///
/// `port` must come from [`mock_smmu_port_get`] and not be put during the call.
unsafe fn dma<'a>(port: *mut Port) -> &'a Dma {
    // SAFETY: By the function's requirement.
    unsafe { <KBox<Dma> as ForeignOwnable>::borrow(port.cast()) }
}

fn ssid(ssid: u32) -> Option<u32> {
    (ssid != bindings::MOCK_SMMU_NO_SSID).then_some(ssid)
}

/// Stores the address of an error, and gives the errno.
///
/// # Safety
///
/// `fault_addr` must be null or valid for a write.
unsafe fn errno(result: Result<(), DmaError>, fault_addr: *mut u64) -> c_int {
    match result {
        Ok(()) => 0,
        Err(error) => {
            if !fault_addr.is_null() {
                // SAFETY: By the function's requirement.
                unsafe { fault_addr.write(error.addr) };
            }
            Error::from(error).to_errno()
        }
    }
}

/// What the C interface says of a region; one without a length is none.
fn resv_region(region: &bindings::mock_smmu_region) -> Result<Option<ResvRegion>> {
    let &bindings::mock_smmu_region { start, len, direct } = region;

    start.checked_add(len).ok_or(EINVAL)?;
    Ok((len != 0).then_some(ResvRegion {
        start,
        len,
        kind: if direct {
            ResvKind::Direct
        } else {
            ResvKind::Reserved
        },
    }))
}

/// # Safety
///
/// `config` must be valid, and its name a C string.
#[no_mangle]
pub(crate) unsafe extern "C" fn mock_smmu_device_create(
    config: *const bindings::mock_smmu_device,
) -> *mut bindings::device {
    // SAFETY: By the function's requirement.
    let config = unsafe { &*config };
    // SAFETY: By the function's requirement.
    let name = unsafe { CStr::from_char_ptr(config.name) };
    let add = || {
        let ats = config.ats || config.pasid_bits != 0;
        let mut spec = DeviceSpec {
            pasid_bits: u8::try_from(config.pasid_bits).map_err(|_| EINVAL)?,
            ats,
            pri: ats,
            group: (config.group != 0).then_some(config.group),
            ..DeviceSpec::DEFAULT
        };
        let numbers = Numbers {
            id: Some(config.id),
            sid: None,
        };

        for (to, region) in spec.resv.iter_mut().zip(&config.regions) {
            *to = resv_region(region)?;
        }
        let instances = INSTANCES.get().ok_or(ENODEV)?;
        instances.add_device(None, name, numbers, &spec)
    };

    match add() {
        // The list keeps the device; the caller's pointer is good until it is destroyed.
        Ok(dev) => core::ptr::from_ref(&*dev).cast_mut().cast(),
        Err(error) => error.to_ptr(),
    }
}

/// # Safety
///
/// `dev` must come from [`mock_smmu_device_create`], and not have been destroyed.
#[no_mangle]
pub(crate) unsafe extern "C" fn mock_smmu_device_destroy(dev: *mut bindings::device) {
    // SAFETY: By the function's requirement the device is live.
    let dev: &Device = unsafe { Device::from_raw(dev) };

    if let Some(instances) = INSTANCES.get() {
        // All instances may have been removed, and the device with them.
        let _ = instances.remove_device(dev);
    }
}

/// # Safety
///
/// `dev` must be a device that is bound to its driver during the call.
#[no_mangle]
pub(crate) unsafe extern "C" fn mock_smmu_port_get(dev: *mut bindings::device) -> *mut Port {
    // SAFETY: By the function's requirement the device is live.
    let dev: &Device = unsafe { Device::from_raw(dev) };
    // SAFETY: By the function's requirement the device is bound.
    let dma = Dma::of(unsafe { dev.as_bound() });

    match dma.and_then(|dma| Ok(KBox::new(dma, GFP_KERNEL)?)) {
        Ok(dma) => dma.into_foreign().cast(),
        Err(error) => error.to_ptr(),
    }
}

/// # Safety
///
/// `port` must come from [`mock_smmu_port_get`]; the call takes it back.
#[no_mangle]
pub(crate) unsafe extern "C" fn mock_smmu_port_put(port: *mut Port) {
    // SAFETY: By the function's requirement.
    drop(unsafe { <KBox<Dma> as ForeignOwnable>::from_foreign(port.cast()) });
}

/// # Safety
///
/// As for [`dma`]; `buf` must be valid for writes of `len` bytes, and `fault_addr` as [`errno`]
/// says.
#[no_mangle]
pub(crate) unsafe extern "C" fn mock_smmu_read(
    port: *mut Port,
    pasid: u32,
    addr: u64,
    buf: *mut c_void,
    len: usize,
    fault_addr: *mut u64,
) -> c_int {
    if len == 0 {
        return 0;
    }
    // SAFETY: By the function's requirement; any bytes make a `u8`, and nobody else has the buffer.
    let buf = unsafe { slice::from_raw_parts_mut(buf.cast::<u8>(), len) };
    // SAFETY: By the function's requirement.
    let dma = unsafe { dma(port) };
    // SAFETY: By the function's requirement.
    unsafe { errno(dma.read(ssid(pasid), addr, buf), fault_addr) }
}

/// # Safety
///
/// As for [`dma`]; `buf` must be valid for reads of `len` bytes, and `fault_addr` as [`errno`]
/// says.
#[no_mangle]
pub(crate) unsafe extern "C" fn mock_smmu_write(
    port: *mut Port,
    pasid: u32,
    addr: u64,
    buf: *const c_void,
    len: usize,
    fault_addr: *mut u64,
) -> c_int {
    if len == 0 {
        return 0;
    }
    // SAFETY: By the function's requirement, and nobody writes to the buffer meanwhile.
    let buf = unsafe { slice::from_raw_parts(buf.cast::<u8>(), len) };
    // SAFETY: By the function's requirement.
    let dma = unsafe { dma(port) };
    // SAFETY: By the function's requirement.
    unsafe { errno(dma.write(ssid(pasid), addr, buf), fault_addr) }
}

/// # Safety
///
/// As for [`dma`]; `old` must be valid for a write.
#[no_mangle]
pub(crate) unsafe extern "C" fn mock_smmu_fetch_add(
    port: *mut Port,
    pasid: u32,
    addr: u64,
    add: u64,
    old: *mut u64,
) -> c_int {
    // SAFETY: By the function's requirement.
    let dma = unsafe { dma(port) };
    match dma.fetch_add(ssid(pasid), addr, add) {
        Ok(value) => {
            // SAFETY: By the function's requirement.
            unsafe { old.write(value) };
            0
        }
        Err(error) => Error::from(error).to_errno(),
    }
}

/// # Safety
///
/// As for [`dma`].
#[no_mangle]
pub(crate) unsafe extern "C" fn mock_smmu_prefetch(
    port: *mut Port,
    pasid: u32,
    addr: u64,
    len: usize,
    write: bool,
) -> c_int {
    // SAFETY: By the function's requirement.
    let dma = unsafe { dma(port) };
    let result = dma.prefetch(ssid(pasid), addr, len, write);
    // SAFETY: A null pointer is allowed.
    unsafe { errno(result, core::ptr::null_mut()) }
}

/// # Safety
///
/// As for [`dma`].
#[no_mangle]
pub(crate) unsafe extern "C" fn mock_smmu_stop(port: *mut Port) {
    // SAFETY: By the function's requirement.
    unsafe { dma(port) }.stop();
}

/// # Safety
///
/// As for [`dma`].
#[no_mangle]
pub(crate) unsafe extern "C" fn mock_smmu_start(port: *mut Port) {
    // SAFETY: By the function's requirement.
    unsafe { dma(port) }.start();
}

#[kunit_tests(smmu_c_api)]
mod tests {
    use super::*;
    use crate::instance::{
        default_config,
        Instance, //
    };
    use kernel_ext::phys::PhysPages;

    const NONE: u32 = bindings::MOCK_SMMU_NO_SSID;

    fn raw(dev: &Device) -> *mut bindings::device {
        core::ptr::from_ref(dev).cast_mut().cast()
    }

    #[test]
    fn port_accesses() -> Result {
        let mut instance = Instance::new(c"mock_smmu_kunit_c", default_config())?;
        let spec = DeviceSpec {
            sid: 5,
            pasid_bits: 0,
            ats: false,
            pri: false,
            ..DeviceSpec::DEFAULT
        };
        instance.add_device(c"mock_smmu_kunit_c_device", &spec)?;
        let dev = raw(instance.devices().first().ok_or(ENODEV)?.device());
        let memory = PhysPages::alloc(4096)?;
        let (addr, mut old, mut fault) = (memory.phys(), 0, 0);
        let (data, mut seen) = (7u64.to_ne_bytes(), [0; 8]);

        // SAFETY: The device stays behind its SMMU until the end of the test, which is what being
        // bound stands for here. All other arguments are valid.
        let results = unsafe {
            let port = mock_smmu_port_get(dev);
            let written = mock_smmu_write(port, NONE, addr, data.as_ptr().cast(), 8, &mut fault);
            let added = mock_smmu_fetch_add(port, NONE, addr, 3, &mut old);
            let read = mock_smmu_read(port, NONE, addr, seen.as_mut_ptr().cast(), 8, &mut fault);
            let misaligned = mock_smmu_fetch_add(port, NONE, addr + 1, 3, &mut old);
            mock_smmu_stop(port);
            let stopped = mock_smmu_read(port, NONE, addr, seen.as_mut_ptr().cast(), 8, &mut fault);
            mock_smmu_start(port);
            let prefetched = mock_smmu_prefetch(port, NONE, addr, 8, false);
            mock_smmu_port_put(port);
            [written, added, read, misaligned, stopped, prefetched]
        };
        drop(instance);
        let (einval, eshutdown) = (EINVAL.to_errno(), ESHUTDOWN.to_errno());
        assert_eq!(results, [0, 0, 0, einval, eshutdown, 0]);
        assert_eq!((old, u64::from_ne_bytes(seen)), (7, 10));
        assert_eq!(fault, addr);
        Ok(())
    }

    #[test]
    fn no_mock_smmu() -> Result {
        let instance = Instance::new(c"mock_smmu_kunit_c", default_config())?;
        // The SMMU itself is behind none.
        let dev = raw(instance.device());
        // SAFETY: The device is live until the end of the test and behind no IOMMU.
        let error = unsafe { kernel::bindings::PTR_ERR(mock_smmu_port_get(dev).cast()) };
        drop(instance);
        assert_eq!(error, ENODEV.to_errno() as isize);
        Ok(())
    }
}
