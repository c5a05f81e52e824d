// SPDX-License-Identifier: GPL-2.0

//! The hardware half: a model of an SMMUv3 and of the ports of devices behind it.
//!
//! It learns everything from the register file and from memory, and tells everything through
//! queues, registers and interrupt lines. It knows nothing of the driver that programs it.
//!
//! - `engine`: the state, its lock, the reaction to registers
//! - `command`, `queue`: the command queue, and the two that the hardware writes
//! - `config`: stream table entries and context descriptors, their checks and their cache
//! - `walk`, `tlb`: translation tables, and the cache of translations
//! - `translate`: a transaction's way through these, and what a failure leads to
//! - `dma`, `access`: the ports of devices, and their accesses page by page
//! - `pri`: page requests and their responses
//! - `probe`: where an access would go, for tests
//! - `stall`: transactions that wait for software

mod access;
mod command;
mod config;
mod dma;
mod engine;
mod pri;
mod probe;
mod queue;
mod stall;
mod stats;
mod tlb;
mod translate;
mod walk;

#[cfg(CONFIG_KUNIT = "y")]
mod bench;
#[cfg(CONFIG_KUNIT = "y")]
mod config_tests;
#[cfg(CONFIG_KUNIT = "y")]
mod dma_tests;
#[cfg(CONFIG_KUNIT = "y")]
mod engine_tests;
#[cfg(CONFIG_KUNIT = "y")]
mod event_tests;
#[cfg(CONFIG_KUNIT = "y")]
mod pri_tests;
#[cfg(CONFIG_KUNIT = "y")]
mod stall_tests;
#[cfg(CONFIG_KUNIT = "y")]
mod walk_tests;

use kernel::{
    prelude::*,
    sync::{
        new_spinlock_irq,
        Arc,
        SpinLockIrq, //
    }, //
};

use crate::{
    fmt::{
        cd::Cd,
        regs::{
            self,
            Idr0,
            Idr1,
            Idr3,
            Idr5, //
        },
        ste::{
            self,
            Ste, //
        }, //
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
    PortConfig, //
};
pub use probe::{
    Intent,
    Place, //
};
pub use stats::{
    PortStats,
    Stats, //
};
pub use tlb::Entry as TlbEntry;
pub use walk::Perms;

use engine::Engine;
use pri::PortState;

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
    /// Whether faults stall, as [`crate::fmt::regs::Idr0::stall_model`].
    pub stall_model: u8,
    /// Most transactions that stall at once; of no meaning if none can.
    pub stall_max: u16,
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
            stall_model: regs::STALL_BOTH,
            stall_max: 64,
            cache_invalid: true,
        }
    }
}

impl Config {
    /// Whether virtual addresses of 52 bits are supported, with the 64 KiB granule.
    fn va52(&self) -> bool {
        self.gran64k && self.oas == 6
    }

    /// Whether transactions can stall.
    fn stalls(&self) -> bool {
        self.stall_model != regs::STALL_NONE
    }

    /// Most transactions that stall at once.
    fn stall_limit(&self) -> u16 {
        if self.stalls() {
            self.stall_max
        } else {
            0
        }
    }

    fn check(&self) -> Result {
        let queues = [self.cmdq_bits, self.evtq_bits, self.priq_bits];
        let bad = self.sid_bits > 32
            || self.ssid_bits > 20
            || queues.iter().any(|bits| *bits > 19)
            || self.oas > 6
            || self.httu > 3
            || self.stall_model > regs::STALL_ONLY
            || (self.stalls() && self.stall_max == 0)
            || (self.pri && !self.ats);
        if bad {
            return Err(EINVAL);
        }
        Ok(())
    }

