// SPDX-License-Identifier: GPL-2.0

//! The state of the hardware, and its reaction to registers.
//!
//! One lock holds all of it. Every data access of a device is made under that lock together with
//! the walk that allowed it, and every SYNC completes under it: so no access uses a translation
//! after the SYNC that retired it. The lock is taken with interrupts off, and under it nothing is
//! allocated, printed or waited for.

use kernel::{
    prelude::*,
    sync::Arc, //
};

use crate::{
    fmt::{
        event::Event,
        regs::{
            self,
            Cr0,
            Gbpa,
            Gerror,
            IrqCtrl, //
        }, //
    },
    mmio::RegisterFile, //
};

use super::{
    config::Cache,
    pri::PortState,
    queue::{
        Push,
        Queue, //
    },
    stall::Stalls,
    tlb::Tlb,
    Config,
    Lines,
    Stats, //
};

/// Most ports of an instance.
const MAX_PORTS: usize = 64;
const TLB_ENTRIES: usize = 1024;

/// See the module's head.
pub(super) struct Engine {
    pub(super) config: Config,
    pub(super) regs: Arc<RegisterFile>,
    pub(super) lines: Lines,
    pub(super) cache: Cache,
    pub(super) tlb: Tlb,
    pub(super) stalls: Stalls,
    pub(super) cmdq: Queue,
    pub(super) evtq: Queue,
    pub(super) priq: Queue,
    pub(super) stats: Stats,
    /// The connected ports; a slot belongs to its port until the port goes.
    pub(super) ports: KVec<Option<KBox<PortState>>>,
}

impl Engine {
    /// Makes the hardware as it is after reset. May sleep.
    pub(super) fn new(config: Config, regs: Arc<RegisterFile>, lines: Lines) -> Result<Self> {
        let mut ports = KVec::with_capacity(MAX_PORTS, GFP_KERNEL)?;
        for _ in 0..MAX_PORTS {
            ports.push(None, GFP_KERNEL)?;
        }
        config.identify(&regs);
        regs.hw_write32(regs::GBPA, Gbpa::default().with_abort(true).raw());
        Ok(Self {
            cmdq: Queue::commands(config.cmdq_bits),
            evtq: Queue::events(config.evtq_bits),
            priq: Queue::page_requests(config.priq_bits),
            cache: Cache::new()?,
            tlb: Tlb::new(TLB_ENTRIES)?,
            stalls: Stalls::new(config.stall_limit())?,
            stats: Stats::default(),
            ports,
            config,
            regs,
            lines,
        })
    }

    /// The enables that are in force.
    pub(super) fn cr0(&self) -> Cr0 {
        Cr0::from_raw(self.regs.read32(regs::CR0ACK))
    }

    fn irq_ctrl(&self) -> IrqCtrl {
        IrqCtrl::from_raw(self.regs.read32(regs::IRQ_CTRLACK))
    }

    /// One step: takes over the registers that software has written, consumes commands.
    ///
    /// It compares the registers with what it acknowledged last, so it may be called at any time,
    /// by whatever notices or suspects a write.
    pub(super) fn step(&mut self) {
        let before = self.cr0();
        self.acknowledge(regs::CR0, regs::CR0ACK);
        if before.smmuen() && !self.cr0().smmuen() {
            self.terminate_stalls(None);
        }
        self.acknowledge(regs::IRQ_CTRL, regs::IRQ_CTRLACK);
        let gbpa = Gbpa::from_raw(self.regs.read32(regs::GBPA));
        if gbpa.update() {
            let taken = gbpa.with_update(false).raw();
            self.regs.hw_write32(regs::GBPA, taken);
        }
        self.consume_commands();
        // Software may have made room in the event queue.
        self.record_stalls();
    }

    fn acknowledge(&self, control: usize, ack: usize) {
        let value = self.regs.read32(control);
        if value != self.regs.read32(ack) {
            self.regs.hw_write32(ack, value);
        }
    }

    /// The global errors that software has not acknowledged.
    pub(super) fn active_errors(&self) -> Gerror {
        Gerror::from_raw(self.regs.read32(regs::GERROR) ^ self.regs.read32(regs::GERRORN))
    }

    /// Makes the global errors of `which` active.
    pub(super) fn global_error(&mut self, which: Gerror) {
        let new = which.raw() & !self.active_errors().raw();
        if new == 0 {
            return;
        }
        let gerror = self.regs.read32(regs::GERROR);
        self.regs.hw_write32(regs::GERROR, gerror ^ new);
        if self.irq_ctrl().gerror() {
            self.lines.gerror.raise();
        }
    }

    /// Records an event, if there is a queue with room for it.
    pub(super) fn record(&mut self, event: &Event) {
        self.record_stalls();
        match self.write_event(event) {
            Some(Push::Done) => return,
            Some(Push::Full) => {
                self.evtq.overflow(&self.regs);
                self.signal_events();
            }
            Some(Push::Unwritable) | None => {}
        }
        self.stats.events_lost += 1;
    }

    /// Writes an event to the queue, if that is on and works.
    pub(super) fn write_event(&mut self, event: &Event) -> Option<Push> {
        if !self.cr0().evtqen() || self.active_errors().evtq_abt_err() {
            return None;
        }
        let push = self.evtq.push(&self.regs, &event.words());
        match push {
            Push::Done => {
                self.stats.events += 1;
                self.signal_events();
            }
            Push::Full => {}
            Push::Unwritable => self.global_error(Gerror::default().with_evtq_abt_err(true)),
        }
        Some(push)
    }

    /// Has software look at the event queue.
    ///
    /// Whether or not the queue was empty before: an extra edge costs little, and a check would
    /// race with software that is about to stop reading.
    fn signal_events(&self) {
        if self.irq_ctrl().evtq() {
            self.lines.evtq.raise();
        }
    }

    /// Has software look at the page request queue.
    pub(super) fn signal_page_requests(&self) {
        if self.irq_ctrl().priq() {
            self.lines.priq.raise();
        }
    }

    /// The port of `sid`.
    pub(super) fn port_of(&mut self, sid: u32) -> Option<&mut PortState> {
        let mut ports = self.ports.iter_mut().flatten();
        ports.find(|port| port.sid == sid).map(|port| &mut **port)
    }
}
