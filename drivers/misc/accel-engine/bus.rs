// SPDX-License-Identifier: GPL-2.0

//! The memory of a process, as the engine sees it.

use crate::uapi::Status;
use kernel::prelude::*;

/// An access that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BusError {
    /// The process may not do this at the address.
    Refused(u64),
    /// The access at the address failed for another reason.
    Broken(u64),
    /// There shall be no more accesses.
    Stopped,
}

impl BusError {
    /// How a job that meets the error ends.
    pub fn status(self) -> Status {
        match self {
            Self::Refused(_) => Status::PageFault,
            Self::Broken(_) => Status::BusError,
            Self::Stopped => Status::Stopped,
        }
    }

    /// Where it happened, or 0.
    pub fn addr(self) -> u64 {
        match self {
            Self::Refused(addr) | Self::Broken(addr) => addr,
            Self::Stopped => 0,
        }
    }

    /// How many of the `len` bytes at `start` lie before the failure.
    pub fn bytes_before(self, start: u64, len: usize) -> usize {
        match self {
            Self::Refused(addr) | Self::Broken(addr) => {
                usize::try_from(addr.saturating_sub(start)).map_or(len, |n| n.min(len))
            }
            Self::Stopped => 0,
        }
    }
}

/// Access to the memory of one process. All calls may sleep.
pub trait Bus {
    /// Fills `buf` from `addr`. After an error, what lies before its address has been read.
    fn read(&self, addr: u64, buf: &mut [u8]) -> Result<(), BusError>;

    /// Writes `data` to `addr`. After an error, what lies before its address has been written.
    fn write(&self, addr: u64, data: &[u8]) -> Result<(), BusError>;

    /// Adds to the 64-bit number at `addr`, atomically, and returns what it was. `addr` is aligned.
    fn fetch_add(&self, addr: u64, addend: u64) -> Result<u64, BusError>;

    /// Why the access at `addr` was just refused: `MOCK_ACCEL_REASON_*`.
    fn reason(&self, addr: u64) -> u32;

    /// Tells that the bytes at `addr` will soon be read or written. Only makes things faster.
    fn prefetch(&self, addr: u64, len: usize, write: bool);
}

#[kunit_tests(mock_accel_bus)]
mod tests {
    use super::*;

    #[test]
    fn bytes_before_a_fault() {
        assert_eq!(BusError::Refused(0x1000).bytes_before(0xff0, 64), 16);
        assert_eq!(BusError::Broken(0xff0).bytes_before(0xff0, 64), 0);
        // Told of the page instead of the byte.
        assert_eq!(BusError::Refused(0x1000).bytes_before(0x1010, 64), 0);
        assert_eq!(BusError::Refused(0x9000).bytes_before(0x1000, 64), 64);
        assert_eq!(BusError::Stopped.bytes_before(0, 64), 0);
    }
}
