// SPDX-License-Identifier: GPL-2.0

//! What processes and the device exchange, under Rust names.
//!
//! C header: [`include/uapi/linux/mock_accel.h`](srctree/include/uapi/linux/mock_accel.h), which
//! documents all of it.

use kernel::ioctl::{
    _IOR,
    _IOWR, //
};
pub(crate) use kernel_ext::bindings::{
    mock_accel_completion as Completion,
    mock_accel_desc as Descriptor,
    mock_accel_info as Info,
    mock_accel_submit as Submit,
    mock_accel_wait as Wait, //
};
use kernel_ext::bindings::{
    MOCK_ACCEL_BAD_DESCRIPTOR,
    MOCK_ACCEL_BAD_OPCODE,
    MOCK_ACCEL_BUS_ERROR,
    MOCK_ACCEL_IOC_MAGIC,
    MOCK_ACCEL_LIMIT,
    MOCK_ACCEL_PAGE_FAULT,
    MOCK_ACCEL_STOPPED,
    MOCK_ACCEL_SUCCESS, //
};
pub(crate) use kernel_ext::bindings::{
    MOCK_ACCEL_COMPLETION_ALIGN as COMPLETION_ALIGN,
    MOCK_ACCEL_DESC_ALIGN as DESC_ALIGN,
    MOCK_ACCEL_MAX_OFFSET as MAX_OFFSET,
    MOCK_ACCEL_OP_ATOMIC_ADD as OP_ATOMIC_ADD,
    MOCK_ACCEL_OP_CHASE as OP_CHASE,
    MOCK_ACCEL_OP_COMPARE as OP_COMPARE,
    MOCK_ACCEL_OP_COPY as OP_COPY,
    MOCK_ACCEL_OP_CRC32 as OP_CRC32,
    MOCK_ACCEL_OP_FILL as OP_FILL, //
};

/// `MOCK_ACCEL_IOC_QUERY`.
pub(crate) const QUERY: u32 = _IOR::<Info>(MOCK_ACCEL_IOC_MAGIC, 0);
/// `MOCK_ACCEL_IOC_SUBMIT`.
pub(crate) const SUBMIT: u32 = _IOWR::<Submit>(MOCK_ACCEL_IOC_MAGIC, 1);
/// `MOCK_ACCEL_IOC_WAIT`.
pub(crate) const WAIT: u32 = _IOWR::<Wait>(MOCK_ACCEL_IOC_MAGIC, 2);

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Status {
    /// Done.
    Success = MOCK_ACCEL_SUCCESS,
    /// No such operation.
    BadOpcode = MOCK_ACCEL_BAD_OPCODE,
    /// The descriptor contradicts itself, or the device's limits.
    BadDescriptor = MOCK_ACCEL_BAD_DESCRIPTOR,
    /// The process has no such right at the address.
    PageFault = MOCK_ACCEL_PAGE_FAULT,
    /// The access failed for another reason.
    BusError = MOCK_ACCEL_BUS_ERROR,
    /// The context ended first.
    Stopped = MOCK_ACCEL_STOPPED,
    /// The list is longer than allowed.
    Limit = MOCK_ACCEL_LIMIT,
}
