// SPDX-License-Identifier: GPL-2.0

//! The state of the hardware, and its reaction to registers.
//!
//! One lock holds all of it. Every data access of a device is made under that lock together with
//! the walk that allowed it, and every SYNC completes under it: so no access uses a translation
//! after the SYNC that retired it. The lock is taken with interrupts off, and under it nothing is
//! allocated, printed or waited for.

use kernel::{
    prelude::*,
    sync::{
        atomic::Release,
        Arc, //
    }, //
};

use crate::{
    bus::BUS,
    fmt::{
        event::Event,
        regs::{
            self,
            Cr0,
            Gbpa,
            Gerror,
            IrqCtrl,
            MsiAddress, //
        },
        ste::Ste, //
    },
    inject::{
        Fault,
        Faults, //
    },
    line::Raise,
    mmio::RegisterFile, //
};

use super::{
    config_cache::Cache,
    evict::Evictor,
    lies::Acknowledgement,
    pri::PortState,
    queue::{
        Push,
        Queue, //
    },
    registers::Registers,
    stall::Stalls,
    strict::Strict,
    tlb::Tlb,
    walk_cache::WalkCache,
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
    pub(super) regs: Registers,
    pub(super) lines: Lines,
    pub(super) cache: Cache,
    pub(super) tlb: Tlb,
    pub(super) walks: WalkCache,
    pub(super) stalls: Stalls,
    pub(super) strict: Strict,
    pub(super) evictor: Evictor,
    /// What a SYNC has to wait for.
    pub(super) acknowledgement: Option<Acknowledgement>,
    pub(super) cmdq: Queue,
    pub(super) evtq: Queue,
    pub(super) priq: Queue,
    pub(super) stats: Stats,
    /// What goes wrong on request.
    pub(super) faults: Option<Arc<dyn Faults>>,
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
        let mut regs = Registers::new(regs);
        config.identify(&mut regs);
        regs.write32(regs::GBPA, Gbpa::default().with_abort(true).raw());
        Ok(Self {
            cmdq: Queue::commands(config.cmdq_bits).with_address_bits(config.oas_bits()),
            evtq: Queue::events(config.evtq_bits).with_address_bits(config.oas_bits()),
            priq: Queue::page_requests(config.priq_bits).with_address_bits(config.oas_bits()),
            cache: Cache::new()?,
            tlb: Tlb::new(TLB_ENTRIES)?,
            walks: WalkCache::new(config.walk_cache)?,
            stalls: Stalls::new(config.stall_limit())?,
            strict: Strict::new(config.strict)?,
            acknowledgement: None,
            evictor: Evictor::new(config.evict_one_in, config.evict_seed),
            stats: Stats::default(),
            faults: None,
            ports,
            config,
            regs,
            lines,
        })
    }

    /// Whether to do something wrong this time.
    pub(super) fn strikes(&self, fault: Fault) -> bool {
        let faults = self.faults.as_deref();
        faults.is_some_and(|faults| faults.strikes(fault))
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
        self.acknowledge(regs::CR0, regs::CR0ACK, self.config.cr0().raw());
        if before.smmuen() && !self.cr0().smmuen() {
            self.terminate_stalls(None);
        }
        let irqs = self.config.irq_ctrl().raw();
        self.acknowledge(regs::IRQ_CTRL, regs::IRQ_CTRLACK, irqs);
        let gbpa = Gbpa::from_raw(self.regs.read32(regs::GBPA));
        if gbpa.update() {
            let taken = gbpa.with_update(false).raw();
            self.regs.write32(regs::GBPA, taken);
        }
        self.consume_commands();
        // Software may have made room in the event queue.
        self.retry_stalls();
    }

    /// What changes when software has had something done.
    pub(super) fn progress(&self) -> [u32; 3] {
        [regs::CMDQ_CONS, regs::CR0ACK, regs::IRQ_CTRLACK].map(|ack| self.regs.read32(ack))
    }

    /// Takes over those bits of a register that mean something here.
    fn acknowledge(&mut self, control: usize, ack: usize, known: u32) {
        let value = self.regs.read32(control) & known;
        if value != self.regs.read32(ack) {
            self.regs.write32(ack, value);
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
        self.regs.write32(regs::GERROR, gerror ^ new);
        if self.irq_ctrl().gerror() {
            let failure = Gerror::default().with_msi_gerror_abt_err(true);
            let line = self.lines.gerror.clone();
            self.interrupt(regs::GERROR_IRQ_CFG0, &*line, failure);
        }
    }

    /// Interrupts: by a message if the registers at `config` give an address for it, else by
    /// `line`. A message that cannot be written is the global error `failure`.
    fn interrupt(&mut self, config: usize, line: &dyn Raise, failure: Gerror) {
        let address = MsiAddress::from_raw(self.regs.read64(config)).address();
        let data = self.regs.read32(config + regs::MSI_DATA);
        if !self.config.msi || address == 0 {
            line.raise();
        } else if self.message(address, data).is_err() {
            let gerror = self.regs.read32(regs::GERROR);
            let new = failure.raw() & !self.active_errors().raw();
            self.regs.write32(regs::GERROR, gerror ^ new);
        }
    }

    /// Records an event, if there is a queue with room for it.
    ///
    /// If the stream of a cached entry allows it and [`Config::merge_events`] asks for it, one that
    /// says the same as the newest that software has not read is merged into that.
    pub(super) fn record(&mut self, event: &Event) {
        if self.merges(event) {
            self.stats.events_merged += 1;
            return;
        }
        let push = if self.strikes(Fault::QueueFull) {
            Some(Push::Full)
        } else {
            self.write_event(event)
        };
        match push {
            Some(Push::Done) => return,
            Some(Push::Full) => {
                self.evtq.overflow(&mut self.regs);
                self.signal_events();
            }
            Some(Push::Unwritable) | None => {}
        }
        self.stats.events_lost += 1;
    }

    fn merges(&self, event: &Event) -> bool {
        let allowed = |ste: Ste| ste.v() && ste.mev();
        if !self.config.merge_events || !self.cache.cached_ste(event.sid()).is_some_and(allowed) {
            return false;
        }
        let layout = self.evtq.layout(&self.regs);
        let (prod, cons) = (
            self.regs.read32(regs::EVTQ_PROD),
            self.regs.read32(regs::EVTQ_CONS),
        );
        if layout.is_empty(prod, cons) {
            return false;
        }
        let newest = layout.position(prod.wrapping_sub(1));
        let entry = self.evtq.entry(&self.regs, newest).ok();
        // Addresses of the same page are the same here.
        let mut words = event
            .with_address(event.address() & !0xfff)
            .words()
            .into_iter();
        entry.is_some_and(|entry| {
            (0..Event::WORDS).all(|i| {
                let mask = if i == 2 { !0xfff } else { u64::MAX };
                entry.load64(8 * i).ok().map(|word| word & mask) == words.next()
            })
        })
    }

    /// Whether the event queue is on and works.
    fn events_wanted(&self) -> bool {
        self.cr0().evtqen() && !self.active_errors().evtq_abt_err()
    }

    /// Whether an event could be written now.
    pub(super) fn events_writable(&self) -> bool {
        self.events_wanted() && self.evtq.space(&self.regs) != 0
    }

    /// Writes an event to the queue, if that is on and works.
    pub(super) fn write_event(&mut self, event: &Event) -> Option<Push> {
        if !self.events_wanted() {
            return None;
        }
        let push = self.evtq.push(&mut self.regs, &event.words());
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
    fn signal_events(&mut self) {
        if self.irq_ctrl().evtq() {
            let failure = Gerror::default().with_msi_evtq_abt_err(true);
            let line = self.lines.evtq.clone();
            self.interrupt(regs::EVTQ_IRQ_CFG0, &*line, failure);
        }
    }

    /// Has software look at the page request queue.
    pub(super) fn signal_page_requests(&mut self) {
        if self.irq_ctrl().priq() {
            let failure = Gerror::default().with_msi_priq_abt_err(true);
            let line = self.lines.priq.clone();
            self.interrupt(regs::PRIQ_IRQ_CFG0, &*line, failure);
        }
    }

    /// The port of `sid`.
    pub(super) fn port_of(&mut self, sid: u32) -> Option<&mut PortState> {
        let mut ports = self.ports.iter_mut().flatten();
        ports.find(|port| port.sid == sid).map(|port| &mut **port)
    }

    /// Writes the message of an interrupt, after all that it tells of.
    pub(super) fn message(&self, address: u64, data: u32) -> Result {
        BUS.window(self.config.truncate(address), 4)?
            .atomic32(0)?
            .store(data, Release);
        Ok(())
    }
}
