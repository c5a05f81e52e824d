// SPDX-License-Identifier: GPL-2.0

//! Ports: where devices enter.

use kernel::{
    prelude::*,
    sync::Arc, //
};

use super::Smmu;

/// What a requester is able to do.
#[derive(Clone, Copy, Debug)]
pub struct PortConfig {
    /// It translates by ATS and caches translations; else its requests are untranslated.
    pub ats: bool,
    /// It asks for missing pages (needs `ats`); else a missing translation fails the access.
    pub pri: bool,
    /// Most page requests that it has under way at once, at least 1.
    pub max_outstanding: u16,
    /// How often one page is asked for, answered with success and still missing before the access
    /// fails.
    pub max_retries: u16,
    /// How long it waits for a response, in milliseconds.
    pub timeout_ms: u32,
}

impl Default for PortConfig {
    fn default() -> Self {
        Self {
            ats: true,
            pri: true,
            max_outstanding: 256,
            max_retries: 16,
            timeout_ms: 10_000,
        }
    }
}

/// Attributes of an access beyond its direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attrs {
    /// Privileged; needs a PASID.
    pub privileged: bool,
    /// An instruction fetch; reads only.
    pub exec: bool,
}

/// Why an access failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DmaErrorKind {
    /// The SMMU aborted the transaction (configuration, disabled stream, or a fault without PRI).
    Aborted,
    /// The page request was answered "invalid": nothing there, or not with this permission.
    Refused,
    /// The page request was answered "failure".
    ResponseFailure,
    /// The pages were promised again and again, and never there.
    RetriesExhausted,
    /// No response in time.
    Timeout,
    /// The port is stopped.
    Stopped,
    /// A signal came while waiting.
    Interrupted,
    /// The access is not aligned as an atomic must be.
    Misaligned,
    /// The address that translation gave is not memory.
    BusError,
}

/// A failed access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DmaError {
    /// Why.
    pub kind: DmaErrorKind,
    /// The first address that could not be accessed; all before it were.
    pub addr: u64,
}

impl From<DmaError> for Error {
    fn from(e: DmaError) -> Self {
        match e.kind {
            DmaErrorKind::Aborted | DmaErrorKind::ResponseFailure | DmaErrorKind::BusError => EIO,
            DmaErrorKind::Refused => EFAULT,
            DmaErrorKind::RetriesExhausted => EAGAIN,
            DmaErrorKind::Timeout => ETIMEDOUT,
            DmaErrorKind::Stopped => ESHUTDOWN,
            DmaErrorKind::Interrupted => EINTR,
            DmaErrorKind::Misaligned => EINVAL,
        }
    }
}

/// The result of an access.
pub type DmaResult<T = ()> = Result<T, DmaError>;

/// One requester: the master port of a device.
///
/// All accesses may sleep (they may wait for a page), and may be made by several threads at once.
/// They are done page by page: an access that fails may have been done in part.
pub struct Port {}

impl Port {
    /// Connects a requester with StreamID `sid`. May sleep.
    ///
    /// # Errors
    ///
    /// - [`EBUSY`] if `sid` is connected already.
    /// - [`EINVAL`] if `config` is out of range or asks for more than the SMMU has.
    /// - [`ENOSPC`] if no more ports fit.
    /// - [`ENOMEM`].
    pub fn new(_smmu: Arc<Smmu>, _sid: u32, _config: PortConfig) -> Result<Arc<Self>> {
        Err(ENOTSUPP)
    }

    /// Reads memory at `addr` in address space `ssid`.
    ///
    /// # Errors
    ///
    /// See [`DmaErrorKind`].
    pub fn read(&self, _ssid: Option<u32>, addr: u64, _to: &mut [u8], _attrs: Attrs) -> DmaResult {
        Err(stub(addr))
    }

    /// Writes memory at `addr` in address space `ssid`.
    ///
    /// # Errors
    ///
    /// See [`DmaErrorKind`].
    pub fn write(&self, _ssid: Option<u32>, addr: u64, _from: &[u8], _attrs: Attrs) -> DmaResult {
        Err(stub(addr))
    }

    /// Adds to the naturally aligned 64-bit word at `addr`, atomically also towards the CPUs.
    /// Gives the old value.
    ///
    /// # Errors
    ///
    /// See [`DmaErrorKind`].
    pub fn fetch_add64(
        &self,
        _ssid: Option<u32>,
        addr: u64,
        _add: u64,
        _attrs: Attrs,
    ) -> DmaResult<u64> {
        Err(stub(addr))
    }

    /// As [`Self::fetch_add64`], for 32 bits.
    ///
    /// # Errors
    ///
    /// See [`DmaErrorKind`].
    pub fn fetch_add32(
        &self,
        _ssid: Option<u32>,
        addr: u64,
        _add: u32,
        _attrs: Attrs,
    ) -> DmaResult<u32> {
        Err(stub(addr))
    }

    /// Replaces the naturally aligned 64-bit word at `addr` by `new` if it is `old`, atomically
    /// also towards the CPUs. Gives what was there.
    ///
    /// # Errors
    ///
    /// See [`DmaErrorKind`].
    pub fn compare_exchange64(
        &self,
        _ssid: Option<u32>,
        addr: u64,
        _old: u64,
        _new: u64,
        _attrs: Attrs,
    ) -> DmaResult<u64> {
        Err(stub(addr))
    }

    /// Gets the translations of a range ahead of its use, in one page request group per 64 pages.
    /// Without ATS it does nothing.
    ///
    /// # Errors
    ///
    /// See [`DmaErrorKind`].
    pub fn prefetch(
        &self,
        _ssid: Option<u32>,
        addr: u64,
        _len: usize,
        _write: bool,
        _attrs: Attrs,
    ) -> DmaResult {
        Err(stub(addr))
    }

    /// Makes accesses under way and later ones fail with [`DmaErrorKind::Stopped`]. Those under
    /// way end soon, not necessarily before this returns. Does not sleep.
    pub fn stop(&self) {}

    /// Lets a stopped port go on. Does not sleep.
    pub fn start(&self) {}

    /// Tells the SMMU that no more page requests for `ssid` will come (a stop marker), if it has
    /// none under way. Does not sleep.
    pub fn stop_marker(&self, _ssid: u32) {}

    /// The StreamID.
    pub fn sid(&self) -> u32 {
        0
    }

    /// A snapshot of the counters. Does not sleep.
    pub fn stats(&self) -> PortStats {
        PortStats::default()
    }
}

fn stub(addr: u64) -> DmaError {
    DmaError {
        kind: DmaErrorKind::Aborted,
        addr,
    }
}

/// Counters of a port.
#[derive(Clone, Copy, Debug, Default)]
pub struct PortStats {
    /// Bytes read.
    pub bytes_read: u64,
    /// Bytes written.
    pub bytes_written: u64,
    /// Page requests sent.
    pub page_requests: u64,
    /// Page request groups sent.
    pub groups: u64,
    /// Accesses that failed.
    pub errors: u64,
}
