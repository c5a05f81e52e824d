// SPDX-License-Identifier: GPL-2.0

//! Ports: reads, writes, limits.
//!
//! A `struct mock_smmu_port` is a boxed [`Dma`].

use super::matches_prototype;
use crate::api::{
    Dma,
    DmaError,
    Lies,
    PortLimits, //
};
use core::slice;
use kernel::{
    device::Device,
    prelude::*,
    types::ForeignOwnable, //
};
use kernel_ext::bindings;

pub(super) type Port = bindings::mock_smmu_port;

matches_prototype!(
    mock_smmu_port_get,
    mock_smmu_port_put,
    mock_smmu_read,
    mock_smmu_write,
    mock_smmu_fetch_add,
    mock_smmu_prefetch,
    mock_smmu_stop,
    mock_smmu_start,
    mock_smmu_drain,
    mock_smmu_entry,
    mock_smmu_set_limits,
    mock_smmu_set_lies,
);

/// # Safety
///
/// `port` must come from [`mock_smmu_port_get`] and not be put during the call.
pub(super) unsafe fn dma<'a>(port: *mut Port) -> &'a Dma {
    // SAFETY: By the function's requirement.
    unsafe { <KBox<Dma> as ForeignOwnable>::borrow(port.cast()) }
}

pub(super) fn ssid(ssid: u32) -> Option<u32> {
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

/// # Safety
///
/// As for [`dma`].
#[no_mangle]
pub(crate) unsafe extern "C" fn mock_smmu_drain(port: *mut Port) {
    // SAFETY: By the function's requirement.
    unsafe { dma(port) }.drain();
}

/// # Safety
///
/// As for [`dma`]; `words` must be valid for a write of eight.
#[no_mangle]
pub(crate) unsafe extern "C" fn mock_smmu_entry(
    port: *mut Port,
    pasid: u32,
    words: *mut u64,
) -> c_int {
    // SAFETY: By the function's requirement.
    let dma = unsafe { dma(port) };

    match dma.entry(ssid(pasid)) {
        Ok(entry) => {
            // SAFETY: By the function's requirement.
            unsafe { words.cast::<[u64; 8]>().write(entry) };
            0
        }
        Err(error) => error.to_errno(),
    }
}

/// # Safety
///
/// As for [`dma`]; `limits` must be valid for a read.
#[no_mangle]
pub(crate) unsafe extern "C" fn mock_smmu_set_limits(
    port: *mut Port,
    limits: *const bindings::mock_smmu_limits,
) -> c_int {
    // SAFETY: By the function's requirement.
    let (dma, limits) = unsafe { (dma(port), &*limits) };
    let limits = PortLimits {
        max_outstanding: limits.max_outstanding,
        max_retries: limits.max_retries,
        timeout_ms: limits.timeout_ms,
    };
    dma.set_limits(limits).map_or_else(Error::to_errno, |()| 0)
}

/// # Safety
///
/// As for [`dma`]; `lies` must be valid for a read.
#[no_mangle]
pub(crate) unsafe extern "C" fn mock_smmu_set_lies(
    port: *mut Port,
    lies: *const bindings::mock_smmu_lies,
) -> c_int {
    // SAFETY: By the function's requirement.
    let (dma, lies) = unsafe { (dma(port), &*lies) };
    let lies = Lies {
        foreign_ssid: lies.use_foreign_ssid.then_some(lies.foreign_ssid),
        no_last: lies.no_last,
        flood: lies.flood,
        repeat: lies.repeat,
        one_group: lies.one_group,
        late_ms: lies.late_ms,
        ack_ms: lies.ack_ms,
        unsupported: lies.unsupported,
        unstoppable: lies.unstoppable,
    };
    dma.set_lies(lies).map_or_else(Error::to_errno, |()| 0)
}
