// SPDX-License-Identifier: GPL-2.0

//! Ports: where devices enter. What a device can do, and how it fails.

use kernel::{
    prelude::*,
    sync::Arc, //
};

use super::{
    pri::{
        PortState,
        Wake, //
    },
    stats::PortStats,
    translate::Transaction,
    walk::Access,
    Smmu, //
};

/// What a requester is able to do.
#[derive(Clone, Copy, Debug)]
pub struct PortConfig {
    /// It translates its accesses with a PASID by ATS, and caches the translations.
    pub ats: bool,
    /// It does so for accesses without a PASID too (needs `ats`); else those are untranslated.
    pub ats_no_ssid: bool,
    /// It asks for missing pages (needs `ats`); else a missing translation fails the access.
    pub pri: bool,
    /// Responses to its page requests must carry the PASID of the request; it ignores others.
    pub needs_pasid: bool,
    /// Most page requests that it has under way at once, at least 1. Its address spaces share them,
    /// so that one never has all.
    pub max_outstanding: u16,
    /// How often one page is asked for, answered with success and still missing before the access
    /// fails.
    pub max_retries: u16,
    /// How long it waits for a response, or for the end of a stall, in milliseconds.
    pub timeout_ms: u32,
    /// It takes a stalled access back if it is stopped or interrupted. That of hardware stays in the
    /// SMMU until that has been told what to do with it.
    pub gives_up: bool,
}

/// The part of a [`PortConfig`] that can be changed later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortLimits {
    /// See [`PortConfig::max_outstanding`].
    pub max_outstanding: u16,
    /// See [`PortConfig::max_retries`].
    pub max_retries: u16,
    /// See [`PortConfig::timeout_ms`].
    pub timeout_ms: u32,
}

impl PortLimits {
    /// Far more than anything takes.
    pub const DEFAULT: Self = Self {
        max_outstanding: 256,
        max_retries: 16,
        timeout_ms: 10_000,
    };
}

impl Default for PortConfig {
    fn default() -> Self {
        Self {
            ats: true,
            ats_no_ssid: false,
            pri: true,
            needs_pasid: false,
            max_outstanding: PortLimits::DEFAULT.max_outstanding,
            max_retries: PortLimits::DEFAULT.max_retries,
            timeout_ms: PortLimits::DEFAULT.timeout_ms,
            gives_up: true,
        }
    }
}

impl PortConfig {
    /// Whether it translates accesses with this SubstreamID by ATS.
    pub(super) fn translates(&self, ssid: Option<u32>) -> bool {
        self.ats && (self.ats_no_ssid || ssid.is_some())
    }
}

impl PortConfig {
    /// Whether it takes a response with this PASID as one to its request with that.
    pub(super) fn accepts(&self, response: Option<u32>, request: Option<u32>) -> bool {
        response == request || (response.is_none() && !self.needs_pasid)
    }
}

/// Attributes of an access beyond its direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attrs {
    /// Privileged.
    pub privileged: bool,
    /// An instruction fetch; reads only.
    pub exec: bool,
}

/// Why an access failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DmaErrorKind {
    /// The SMMU aborted the transaction (configuration, disabled stream, a fault that nobody was
    /// asked about, the end of all stalls of the stream).
    Aborted,
    /// The page request was answered "invalid", or the stalled transaction resumed with an abort:
    /// nothing there, or not with this permission.
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
pub struct Port {
    pub(super) smmu: Arc<Smmu>,
    /// Where the engine has our state.
    pub(super) slot: usize,
    pub(super) sid: u32,
    pub(super) config: PortConfig,
    pub(super) wake: Arc<Wake>,
}

impl Port {
    /// Connects a requester with StreamID `sid`. May sleep.
    ///
    /// # Errors
    ///
    /// - [`EBUSY`] if `sid` is connected already.
    /// - [`EINVAL`] if `config` is out of range or asks for more than the SMMU has.
    /// - [`ENOSPC`] if no more ports fit.
    /// - [`ENOMEM`].
    pub fn new(smmu: Arc<Smmu>, sid: u32, config: PortConfig) -> Result<Arc<Self>> {
        let able = smmu.config();
        let too_much = (config.ats && !able.ats)
            || (config.pri && !(able.pri && config.ats))
            || (config.ats_no_ssid && !config.ats);
        if too_much || config.max_outstanding == 0 || u64::from(sid) >> able.sid_bits != 0 {
            return Err(EINVAL);
        }
        let state = KBox::new(PortState::new(sid, config)?, GFP_KERNEL)?;
        let wake = state.wake.clone();
        let slot = smmu.connect(state)?;
        // From here on the port's drop disconnects.
        let port = Self {
            smmu,
            slot,
            sid,
            config,
            wake,
        };
        Ok(Arc::new(port, GFP_KERNEL)?)
    }

