// SPDX-License-Identifier: GPL-2.0

//! Bringing the SMMU up and down.

use super::{
    asid::Asids,
    cmdq::CommandQueue,
    evtq::EventQueue,
    features::Features,
    gerror,
    idle::IdleStats,
    priq::PriQueue,
    stall::StallStats,
    stream_table::{
        self,
        StreamTable, //
    },
    Smmu, //
};
use crate::{
    fmt::{
        cmd::Command,
        regs::{
            self,
            Cr0,
            Cr1,
            Cr2,
            IrqCtrl, //
        }, //
    },
    line::Line,
    mmio::RegisterFile, //
};
use kernel::{
    new_mutex,
    prelude::*,
    processor::cpu_relax,
    rbtree::RBTree,
    sync::{
        Arc,
        SetOnce, //
    },
    time::{
        Delta,
        Instant,
        Monotonic, //
    }, //
};
use kernel_ext::{
    iopf_queue::IopfQueue,
    thread::KThread, //
};

/// How long the hardware may take to act on a control register.
const ACK_TIMEOUT: Delta = Delta::from_millis(100);

/// log2 of the queues' sizes, where the hardware allows.
const CMDQ_BITS: u8 = 8;
const EVTQ_BITS: u8 = 7;
const PRIQ_BITS: u8 = 9;

/// The interrupt lines of an SMMU.
#[derive(Clone)]
pub struct Lines {
    /// An event was queued.
    pub evtq: Arc<Line>,
    /// A page request was queued, or lost.
    pub priq: Arc<Line>,
    /// A global error became active.
    pub gerror: Arc<Line>,
}

impl Lines {
    /// Makes the lines. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new() -> Result<Self> {
        Ok(Self {
            evtq: Line::new()?,
            priq: Line::new()?,
            gerror: Line::new()?,
        })
    }
}

/// An SMMU that translates, with its interrupt threads. Dropping it turns the SMMU off; sleeps.
///
/// All devices must be gone before.
pub struct Running {
    smmu: Arc<Smmu>,
    lines: Lines,
    threads: KVec<KThread>,
}

impl Running {
    /// Brings up the SMMU behind `regs`. May sleep.
    ///
    /// # Errors
    ///
    /// `ENODEV` if it is not one that this driver can use; `ETIMEDOUT` if it does not react;
    /// `ENOMEM`.
    pub fn new(name: &CStr, regs: Arc<RegisterFile>, lines: Lines) -> Result<Self> {
        let smmu = Smmu::new(name, regs, &lines)?;
        let mut running = Self {
            smmu,
            lines,
            threads: KVec::with_capacity(3, GFP_KERNEL)?,
        };
        running.start_threads()?;
        running.smmu.enable()?;
        Ok(running)
    }

    /// The SMMU.
    pub fn smmu(&self) -> &Arc<Smmu> {
        &self.smmu
    }

    fn start_threads(&mut self) -> Result {
        let smmu = self.smmu.clone();
        let evtq = KThread::spawn(c"mock-smmu-evtq", move |_| smmu.evtq.serve(&smmu))?;
        self.threads.push(evtq, GFP_KERNEL)?;

        let smmu = self.smmu.clone();
        let priq = KThread::spawn(c"mock-smmu-priq", move |_| smmu.priq.serve(&smmu))?;
        self.threads.push(priq, GFP_KERNEL)?;

        let (smmu, line) = (self.smmu.clone(), self.lines.gerror.clone());
        let gerror = KThread::spawn(c"mock-smmu-gerr", move |_| {
            while line.wait() {
                gerror::process(&smmu);
            }
        })?;
        self.threads.push(gerror, GFP_KERNEL)?;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Err(error) = self.smmu.disable() {
            pr_err!("the SMMU does not stop: {error:?}\n");
        }
        // Wakes the threads for good.
        for line in [&self.lines.evtq, &self.lines.priq, &self.lines.gerror] {
            line.close();
        }
        self.threads.clear();
        // Address spaces may outlive us. All devices are off the queue.
        let faults = self.smmu.faults.lock().take();
        drop(faults);
    }
}

