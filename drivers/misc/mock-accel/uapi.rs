// SPDX-License-Identifier: GPL-2.0

//! What processes and the driver exchange, under Rust names.
//!
//! C header: [`include/uapi/linux/mock_accel.h`](srctree/include/uapi/linux/mock_accel.h), which
//! documents all of it.

pub(crate) use accel_engine::uapi::{
    Completion,
    Status,
    DESC_ALIGN, //
};
use kernel::ioctl::{
    _IOR,
    _IOWR, //
};
use kernel_ext::bindings::MOCK_ACCEL_IOC_MAGIC;
pub(crate) use kernel_ext::bindings::{
    mock_accel_info as Info,
    mock_accel_prefetch as Prefetch,
    mock_accel_submit as Submit,
    mock_accel_wait as Wait, //
};

/// `MOCK_ACCEL_IOC_QUERY`.
pub(crate) const QUERY: u32 = _IOR::<Info>(MOCK_ACCEL_IOC_MAGIC, 0);
/// `MOCK_ACCEL_IOC_SUBMIT`.
pub(crate) const SUBMIT: u32 = _IOWR::<Submit>(MOCK_ACCEL_IOC_MAGIC, 1);
/// `MOCK_ACCEL_IOC_WAIT`.
pub(crate) const WAIT: u32 = _IOWR::<Wait>(MOCK_ACCEL_IOC_MAGIC, 2);
/// `MOCK_ACCEL_IOC_PREFETCH`.
pub(crate) const PREFETCH: u32 = _IOWR::<Prefetch>(MOCK_ACCEL_IOC_MAGIC, 3);
