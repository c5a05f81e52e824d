// SPDX-License-Identifier: GPL-2.0

//! For tests: an instance with tables and queues made by hand, programmed as a driver would.

use kernel::{
    page::PAGE_SIZE,
    prelude::*,
    sync::Arc, //
};

use kernel_ext::phys::PhysPages;

use crate::{
    bus::BUS,
    fmt::{
        cd::Cd,
        cmd::Command,
        event::Event,
        ppr::PriEntry,
        queue::{
            self,
            Layout, //
        },
        regs::{
            self,
            Cr0,
            Cr1,
            Cr2,
            IrqCtrl,
            QueueBase,
            StrtabBase,
            StrtabBaseCfg, //
        },
        ste::{
            self,
            Ste, //
        }, //
    },
    line::Line,
    mmio::RegisterFile, //
};

mod access;
pub(super) use access::{
    aborted,
    id,
    kind,
    read,
    start_write,
    Job,
    NO_PRI,
    PLAIN,
    USER, //
};

mod structures;
pub(super) use structures::{
    rejected,
    substreams, //
};

mod stalls;
pub(super) use stalls::{
    join,
    stalling,
    wait_for,
    write_at, //
};

mod space;
pub(super) use space::{
    Space,
    AF,
    CONTIGUOUS,
    DBM,
    PAGE_BIT,
    READ_ONLY,
    USER_RW, //
};

use super::{
    Config,
    Lines,
    Port,
    PortConfig,
    Smmu, //
};

/// See the module's head. One page for each table and queue.
pub(super) struct Bench {
    pub(super) regs: Arc<RegisterFile>,
    pub(super) smmu: Arc<Smmu>,
    pub(super) evtq_line: Arc<Line>,
    pub(super) priq_line: Arc<Line>,
    pub(super) gerror_line: Arc<Line>,
    pub(super) sync_line: Arc<Line>,
    /// A linear stream table of 64 entries.
    pub(super) streams: PhysPages,
    cmdq: PhysPages,
    evtq: PhysPages,
    priq: PhysPages,
}

/// 16 commands, 4 events, 8 page requests.
const CMDQ: Layout = Layout {
    log2size: 4,
    entry_size: 16,
};
const EVTQ: Layout = Layout {
    log2size: 2,
    entry_size: 32,
};
const PRIQ: Layout = Layout {
    log2size: 3,
    entry_size: 16,
};

pub(super) const STREAMS_LOG2: u8 = 6;

impl Bench {
    /// An instance that is all set up, on, and rung by the register file.
    pub(super) fn new(config: Config) -> Result<Self> {
        let bench = Self::off(config)?;
        bench.regs.set_doorbell(bench.smmu.clone());
        bench.enable(
            Cr0::default()
                .with_smmuen(true)
                .with_cmdqen(true)
                .with_evtqen(true)
                .with_priqen(true)
                .with_atschk(true),
        );
        Ok(bench)
    }

    /// An instance that is set up but off, and polled.
    pub(super) fn off(config: Config) -> Result<Self> {
        let regs = RegisterFile::new()?;
        let (evtq_line, priq_line) = (Line::new()?, Line::new()?);
        let (gerror_line, sync_line) = (Line::new()?, Line::new()?);
        let lines = Lines {
            evtq: evtq_line.clone(),
            priq: priq_line.clone(),
            gerror: gerror_line.clone(),
            sync: sync_line.clone(),
        };
        let bench = Self {
            smmu: Smmu::new(config, regs.clone(), lines, BUS)?,
            regs,
            evtq_line,
            priq_line,
            gerror_line,
            sync_line,
            streams: PhysPages::alloc(PAGE_SIZE)?,
            cmdq: PhysPages::alloc(PAGE_SIZE)?,
            evtq: PhysPages::alloc(PAGE_SIZE)?,
            priq: PhysPages::alloc(PAGE_SIZE)?,
        };
        let queues = [
            (regs::CMDQ_BASE, &bench.cmdq, CMDQ),
            (regs::EVTQ_BASE, &bench.evtq, EVTQ),
            (regs::PRIQ_BASE, &bench.priq, PRIQ),
        ];
        for (register, pages, layout) in queues {
            let base = QueueBase::default()
                .with_base(pages.phys())
                .with_log2size(layout.log2size);
            bench.regs.write64(register, base.raw());
        }
        let base = StrtabBase::default().with_base(bench.streams.phys());
        bench.regs.write64(regs::STRTAB_BASE, base.raw());
        let cfg = StrtabBaseCfg::default().with_log2size(STREAMS_LOG2);
        bench.regs.write32(regs::STRTAB_BASE_CFG, cfg.raw());
        let cr1 = Cr1::like_the_cpus();
        bench.regs.write32(regs::CR1, cr1.raw());
        let cr2 = Cr2::default().with_recinvsid(true);
        bench.regs.write32(regs::CR2, cr2.raw());
        let irqs = IrqCtrl::default()
            .with_gerror(true)
            .with_evtq(true)
            .with_priq(true);
        bench.regs.write32(regs::IRQ_CTRL, irqs.raw());
        Ok(bench)
    }

    pub(super) fn enable(&self, cr0: Cr0) {
        self.regs.write32(regs::CR0, cr0.raw());
    }

    /// Writes a stream table entry, word 0 last.
    pub(super) fn set_ste(&self, sid: u32, ste: &Ste) -> Result {
        let window = self.streams.window();
        for (i, word) in ste.words().iter().enumerate().rev() {
            window.store64(sid as usize * Ste::SIZE + 8 * i, *word)?;
        }
        Ok(())
    }