impl Smmu {
    fn new(name: &CStr, regs: Arc<RegisterFile>, lines: &Lines) -> Result<Arc<Self>> {
        let features = Features::read(&regs)?;
        let (evtq_bits, priq_bits) = (
            features.evtq_bits.min(EVTQ_BITS),
            features.priq_bits.min(PRIQ_BITS),
        );
        let cmdq = CommandQueue::new(regs.clone(), features.cmdq_bits.min(CMDQ_BITS))?;
        let priq = PriQueue::new(regs.clone(), lines.priq.clone(), priq_bits)?;
        // StreamIDs beyond that stay outside the table, and are refused.
        let streams = StreamTable::new(features.sid_bits.min(stream_table::MAX_BITS))?;
        let asids = Asids::new(features.asid16)?;
        let faults = Arc::new(IopfQueue::new(name)?, GFP_KERNEL)?;
        let evtq = EventQueue::new(regs.clone(), lines.evtq.clone(), evtq_bits)?;

        Arc::pin_init(
            pin_init!(Self {
                regs,
                features,
                asids,
                faults <- new_mutex!(Some(faults), "mock_smmu_faults"),
                stalls: StallStats::new(),
                idle: IdleStats::new(),
                evtq <- evtq,
                priq <- priq,
                cmdq <- cmdq,
                streams <- streams,
                clients <- new_mutex!(RBTree::new(), "mock_smmu_clients"),
                inject: SetOnce::new(),
            }),
            GFP_KERNEL,
        )
    }

    /// Turns translation on: queues first, so that nothing goes unnoticed.
    fn enable(&self) -> Result {
        self.set_cr0(Cr0::default())?;
        // What lies in memory lies in the CPUs' caches.
        self.regs.write32(regs::CR1, Cr1::like_the_cpus().raw());
        let cr2 = Cr2::default().with_recinvsid(true).with_ptm(true);
        self.regs.write32(regs::CR2, cr2.raw());
        self.streams.program(&self.regs);

        self.cmdq.program();
        let cr0 = Cr0::default().with_cmdqen(true);
        self.set_cr0(cr0)?;
        self.cmdq.run(|batch| {
            batch.push(Command::cfgi_all())?;
            batch.push(Command::tlbi_all())
        })?;

        self.evtq.queue().program();
        let cr0 = cr0.with_evtqen(true);
        self.set_cr0(cr0)?;
        let cr0 = if self.features.pri {
            self.priq.queue().program();
            cr0.with_priqen(true)
        } else {
            cr0
        };
        self.set_cr0(cr0)?;

        let irqs = IrqCtrl::default()
            .with_gerror(true)
            .with_evtq(true)
            .with_priq(self.features.pri);
        self.set_acknowledged(regs::IRQ_CTRL, regs::IRQ_CTRLACK, irqs.raw())?;

        let cr0 = cr0.with_atschk(self.features.ats);
        self.set_cr0(cr0)?;
        self.set_cr0(cr0.with_smmuen(true))
    }

    /// Turns everything off: traffic aborts, queues stop.
    fn disable(&self) -> Result {
        self.cmdq.close();
        self.set_cr0(Cr0::default())?;
        self.set_acknowledged(regs::IRQ_CTRL, regs::IRQ_CTRLACK, 0)
    }

    fn set_cr0(&self, cr0: Cr0) -> Result {
        self.set_acknowledged(regs::CR0, regs::CR0ACK, cr0.raw())
    }

    /// Writes a register and waits until the hardware has acted on it.
    fn set_acknowledged(&self, register: usize, ack: usize, value: u32) -> Result {
        let start = Instant::<Monotonic>::now();

        self.regs.write32(register, value);
        while self.regs.read32(ack) != value {
            if start.elapsed() > ACK_TIMEOUT {
                return Err(ETIMEDOUT);
            }
            cpu_relax();
        }
        Ok(())
    }
}
