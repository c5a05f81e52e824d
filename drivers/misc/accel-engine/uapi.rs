// SPDX-License-Identifier: GPL-2.0

//! What processes and the device exchange in memory, under Rust names.
//!
//! C header: [`include/uapi/linux/mock_accel.h`](srctree/include/uapi/linux/mock_accel.h), which
//! documents all of it.

pub use kernel_ext::bindings::{
    mock_accel_completion as Completion,
    mock_accel_desc as Descriptor, //
};
use kernel_ext::bindings::{
    MOCK_ACCEL_BAD_DESCRIPTOR,
    MOCK_ACCEL_BAD_OPCODE,
    MOCK_ACCEL_BUS_ERROR,
    MOCK_ACCEL_LIMIT,
    MOCK_ACCEL_PAGE_FAULT,
    MOCK_ACCEL_STOPPED,
    MOCK_ACCEL_SUCCESS, //
};
pub use kernel_ext::bindings::{
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

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Status {
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
