// SPDX-License-Identifier: GPL-2.0

//! Accesses of any kind, waited for or not.

use super::{
    matches_prototype,
    port::{
        dma,
        ssid,
        Port, //
    }, //
};
use crate::api::{
    Attrs,
    Dma,
    DmaError, //
};
use core::{
    ptr::NonNull,
    slice, //
};
use kernel::prelude::*;
use kernel_ext::bindings;

type Request = bindings::mock_smmu_request;

matches_prototype!(mock_smmu_access, mock_smmu_submit);

/// What a request says to do.
enum Op<'a> {
    Read(&'a mut [u8]),
    Write(&'a [u8]),
    FetchAdd,
    Swap,
    CompareExchange,
    Prefetch { write: bool },
}

/// Whether `op` is one that there is.
fn known(op: bindings::mock_smmu_op) -> bool {
    op <= bindings::mock_smmu_op_MOCK_SMMU_PREFETCH_WRITE
}

/// # Safety
///
/// The buffer of `request` must be valid for what it is to be used for, and nobody else use it,
/// for `'a`.
unsafe fn op<'a>(request: &Request) -> Option<Op<'a>> {
    let (buf, len) = match NonNull::new(request.buf.cast::<u8>()) {
        Some(buf) => (buf.as_ptr(), request.len),
        None => (NonNull::dangling().as_ptr(), 0),
    };
    Some(match request.op {
        bindings::mock_smmu_op_MOCK_SMMU_READ => {
            // SAFETY: By the function's requirement; any bytes make a `u8`.
            Op::Read(unsafe { slice::from_raw_parts_mut(buf, len) })
        }
        bindings::mock_smmu_op_MOCK_SMMU_WRITE => {
            // SAFETY: By the function's requirement.
            Op::Write(unsafe { slice::from_raw_parts(buf, len) })
        }
        bindings::mock_smmu_op_MOCK_SMMU_FETCH_ADD => Op::FetchAdd,
        bindings::mock_smmu_op_MOCK_SMMU_SWAP => Op::Swap,
        bindings::mock_smmu_op_MOCK_SMMU_COMPARE_EXCHANGE => Op::CompareExchange,
        bindings::mock_smmu_op_MOCK_SMMU_PREFETCH_READ => Op::Prefetch { write: false },
        bindings::mock_smmu_op_MOCK_SMMU_PREFETCH_WRITE => Op::Prefetch { write: true },
        _ => return None,
    })
}

/// Makes the access, and writes down how it went.
///
/// # Safety
///
/// As for [`op`], during the call.
unsafe fn run(dma: &Dma, request: &mut Request) {
    let dma = dma.with(Attrs {
        privileged: request.privileged,
        exec: request.exec,
    });
    let (ssid, addr) = (ssid(request.ssid), request.addr);
    let (operand, expected) = (request.operand, request.expected);
    // SAFETY: By the function's requirement.
    let result: Result<u64, DmaError> = match unsafe { op(request) } {
        Some(Op::Read(buf)) => dma.read(ssid, addr, buf).map(|()| 0),
        Some(Op::Write(buf)) => dma.write(ssid, addr, buf).map(|()| 0),
        Some(Op::FetchAdd) => dma.fetch_add(ssid, addr, operand),
        Some(Op::Swap) => dma.swap(ssid, addr, operand),
        Some(Op::CompareExchange) => dma.compare_exchange(ssid, addr, expected, operand),
        Some(Op::Prefetch { write }) => dma.prefetch(ssid, addr, request.len, write).map(|()| 0),
        None => {
            request.error = EINVAL.to_errno();
            return;
        }
    };
    match result {
        Ok(old) => {
            request.old = old;
            request.error = 0;
        }
        Err(error) => {
            request.fault_addr = error.addr;
            request.error = Error::from(error).to_errno();
        }
    }
}

/// A request that was submitted.
///
/// # Invariants
///
/// The request, its buffer and its callback are valid and ours until the callback is called.
struct Submitted(NonNull<Request>);

// SAFETY: By the type invariant nobody else uses the request, and C has no thread in mind for it.
unsafe impl Send for Submitted {}

impl Submitted {
    fn run(self, dma: &Dma) {
        // SAFETY: By the type invariant.
        let request = unsafe { &mut *self.0.as_ptr() };

        // SAFETY: By the type invariant.
        unsafe { run(dma, request) };
        if let Some(complete) = request.complete {
            // SAFETY: By the type invariant. The reference is not used any more.
            unsafe { complete(self.0.as_ptr()) };
        }
    }
}

/// # Safety
///
/// As for [`dma`]; `request` must be valid, as must be its buffer for what it asks.
#[no_mangle]
pub(crate) unsafe extern "C" fn mock_smmu_access(port: *mut Port, request: *mut Request) -> c_int {
    // SAFETY: By the function's requirement.
    let (dma, request) = unsafe { (dma(port), &mut *request) };

    // SAFETY: By the function's requirement.
    unsafe { run(dma, request) };
    request.error
}

/// # Safety
///
/// As for [`mock_smmu_access`], until the request's `complete` was called.
#[no_mangle]
pub(crate) unsafe extern "C" fn mock_smmu_submit(port: *mut Port, request: *mut Request) -> c_int {
    let Some(request) = NonNull::new(request) else {
        return EINVAL.to_errno();
    };
    // SAFETY: By the function's requirement.
    let dma = unsafe { dma(port) };
    {
        // SAFETY: By the function's requirement; the reference ends with this block.
        let request = unsafe { request.as_ref() };
        if request.complete.is_none() || !known(request.op) {
            return EINVAL.to_errno();
        }
    }
    // INVARIANT: By the function's requirement.
    let submitted = Submitted(request);
    let result = dma.submit(move |dma| submitted.run(dma));
    result.map_or_else(Error::to_errno, |()| 0)
}
