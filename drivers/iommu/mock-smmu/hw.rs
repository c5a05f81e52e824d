// SPDX-License-Identifier: GPL-2.0

//! The hardware half: a model of an SMMUv3 and of the ports of devices behind it.
//!
//! It learns everything from the register file and from memory, and tells everything through
//! queues, registers and interrupt lines. It knows nothing of the driver that programs it.

mod dma;

use kernel::{
    prelude::*,
    sync::Arc, //
};

use crate::{
    fmt::{
        cd::Cd,
        ste::Ste, //
    },
    line::Line,
    mmio::{
        Doorbell,
        RegisterFile, //
    }, //
};

pub use dma::{
    Attrs,
    DmaError,
    DmaErrorKind,
    DmaResult,
    Port,
    PortConfig,
    PortStats, //
};

/// What an instance can do. It shows in the ID registers.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Bits of a StreamID, at most 32.
    pub sid_bits: u8,
    /// Bits of a SubstreamID, at most 20.
    pub ssid_bits: u8,
    /// log2 of the largest command queue, at most 19.
    pub cmdq_bits: u8,
    /// log2 of the largest event queue, at most 19.
    pub evtq_bits: u8,
    /// log2 of the largest page request queue, at most 19.
    pub priq_bits: u8,
    /// Output address size, as [`crate::fmt::regs::Idr5::oas`].
    pub oas: u8,
    /// 16 KiB granule.
    pub gran16k: bool,
    /// 64 KiB granule.
    pub gran64k: bool,
    /// Flag updates, as [`crate::fmt::regs::Idr0::httu`].
    pub httu: u8,
    /// ATS.
    pub ats: bool,
    /// PRI.
    pub pri: bool,
    /// Range invalidation.
    pub ril: bool,
    /// Cache configuration that is invalid too, as hardware may.
    pub cache_invalid: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            sid_bits: 16,
            ssid_bits: 20,
            cmdq_bits: 10,
            evtq_bits: 8,
            priq_bits: 9,
            oas: 5,
            gran16k: true,
            gran64k: true,
            httu: 2,
            ats: true,
            pri: true,
            ril: true,
            cache_invalid: true,
        }
    }
}

/// The interrupt lines of an instance.
pub struct Lines {
    /// An event was queued.
    pub evtq: Arc<Line>,
    /// A page request group was queued, or requests were lost.
    pub priq: Arc<Line>,
    /// A global error became active.
    pub gerror: Arc<Line>,
}

/// One SMMU.
pub struct Smmu {}

impl Smmu {
    /// Makes an instance and writes its ID registers; translation is off and traffic aborts. May
    /// sleep.
    ///
    /// It acts on registers when it is rung ([`RegisterFile::set_doorbell`]) or polled
    /// ([`Self::poll`]).
    ///
    /// # Errors
    ///
    /// [`ENOMEM`]; [`EINVAL`] if `config` is out of range.
    pub fn new(_config: Config, _regs: Arc<RegisterFile>, _lines: Lines) -> Result<Arc<Self>> {
        Err(ENOTSUPP)
    }

    /// Acts on what the registers say now: enables, command queue. Any context; does not sleep.
    pub fn poll(&self) {}

    /// A snapshot of the counters. Any context.
    pub fn stats(&self) -> Stats {
        Stats::default()
    }

    /// The stream table entry of `sid` as it stands in memory, past the caches; `None` if there is
    /// none. Any context.
    pub fn ste(&self, _sid: u32) -> Option<Ste> {
        None
    }

    /// The context descriptor of `sid` and `ssid` as it stands in memory, past the caches; `None`
    /// if there is none. Any context.
    pub fn cd(&self, _sid: u32, _ssid: u32) -> Option<Cd> {
        None
    }
}

impl Doorbell for Smmu {
    fn ring(&self, _offset: usize) {
        self.poll();
    }
}

/// Counters of an instance.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stats {
    /// Commands consumed.
    pub commands: u64,
}
