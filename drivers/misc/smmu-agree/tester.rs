// SPDX-License-Identifier: GPL-2.0

//! QEMU's `iommu-testdev`: it writes a fixed pattern by DMA when it is asked to, and tells whether
//! that was possible.

use kernel::prelude::*;

use crate::devices::Endpoint;

/// A read makes the access, if it is armed.
const TRIGGER: usize = 0x00;
const ADDRESS: usize = 0x04;
const LENGTH: usize = 0x0c;
const RESULT: usize = 0x10;
const DOORBELL: usize = 0x14;
/// Where it reads its own pattern back, past the SMMU.
const READ_BACK: usize = 0x1c;
const ARM: u32 = 1;
/// The access failed.
const FAILED: u32 = 0xdead_0002;
/// It did not, but what was read back is something else, or nothing.
const ELSEWHERE: [u32; 2] = [0xdead_0003, 0xdead_0004];

/// What it writes, again and again.
pub(crate) const PATTERN: [u8; 4] = 0x1234_5678u32.to_le_bytes();

/// Has memory to read back from.
pub(crate) fn read_back_at(endpoint: &Endpoint, phys: u64) -> Result {
    endpoint.write64(READ_BACK, phys)
}

/// Writes `len` bytes at `va`; gives whether that was done.
pub(crate) fn write(endpoint: &Endpoint, va: u64, len: usize) -> Result<bool> {
    endpoint.write64(ADDRESS, va)?;
    endpoint.write32(LENGTH, len as u32)?;
    endpoint.write32(DOORBELL, ARM)?;
    endpoint.read32(TRIGGER)?;
    match endpoint.read32(RESULT)? {
        0 => Ok(true),
        result if ELSEWHERE.contains(&result) => Ok(true),
        FAILED => Ok(false),
        result => {
            pr_err!("agree: the test device says {result:#x}\n");
            Err(EIO)
        }
    }
}
