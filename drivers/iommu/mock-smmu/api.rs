// SPDX-License-Identifier: GPL-2.0

//! For drivers of devices behind a mock SMMU: how the device does DMA.
//!
//! The C twin is `include/linux/mock_smmu.h`.

use crate::{
    device,
    hw::{
        Attrs,
        Port, //
    }, //
};
use kernel::{
    device::{
        Bound,
        Device, //
    },
    prelude::*,
    sync::Arc, //
};

pub use crate::hw::{
    DmaError,
    DmaErrorKind,
    PortStats, //
};

/// The master port of a device behind a mock SMMU.
///
/// Every access goes the way of a real device's: translated by the SMMU (or the device's own
/// translation cache), with a page request where a page is missing. Accesses sleep while they wait
/// for a page, and several threads may make some at once. With an `ssid` they go to the address
/// space attached to that PASID; without, to the domain that the device has for those: physical
/// addresses, or the address space of a bond without PASID.
#[derive(Clone)]
pub struct Dma {
    port: Arc<Port>,
}

impl Dma {
    /// The port of `dev`. May sleep.
    ///
    /// # Errors
    ///
    /// `ENODEV` if the device is not behind a mock SMMU.
    pub fn of(dev: &Device<Bound>) -> Result<Self> {
        Ok(Self {
            port: device::port_of(dev).ok_or(ENODEV)?,
        })
    }

    /// Reads memory at `addr` into `buf`. May sleep.
    ///
    /// # Errors
    ///
    /// See [`DmaErrorKind`]. What lies before [`DmaError::addr`] was read.
    pub fn read(&self, ssid: Option<u32>, addr: u64, buf: &mut [u8]) -> Result<(), DmaError> {
        self.port.read(ssid, addr, buf, Attrs::default())
    }

    /// Writes `buf` to memory at `addr`. May sleep.
    ///
    /// # Errors
    ///
    /// See [`DmaErrorKind`]. What lies before [`DmaError::addr`] was written.
    pub fn write(&self, ssid: Option<u32>, addr: u64, buf: &[u8]) -> Result<(), DmaError> {
        self.port.write(ssid, addr, buf, Attrs::default())
    }

    /// Adds to the 64-bit word at `addr`, atomically also towards the CPUs; gives the old value.
    /// May sleep.
    ///
    /// # Errors
    ///
    /// See [`DmaErrorKind`]; `addr` must be a multiple of 8.
    pub fn fetch_add(&self, ssid: Option<u32>, addr: u64, add: u64) -> Result<u64, DmaError> {
        self.port.fetch_add64(ssid, addr, add, Attrs::default())
    }

    /// Replaces the 64-bit word at `addr` by `new` if it is `old`, atomically also towards the
    /// CPUs; gives what was there. May sleep.
    ///
    /// # Errors
    ///
    /// See [`DmaErrorKind`]; `addr` must be a multiple of 8.
    pub fn compare_exchange(
        &self,
        ssid: Option<u32>,
        addr: u64,
        old: u64,
        new: u64,
    ) -> Result<u64, DmaError> {
        self.port
            .compare_exchange64(ssid, addr, old, new, Attrs::default())
    }

    /// Gets the translations of `len` bytes at `addr` ahead of their use, for writing if `write`:
    /// one page request group per up to 64 missing pages. May sleep.
    ///
    /// # Errors
    ///
    /// See [`DmaErrorKind`]. A failure says nothing of later accesses.
    pub fn prefetch(
        &self,
        ssid: Option<u32>,
        addr: u64,
        len: usize,
        write: bool,
    ) -> Result<(), DmaError> {
        self.port.prefetch(ssid, addr, len, write, Attrs::default())
    }

    /// Makes accesses under way and later ones fail with [`DmaErrorKind::Stopped`]. Does not
    /// sleep.
    pub fn stop(&self) {
        self.port.stop();
    }

    /// Lets a stopped port go on. Does not sleep.
    pub fn start(&self) {
        self.port.start();
    }

    /// The port's counters. Any context.
    pub fn stats(&self) -> PortStats {
        self.port.stats()
    }
}
