// SPDX-License-Identifier: GPL-2.0

//! For drivers of devices behind a mock SMMU: how the device does DMA.
//!
//! A driver gets its device's port when it probes, and makes the accesses that its device would:
//!
//! ```ignore
//! let dma = Dma::of(pdev.as_ref())?;
//! dma.read(Some(bond.pasid()), addr, &mut descriptor)?;
//! let ticket = dma.fetch_add(Some(bond.pasid()), counter, 1)?;
//! dma.with(Attrs { exec: true, ..Attrs::default() }).read(Some(bond.pasid()), code, &mut text)?;
//! dma.write_async(Some(bond.pasid()), addr, data, move |result, data| ring.done(result, data))?;
//! ```
//!
//! The C twin is `include/linux/mock_smmu.h`, and `Documentation/mock-smmu.rst` an introduction.

use crate::{hw::Port, ports};
use kernel::{
    device::{
        Bound,
        Device, //
    },
    prelude::*,
    sync::Arc, //
};

pub use crate::hw::{
    Attrs,
    DmaError,
    DmaErrorKind,
    Fabric,
    Lies,
    Permits,
    PortLimits,
    PortStats, //
};

/// The master port of a device behind a mock SMMU.
///
/// Every access goes the way of a real device's: translated by the SMMU (or the device's own
/// translation cache), with a page request where a page is missing. Accesses sleep while they wait
/// for a page, and several threads may make some at once. With an `ssid` they go to the address
/// space attached to that PASID; without, to the domain that the device has for those: physical
/// addresses, what the DMA API or `iommu_map()` mapped, or the address space of a bond without
/// PASID.
///
/// A clone is the same port. After the device is gone all accesses fail.
#[derive(Clone)]
pub struct Dma {
    port: Arc<Port>,
    attrs: Attrs,
}

impl Dma {
    /// The port of `dev`. May sleep.
    ///
    /// # Errors
    ///
    /// `ENODEV` if the device is not behind a mock SMMU.
    pub fn of(dev: &Device<Bound>) -> Result<Self> {
        Ok(Self {
            port: ports::port_of(dev).ok_or(ENODEV)?,
            attrs: Attrs::default(),
        })
    }

    /// The same port, whose accesses made through the result are as `attrs` says: privileged, or
    /// instruction fetches. Any context.
    pub fn with(&self, attrs: Attrs) -> Self {
        Self {
            port: self.port.clone(),
            attrs,
        }
    }

    /// Reads memory at `addr` into `buf`. May sleep.
    ///
    /// # Errors
    ///
    /// See [`DmaErrorKind`]. What lies before [`DmaError::addr`] was read.
    pub fn read(&self, ssid: Option<u32>, addr: u64, buf: &mut [u8]) -> Result<(), DmaError> {
        self.port.read(ssid, addr, buf, self.attrs)
    }

    /// Writes `buf` to memory at `addr`. May sleep.
    ///
    /// # Errors
    ///
    /// See [`DmaErrorKind`]. What lies before [`DmaError::addr`] was written.
    pub fn write(&self, ssid: Option<u32>, addr: u64, buf: &[u8]) -> Result<(), DmaError> {
        self.port.write(ssid, addr, buf, self.attrs)
    }

    /// Adds to the 64-bit word at `addr`, atomically also towards the CPUs; gives the old value.
    /// May sleep.
    ///
    /// # Errors
    ///
    /// See [`DmaErrorKind`]; `addr` must be a multiple of 8.
    pub fn fetch_add(&self, ssid: Option<u32>, addr: u64, add: u64) -> Result<u64, DmaError> {
        self.port.fetch_add64(ssid, addr, add, self.attrs)
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
            .compare_exchange64(ssid, addr, old, new, self.attrs)
    }

    /// Replaces the 64-bit word at `addr` by `new`, atomically also towards the CPUs; gives what was
    /// there. May sleep.
    ///
    /// # Errors
    ///
    /// See [`DmaErrorKind`]; `addr` must be a multiple of 8.
    pub fn swap(&self, ssid: Option<u32>, addr: u64, new: u64) -> Result<u64, DmaError> {
        self.port.swap64(ssid, addr, new, self.attrs)
    }

    /// Gets the translations of `len` bytes at `addr` ahead of their use, for writing if `write`:
    /// one page request group per up to 64 missing pages. May sleep. A device without ATS only
    /// gives a hint, which may have the pages there when they are used.
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
        self.port.prefetch(ssid, addr, len, write, self.attrs)
    }

    /// As [`Self::read`], but returns at once: a worker reads, then calls `done` with the result and
    /// the buffer, in a context that may sleep. What is submitted is not ordered. Sleeps for memory
    /// only.
    ///
    /// A driver calls [`Self::drain`] before it leaves, so that no `done` runs after it.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `done` is not called then.
    pub fn read_async(
        &self,
        ssid: Option<u32>,
        addr: u64,
        to: KVec<u8>,
        done: impl FnOnce(Result<(), DmaError>, KVec<u8>) + Send + 'static,
    ) -> Result {
        self.port.read_async(ssid, addr, to, self.attrs, done)
    }

    /// As [`Self::write`], and returns at once like [`Self::read_async`].
    ///
    /// # Errors
    ///
    /// As [`Self::read_async`].
    pub fn write_async(
        &self,
        ssid: Option<u32>,
        addr: u64,
        from: KVec<u8>,
        done: impl FnOnce(Result<(), DmaError>, KVec<u8>) + Send + 'static,
    ) -> Result {
        self.port.write_async(ssid, addr, from, self.attrs, done)
    }

    /// Has a worker make any accesses, in `work`; returns at once like [`Self::read_async`].
    ///
    /// # Errors
    ///
    /// As [`Self::read_async`].
    pub fn submit(&self, work: impl FnOnce(&Self) + Send + 'static) -> Result {
        let attrs = self.attrs;
        self.port.submit(move |port| {
            work(&Self {
                port: port.clone(),
                attrs,
            });
        })
    }

    /// Waits for the end of all that was submitted on the port, through whatever clone. Sleeps; not
    /// to be called by what was submitted. After [`Self::stop`] it is quick.
    pub fn drain(&self) {
        self.port.drain();
    }

    /// Sets the port's limits, for accesses that begin from now on. Does not sleep.
    ///
    /// # Errors
    ///
    /// `EINVAL` if no page request may be outstanding.
    pub fn set_limits(&self, limits: PortLimits) -> Result {
        self.port.set_limits(limits)
    }

    /// Has the device break the rules of PCIe and SMMUv3, as `lies` says, from now on; by default
    /// it keeps to them. Sleeps.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn set_lies(&self, lies: Lies) -> Result {
        self.port.set_lies(lies)
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

    /// For tests: what the SMMU's tables in memory hold for the device: the stream table entry, or
    /// the context descriptor of `ssid`. Any context.
    ///
    /// # Errors
    ///
    /// `ENOENT` if there is none.
    pub fn entry(&self, ssid: Option<u32>) -> Result<[u64; 8]> {
        self.port.entry(ssid).ok_or(ENOENT)
    }

    /// The port's counters. Any context.
    pub fn stats(&self) -> PortStats {
        self.port.stats()
    }
}
