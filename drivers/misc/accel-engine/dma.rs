// SPDX-License-Identifier: GPL-2.0

//! The memory of a process by DMA, under the PASID of its bond.

use crate::bus::{
    Bus,
    BusError, //
};
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

/// The accesses of one context, until it is stopped.
pub struct PasidBus<'a> {
    /// The device's port.
    pub dma: &'a Dma,
    /// The PASID.
    pub pasid: u32,
    /// Once set, all accesses fail.
    pub stopped: &'a Atomic<bool>,
    /// Tells why the last access to an address was refused: `MOCK_ACCEL_REASON_*`.
    pub reason: &'a dyn Fn(u64) -> u32,
}

impl PasidBus<'_> {
    fn access<T>(&self, access: impl FnOnce() -> Result<T, DmaError>) -> Result<T, BusError> {
        if self.stopped.load(Relaxed) {
            return Err(BusError::Stopped);
        }
        access().map_err(|error| match error.kind {
            // The context is being stopped because the process is gone: that is the reason to give.
            _ if self.stopped.load(Relaxed) => BusError::Stopped,
            DmaErrorKind::Refused => BusError::Refused(error.addr),
            DmaErrorKind::Stopped => BusError::Stopped,
            _ => BusError::Broken(error.addr),
        })
    }
}

impl Bus for PasidBus<'_> {
    fn read(&self, addr: u64, buf: &mut [u8]) -> Result<(), BusError> {
        self.access(|| self.dma.read(Some(self.pasid), addr, buf))
    }

    fn write(&self, addr: u64, data: &[u8]) -> Result<(), BusError> {
        self.access(|| self.dma.write(Some(self.pasid), addr, data))
    }

    fn fetch_add(&self, addr: u64, addend: u64) -> Result<u64, BusError> {
        self.access(|| self.dma.fetch_add(Some(self.pasid), addr, addend))
    }

    fn reason(&self, addr: u64) -> u32 {
        (self.reason)(addr)
    }

    fn prefetch(&self, addr: u64, len: usize, write: bool) {
        // What cannot be had will be missed, and reported, when it is accessed.
        let _ = self.access(|| self.dma.prefetch(Some(self.pasid), addr, len, write));
    }
}
