// SPDX-License-Identifier: GPL-2.0

//! The memory of a process by DMA, under the PASID of its bond.

use crate::bus::{
    Bus,
    BusError, //
};
use core::ops::Range;
use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};
use smmuv3::api::{
    Dma,
    DmaError,
    DmaErrorKind, //
};

/// How the device reaches memory of the process: the address that it uses for the first byte, and how
/// many of the bytes it reaches from there on, at least one; `None` if the process may not do that.
pub type Reach<'a> = &'a dyn Fn(u64, usize, bool) -> Option<(u64, usize)>;

/// The accesses of one context, until it is stopped.
pub struct PasidBus<'a> {
    /// The device's port.
    pub dma: &'a Dma,
    /// The PASID; `None` for accesses without.
    pub pasid: Option<u32>,
    /// Once set, all accesses fail.
    pub stopped: &'a Atomic<bool>,
    /// Called with an address of the process, a number of bytes, and whether they are written.
    pub reach: Reach<'a>,
    /// Tells why the last access to an address was refused: `MOCK_ACCEL_REASON_*`.
    pub reason: &'a dyn Fn(u64) -> u32,
}

/// The [`Reach`] of a device that uses the process's own addresses, all of them.
pub fn everywhere(addr: u64, len: usize, _write: bool) -> Option<(u64, usize)> {
    Some((addr, len))
}

impl PasidBus<'_> {
    fn check(&self) -> Result<(), BusError> {
        match self.stopped.load(Relaxed) {
            true => Err(BusError::Stopped),
            false => Ok(()),
        }
    }

    /// Makes an access that touches no more than is reached in one piece: at `addr` of the process, of
    /// at most `len` bytes.
    fn access<T>(
        &self,
        addr: u64,
        len: usize,
        write: bool,
        access: impl FnOnce(u64, usize) -> Result<T, DmaError>,
    ) -> Result<T, BusError> {
        self.check()?;
        let Some((at, len)) = (self.reach)(addr, len, write) else {
            // The context is being stopped because the process is gone: that is the reason to give.
            self.check()?;
            return Err(BusError::Refused(addr));
        };

        access(at, len).map_err(|error| {
            let addr = error.addr.wrapping_sub(at).wrapping_add(addr);

            match error.kind {
                // As above.
                _ if self.stopped.load(Relaxed) => BusError::Stopped,
                DmaErrorKind::Refused => BusError::Refused(addr),
                DmaErrorKind::Stopped => BusError::Stopped,
                _ => BusError::Broken(addr),
            }
        })
    }

    /// Makes one access for each piece.
    fn pieces(
        &self,
        addr: u64,
        len: usize,
        write: bool,
        mut access: impl FnMut(u64, Range<usize>) -> Result<(), DmaError>,
    ) -> Result<(), BusError> {
        let mut done = 0;

        while done < len {
            let next = addr.wrapping_add(done as u64);

            done += self.access(next, len - done, write, |at, some| {
                access(at, done..done + some).map(|()| some)
            })?;
        }
        Ok(())
    }
}

impl Bus for PasidBus<'_> {
    fn read(&self, addr: u64, buf: &mut [u8]) -> Result<(), BusError> {
        self.pieces(addr, buf.len(), false, |at, some| {
            self.dma.read(self.pasid, at, &mut buf[some])
        })
    }

    fn write(&self, addr: u64, data: &[u8]) -> Result<(), BusError> {
        self.pieces(addr, data.len(), true, |at, some| {
            self.dma.write(self.pasid, at, &data[some])
        })
    }

    fn fetch_add(&self, addr: u64, addend: u64) -> Result<u64, BusError> {
        // Aligned, so in one piece.
        self.access(addr, 8, true, |at, _| {
            self.dma.fetch_add(self.pasid, at, addend)
        })
    }

    fn reason(&self, addr: u64) -> u32 {
        (self.reason)(addr)
    }

    fn prefetch(&self, addr: u64, len: usize, write: bool) {
        // What cannot be had will be missed, and reported, when it is accessed.
        let _ = self.access(addr, len, write, |at, some| {
            self.dma.prefetch(self.pasid, at, some, write)
        });
    }
}