    /// Writes the ID registers.
    fn identify(&self, regs: &RegisterFile) {
        let idr0 = Idr0::default()
            .with_s1p(true)
            .with_ttf(2)
            .with_cohacc(true)
            .with_httu(self.httu)
            .with_ats(self.ats)
            .with_asid16(true)
            .with_pri(self.pri)
            .with_vmid16(true)
            .with_cd2l(true)
            .with_ttendian(2)
            .with_stall_model(self.stall_model)
            .with_st_level(1);
        let idr1 = Idr1::default()
            .with_sidsize(self.sid_bits)
            .with_ssidsize(self.ssid_bits)
            .with_cmdqs(self.cmdq_bits)
            .with_evtqs(self.evtq_bits)
            .with_priqs(self.priq_bits);
        let idr3 = Idr3::default().with_ril(self.ril).with_bbm(2);
        let idr5 = Idr5::default()
            .with_oas(self.oas)
            .with_gran4k(true)
            .with_gran16k(self.gran16k)
            .with_gran64k(self.gran64k)
            .with_vax(u8::from(self.va52()))
            .with_stall_max(self.stall_limit());
        regs.hw_write32(regs::IDR0, idr0.raw());
        regs.hw_write32(regs::IDR1, idr1.raw());
        regs.hw_write32(regs::IDR3, idr3.raw());
        regs.hw_write32(regs::IDR5, idr5.raw());
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
#[pin_data]
pub struct Smmu {
    config: Config,
    #[pin]
    engine: SpinLockIrq<Engine>,
}

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
    pub fn new(config: Config, regs: Arc<RegisterFile>, lines: Lines) -> Result<Arc<Self>> {
        config.check()?;
        let engine = Engine::new(config, regs, lines)?;
        Arc::pin_init(
            pin_init!(Self {
                config,
                engine <- new_spinlock_irq!(engine, "mock_smmu_engine"),
            }),
            GFP_KERNEL,
        )
    }

    fn config(&self) -> &Config {
        &self.config
    }

    fn engine(&self) -> &SpinLockIrq<Engine> {
        &self.engine
    }

    /// Connects a port.
    fn connect(&self, port: KBox<PortState>) -> Result<usize> {
        let mut engine = self.engine.lock();
        if engine.port_of(port.sid).is_some() {
            return Err(EBUSY);
        }
        let slot = engine
            .ports
            .iter()
            .position(Option::is_none)
            .ok_or(ENOSPC)?;
        engine.ports[slot] = Some(port);
        Ok(slot)
    }

    /// Acts on what the registers say now: enables, command queue. Any context; does not sleep.
    pub fn poll(&self) {
        self.engine.lock().step();
    }

    /// A snapshot of the counters. Any context.
    pub fn stats(&self) -> Stats {
        self.engine.lock().stats
    }

    /// How many transactions of `sid` are stalled, or of all streams. Any context.
    pub fn stalled(&self, sid: Option<u32>) -> usize {
        self.engine.lock().stalls.count(sid)
    }

    /// The stream table entry of `sid` as it stands in memory, past the caches; `None` if there is
    /// none. Any context.
    pub fn ste(&self, sid: u32) -> Option<Ste> {
        let engine = self.engine.lock();
        config::fetch_ste(&engine.regs, &self.config, sid).ok()
    }

    /// The context descriptor of `sid` and `ssid` as it stands in memory, past the caches; `None`
    /// if there is none. Any context.
    pub fn cd(&self, sid: u32, ssid: u32) -> Option<Cd> {
        let engine = self.engine.lock();
        let ste = config::fetch_ste(&engine.regs, &self.config, sid).ok()?;
        config::check_ste(&self.config, &ste).ok()?;
        if ste.config() != ste::CONFIG_S1 || u64::from(ssid) >> ste.s1_cd_max() != 0 {
            return None;
        }
        config::fetch_cd(&ste, ssid).ok()
    }

    /// What slot `index` of the TLB holds; the outer `None` is past the last slot. Any context.
    pub fn tlb_entry(&self, index: usize) -> Option<Option<TlbEntry>> {
        let engine = self.engine.lock();
        (index < engine.tlb.capacity()).then(|| engine.tlb.entry(index))
    }

    /// What slot `index` of the ATC of `sid` holds; the outer `None` is past the last slot or no
    /// such port. Any context.
    pub fn atc_entry(&self, sid: u32, index: usize) -> Option<Option<TlbEntry>> {
        let mut engine = self.engine.lock();
        let atc = &engine.port_of(sid)?.atc;
        (index < atc.capacity()).then(|| atc.entry(index))
    }

    /// The words of entry `index` of a queue, past use if it is not queued now; `None` past the
    /// last entry or if the queue is not in memory. Any context.
    pub fn queue_entry(&self, which: WhichQueue, index: u32) -> Option<[u64; 4]> {
        let engine = self.engine.lock();
        let queue = match which {
            WhichQueue::Commands => &engine.cmdq,
            WhichQueue::Events => &engine.evtq,
            WhichQueue::PageRequests => &engine.priq,
        };
        if index >= queue.layout(&engine.regs).entries() {
            return None;
        }
        let entry = queue.entry(&engine.regs, index).ok()?;
        let mut words = [0; 4];
        for (i, word) in words.iter_mut().enumerate().take(entry.len() / 8) {
            *word = entry.load64(8 * i).ok()?;
        }
        Some(words)
    }
}

/// One of the three queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhichQueue {
    /// Commands: two words an entry.
    Commands,
    /// Events: four words an entry.
    Events,
    /// Page requests: two words an entry.
    PageRequests,
}

impl Doorbell for Smmu {
    fn ring(&self, _offset: usize) {
        self.poll();
    }
}