    /// Writes a command and rings.
    pub(super) fn command(&self, command: Command) -> Result {
        let prod = self.regs.read32(regs::CMDQ_PROD);
        let window = self.cmdq.window();
        for (i, word) in command.words().iter().enumerate() {
            window.store64(CMDQ.offset(prod) + 8 * i, *word)?;
        }
        self.regs.write32(regs::CMDQ_PROD, CMDQ.advance(prod, 1));
        Ok(())
    }

    /// Writes a command over the one that was to be consumed next.
    pub(super) fn replace_command(&self, command: Command) -> Result {
        let cons = self.regs.read32(regs::CMDQ_CONS);
        let window = self.cmdq.window();
        for (i, word) in command.words().iter().enumerate() {
            window.store64(CMDQ.offset(cons) + 8 * i, *word)?;
        }
        Ok(())
    }

    /// Whether all commands were consumed.
    pub(super) fn idle(&self) -> bool {
        let (prod, cons) = (
            self.regs.read32(regs::CMDQ_PROD),
            self.regs.read32(regs::CMDQ_CONS),
        );
        CMDQ.is_empty(prod, cons)
    }

    /// Takes the oldest event.
    pub(super) fn event(&self) -> Option<Event> {
        let words = take(&self.regs, &self.evtq, EVTQ, regs::EVTQ_PROD)?;
        Some(Event::from_words(words))
    }

    /// Takes the oldest page request.
    pub(super) fn page_request(&self) -> Option<PriEntry> {
        let words: [u64; 2] = take(&self.regs, &self.priq, PRIQ, regs::PRIQ_PROD)?;
        Some(PriEntry::from_words(words))
    }

    /// Acknowledges the overflow of the queue whose PROD is at `prod`.
    pub(super) fn acknowledge(&self, prod: usize) {
        let (produced, cons) = (self.regs.read32(prod), self.regs.read32(prod + 4));
        self.regs
            .write32(prod + 4, queue::acknowledge(produced, cons));
    }

    pub(super) fn port(&self, sid: u32, config: PortConfig) -> Result<Arc<Port>> {
        Port::new(self.smmu.clone(), sid, config)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.regs.clear_doorbell();
    }
}

/// Takes the oldest entry of an output queue, whose CONS follows its PROD.
fn take<const N: usize>(
    regs: &RegisterFile,
    pages: &PhysPages,
    layout: Layout,
    prod: usize,
) -> Option<[u64; N]> {
    let cons = regs.read32(prod + 4);
    if layout.is_empty(regs.read32(prod), cons) {
        return None;
    }
    let mut words = [0; N];
    for (i, word) in words.iter_mut().enumerate() {
        *word = pages.window().load64(layout.offset(cons) + 8 * i).ok()?;
    }
    regs.write32(prod + 4, layout.advance(cons, 1));
    Some(words)
}

/// A stream table entry for `log2` context descriptors at `table`, with ATS.
pub(super) fn stage1(table: &PhysPages, log2: u8) -> Ste {
    Ste::default()
        .with_v(true)
        .with_config(ste::CONFIG_S1)
        .with_s1_context_ptr(table.phys())
        .with_s1_cd_max(log2)
        .with_s1_dss(ste::S1DSS_SSID0)
        .with_eats(ste::EATS_TRANS)
}

/// Writes a descriptor of a linear table, word 0 last.
pub(super) fn set_cd(table: &PhysPages, index: usize, cd: &Cd) -> Result {
    for (i, word) in cd.words().iter().enumerate().rev() {
        table.window().store64(index * Cd::SIZE + 8 * i, *word)?;
    }
    Ok(())
}

/// An instance with one stream of 64 context descriptors; SubstreamID 1 is `space`.
pub(super) struct OneSpace {
    pub(super) bench: Bench,
    pub(super) cds: PhysPages,
    pub(super) space: Space,
    /// Four pages of data.
    pub(super) data: PhysPages,
}

pub(super) const SID: u32 = 5;
pub(super) const SSID: u32 = 1;
pub(super) const ASID: u16 = 7;
pub(super) const VA: u64 = 0x12_3456_7000;
pub(super) const PAGE: u64 = PAGE_SIZE as u64;

impl OneSpace {
    /// Nothing is mapped yet.
    pub(super) fn new() -> Result<Self> {
        Self::with_config(Config::default())
    }

    /// Nothing is mapped yet.
    pub(super) fn with_config(config: Config) -> Result<Self> {
        let this = Self {
            bench: Bench::new(config)?,
            cds: PhysPages::alloc(PAGE_SIZE)?,
            space: Space::new(12, 48)?,
            data: PhysPages::alloc(4 * PAGE_SIZE)?,
        };
        set_cd(&this.cds, SSID as usize, &this.space.cd(ASID))?;
        this.bench.set_ste(SID, &stage1(&this.cds, 6))?;
        Ok(this)
    }

    /// Maps data page `n` at `VA` + `n` pages.
    pub(super) fn map(&mut self, n: u64, bits: u64) -> Result {
        let pa = self.data.phys() + n * PAGE;
        self.space.set(VA + n * PAGE, 3, pa | bits)
    }

    pub(super) fn unmap(&mut self, n: u64) -> Result {
        self.space.set(VA + n * PAGE, 3, 0)
    }

    pub(super) fn port(&self, config: PortConfig) -> Result<Arc<Port>> {
        self.bench.port(SID, config)
    }
}
