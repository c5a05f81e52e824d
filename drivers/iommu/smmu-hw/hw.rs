// SPDX-License-Identifier: GPL-2.0

//! The hardware half: a model of an SMMUv3 and of the ports of devices behind it.
//!
//! It learns everything from the register file and from memory, and tells everything through
//! queues, registers and interrupt lines. It knows nothing of the driver that programs it.
//!
//! - `engine`: the state, its lock, the reaction to registers
//! - `ident`: what an instance can do, and its ID registers
//! - `registers`: which registers are the hardware's own
//! - `command`, `queue`: the command queue, and the two that the hardware writes
//! - `prefetch`: commands that fill the caches ahead of use
//! - `config`, `config_cache`: stream table entries and context descriptors, their checks, and
//!   their cache
//! - `walk`, `walk_cache`, `tlb`: translation tables, and the caches of them and of translations
//! - `translate`: a transaction's way through these, and what a failure leads to
//! - `fabric`: what is between a device and the SMMU, if anything
//! - `dma`, `access`: the ports of devices, and their accesses page by page
//! - `atomics`, `dma_async`: more kinds of accesses
//! - `pri`, `groups`, `hint`: page requests and their responses; hints at what will be needed
//! - `probe`: where an access would go, for tests
//! - `stall`: transactions that wait for software
//! - `strict`, `strict_scan`, `evict`: modes in which mistakes of software show sooner
//! - `lies`: devices that break the rules
//! - `inspect`: looking at the state from outside

mod access;
mod atomics;
mod command;
mod config;
mod config_cache;
mod dma;
mod dma_async;
mod engine;
mod evict;
mod fabric;
mod groups;
mod hint;
mod ident;
mod inspect;
mod lies;
mod prefetch;
mod pri;
mod probe;
mod queue;
mod registers;
mod stall;
mod stats;
mod strict;
mod strict_scan;
mod tlb;
mod translate;
mod walk;
mod walk_cache;

#[cfg(CONFIG_KUNIT = "y")]
mod ats_tests;
#[cfg(CONFIG_KUNIT = "y")]
mod bench;
#[cfg(CONFIG_KUNIT = "y")]
mod command_tests;
#[cfg(CONFIG_KUNIT = "y")]
mod config_cache_tests;
#[cfg(CONFIG_KUNIT = "y")]
mod config_table_tests;
#[cfg(CONFIG_KUNIT = "y")]
mod config_tests;
#[cfg(CONFIG_KUNIT = "y")]
mod contiguous_tests;
#[cfg(CONFIG_KUNIT = "y")]
mod credit_tests;
#[cfg(CONFIG_KUNIT = "y")]
mod dma_tests;
#[cfg(CONFIG_KUNIT = "y")]
mod engine_tests;
#[cfg(CONFIG_KUNIT = "y")]
mod epd_tests;
#[cfg(CONFIG_KUNIT = "y")]
mod event_priority_tests;
#[cfg(CONFIG_KUNIT = "y")]
mod event_tests;
#[cfg(CONFIG_KUNIT = "y")]
mod hint_tests;
#[cfg(CONFIG_KUNIT = "y")]
mod lies_tests;
#[cfg(CONFIG_KUNIT = "y")]
mod prefetch_tests;
#[cfg(CONFIG_KUNIT = "y")]
mod pri_overflow_tests;
#[cfg(CONFIG_KUNIT = "y")]
mod pri_tests;
#[cfg(CONFIG_KUNIT = "y")]
mod rule_register_tests;
#[cfg(CONFIG_KUNIT = "y")]
mod rule_tests;
#[cfg(CONFIG_KUNIT = "y")]
mod signal_tests;
#[cfg(CONFIG_KUNIT = "y")]
mod stall_room_tests;
#[cfg(CONFIG_KUNIT = "y")]
mod stall_tests;
#[cfg(CONFIG_KUNIT = "y")]
mod strict_tests;
#[cfg(CONFIG_KUNIT = "y")]
mod walk_cache_tests;
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

use kernel_ext::phys::BusMaster;

use crate::{
    inject::Faults,
    line::Raise,
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
    PortLimits, //
};
pub use fabric::{
    Fabric,
    Permits, //
};
pub use ident::{
    default_config,
    Config, //
};
pub use inspect::WhichQueue;
pub use lies::Lies;
pub use probe::{
    Intent,
    Place, //
};
pub use stats::{
    PortStats,
    Stats, //
};
pub use strict::{
    StrictCache,
    StrictReason,
    StrictRecord, //
};
pub use tlb::Entry as TlbEntry;
pub use walk::Perms;

use engine::Engine;
use pri::PortState;

/// The interrupt lines of an instance.
pub struct Lines {
    /// An event was queued.
    pub evtq: Arc<dyn Raise>,
    /// A page request group was queued, or requests were lost.
    pub priq: Arc<dyn Raise>,
    /// A global error became active.
    pub gerror: Arc<dyn Raise>,
    /// A SYNC that asks for an interrupt is complete.
    pub sync: Arc<dyn Raise>,
}

/// One SMMU.
#[pin_data(PinnedDrop)]
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
    /// With the right to access memory `_bus`, the caller has promised to answer for all that the
    /// instance is programmed to do with it.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`]; [`EINVAL`] if `config` is out of range.
    pub fn new(
        config: Config,
        regs: Arc<RegisterFile>,
        lines: Lines,
        _bus: BusMaster,
    ) -> Result<Arc<Self>> {
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

    /// Whether a port has StreamID `sid`, be it of a device that has gone and that somebody still
    /// holds. Any context.
    pub fn has_port(&self, sid: u32) -> bool {
        self.engine.lock().port_of(sid).is_some()
    }

    /// From now on does wrong what `faults` says. Any context.
    pub fn inject(&self, faults: Arc<dyn Faults>) {
        let before = self.engine.lock().faults.replace(faults);
        drop(before);
    }

    /// Disconnects what [`Self::connect`] connected. May sleep.
    fn disconnect(&self, slot: usize) {
        let state = self.engine.lock().ports[slot].take();
        drop(state);
    }

    /// Acts on what the registers say now: enables, command queue. Gives whether there was anything
    /// to do. Any context; does not sleep.
    pub fn poll(&self) -> bool {
        let mut engine = self.engine.lock();
        let before = engine.progress();

        engine.regs.settle_all();
        engine.step();
        engine.progress() != before
    }

    /// A snapshot of the counters. Any context.
    pub fn stats(&self) -> Stats {
        self.engine.lock().stats
    }
}

#[pinned_drop]
impl PinnedDrop for Smmu {
    fn drop(self: Pin<&mut Self>) {
        // Nobody has looked at these: the run must not pass for a good one.
        let records = self.strict_count();
        if records != 0 {
            pr_err!("strict mode has {records} records, the first:\n");
        }
        for record in (0..4).map_while(|index| self.strict_record(index)) {
            pr_err!("{record}\n");
        }
        kernel::warn_on!(records != 0);
    }
}

impl Doorbell for Smmu {
    fn ring(&self, offset: usize) {
        let mut engine = self.engine.lock();
        // It may have been a write of 64 bits.
        engine.regs.settle(offset);
        engine.regs.settle(offset + 4);
        engine.step();
    }
}