    /// Reads memory at `addr` in address space `ssid`.
    ///
    /// # Errors
    ///
    /// See [`DmaErrorKind`].
    pub fn read(&self, ssid: Option<u32>, addr: u64, to: &mut [u8], attrs: Attrs) -> DmaResult {
        let access = Access {
            read: true,
            write: false,
            exec: attrs.exec,
            privileged: attrs.privileged,
        };
        let len = to.len();
        self.access(ssid, addr, len, access, |memory, range| match memory {
            Some(memory) => memory.read(0, &mut to[range]),
            None => {
                to[range].fill(0);
                Ok(())
            }
        })?;
        self.count(|stats| stats.bytes_read += len as u64);
        Ok(())
    }

    /// Writes memory at `addr` in address space `ssid`.
    ///
    /// # Errors
    ///
    /// See [`DmaErrorKind`].
    pub fn write(&self, ssid: Option<u32>, addr: u64, from: &[u8], attrs: Attrs) -> DmaResult {
        let access = Access {
            read: false,
            write: true,
            exec: false,
            privileged: attrs.privileged,
        };
        self.access(ssid, addr, from.len(), access, |memory, range| {
            memory.map_or(Ok(()), |memory| memory.write(0, &from[range]))
        })?;
        self.count(|stats| stats.bytes_written += from.len() as u64);
        Ok(())
    }

    /// Gets the translations of a range ahead of its use, in page request groups of up to 64
    /// pages. Without ATS it only tells of it, and software may have the pages ready in time if the
    /// SMMU passes such hints on ([`super::Config::page_hints`]).
    ///
    /// # Errors
    ///
    /// See [`DmaErrorKind`].
    pub fn prefetch(
        &self,
        ssid: Option<u32>,
        addr: u64,
        len: usize,
        write: bool,
        attrs: Attrs,
    ) -> DmaResult {
        let access = Access {
            read: !write,
            write,
            exec: attrs.exec,
            privileged: attrs.privileged,
        };
        if !self.translates(ssid) {
            let t = Transaction {
                sid: self.sid,
                ssid,
                va: addr,
                access,
            };
            let mut engine = self.smmu.engine().lock();
            self.check_stopped(&engine)
                .map_err(|kind| DmaError { kind, addr })?;
            engine.hint(&t, len as u64);
            return Ok(());
        }
        self.access(ssid, addr, len, access, |_, _| Ok(()))
    }

    /// Makes accesses under way and later ones fail with [`DmaErrorKind::Stopped`]. Those under
    /// way end soon, not necessarily before this returns. Does not sleep.
    pub fn stop(&self) {
        self.with_state(|state| {
            state.stopped = !state.lies.unstoppable;
            state.stats.lies += u64::from(state.lies.unstoppable);
        });
        self.wake.condvar.notify_all();
    }

    /// Lets a stopped port go on. Does not sleep.
    pub fn start(&self) {
        self.with_state(|state| state.stopped = false);
    }

    /// Tells the SMMU that no more page requests for `ssid` will come; responses to those that were
    /// given up count for nothing any more. Does not sleep.
    pub fn stop_marker(&self, ssid: u32) {
        self.smmu.engine().lock().stop_marker(self.sid, ssid);
    }

    /// Sets the limits, for accesses that begin from now on. Does not sleep.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if no page request may be outstanding.
    pub fn set_limits(&self, limits: PortLimits) -> Result {
        if limits.max_outstanding == 0 {
            return Err(EINVAL);
        }
        self.with_state(|state| {
            state.config.max_outstanding = limits.max_outstanding;
            state.config.max_retries = limits.max_retries;
            state.config.timeout_ms = limits.timeout_ms;
        });
        // Who waits for room may have it now.
        self.wake.condvar.notify_all();
        Ok(())
    }

    /// See [`Smmu::ste`], or with an `ssid` [`Smmu::cd`].
    pub(crate) fn entry(&self, ssid: Option<u32>) -> Option<[u64; 8]> {
        match ssid {
            Some(ssid) => self.smmu.cd(self.sid, ssid).map(|cd| cd.words()),
            None => self.smmu.ste(self.sid).map(|ste| ste.words()),
        }
    }

    /// The StreamID.
    pub fn sid(&self) -> u32 {
        self.sid
    }

    /// A snapshot of the counters. Does not sleep.
    pub fn stats(&self) -> PortStats {
        self.with_state(|state| state.stats).unwrap_or_default()
    }

    /// Page requests that wait for a response now. Does not sleep.
    pub fn outstanding(&self) -> u16 {
        self.with_state(|state| state.groups.outstanding())
            .unwrap_or_default()
    }

    pub(super) fn with_state<R>(&self, f: impl FnOnce(&mut PortState) -> R) -> Option<R> {
        let mut engine = self.smmu.engine().lock();
        engine.ports[self.slot].as_deref_mut().map(f)
    }

    pub(super) fn count(&self, f: impl FnOnce(&mut PortStats)) {
        self.with_state(|state| f(&mut state.stats));
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.smmu.disconnect(self.slot);
    }
}
