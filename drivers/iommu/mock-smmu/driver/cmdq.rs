// SPDX-License-Identifier: GPL-2.0

//! The command queue, as its producer sees it.
//!
//! Commands are put in by [`Batch`]es: a batch owns the queue from its first command to the end of
//! its SYNC, so batches never mix. It works in any context: waiting for the hardware is polling,
//! and hardware with a doorbell has done its work when the write of PROD returns.

use crate::{
    fmt::{
        cmd::{
            Command,
            CommandError, //
        },
        queue::Layout,
        regs, //
    },
    mmio::RegisterFile, //
};
use kernel::{
    new_spinlock_irq,
    prelude::*,
    processor::cpu_relax,
    sync::{
        Arc,
        SpinLockIrq, //
    },
    time::{
        Delta,
        Instant,
        Monotonic, //
    }, //
};
use kernel_ext::phys::PhysPages;

/// How long the hardware may take to consume what is queued.
const TIMEOUT: Delta = Delta::from_secs(1);

/// Counters of the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CmdqStats {
    /// Commands written, SYNCs too.
    pub commands: u64,
    /// SYNCs waited for.
    pub syncs: u64,
    /// Commands that the hardware refused.
    pub errors: u64,
    /// Times that the hardware did not get on.
    pub timeouts: u64,
}

struct Producer {
    /// Where the next command goes. `CMDQ_PROD` follows when a batch is rung.
    prod: u32,
    /// Nobody consumes commands any more.
    closed: bool,
    stats: CmdqStats,
}

/// The command queue of one SMMU.
#[pin_data]
pub struct CommandQueue {
    regs: Arc<RegisterFile>,
    memory: PhysPages,
    layout: Layout,
    #[pin]
    producer: SpinLockIrq<Producer>,
}

impl CommandQueue {
    /// Makes a queue of 2^`log2size` commands. [`Self::program`] tells the hardware.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new(regs: Arc<RegisterFile>, log2size: u8) -> Result<impl PinInit<Self>> {
        let layout = Layout {
            log2size,
            entry_size: Command::SIZE,
        };
        let memory = PhysPages::alloc(layout.bytes())?;
        Ok(pin_init!(Self {
            regs,
            memory,
            layout,
            producer <- new_spinlock_irq!(
                Producer { prod: 0, closed: false, stats: CmdqStats::default() },
                "mock_smmu_cmdq"
            ),
        }))
    }

    /// Writes the queue's base and indexes; it must be disabled.
    pub fn program(&self) {
        let base = regs::QueueBase::default()
            .with_log2size(self.layout.log2size)
            .with_base(self.memory.phys())
            .with_rwa(true);
        self.regs.write64(regs::CMDQ_BASE, base.raw());
        self.regs.write32(regs::CMDQ_PROD, 0);
        self.regs.write32(regs::CMDQ_CONS, 0);
    }

    /// The counters. Any context.
    pub fn stats(&self) -> CmdqStats {
        self.producer.lock().stats
    }

    /// The queue's geometry.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The command at a position, as it stands in memory.
    pub fn peek(&self, position: u32) -> Command {
        Command::from_words(super::read_entry(
            &self.memory,
            self.layout.offset(position),
        ))
    }

    /// The SMMU is about to be turned off for good: it has nothing to be told from now on. Any
    /// context.
    pub fn close(&self) {
        self.producer.lock().closed = true;
    }

    /// Runs `fill` to put commands in, then a SYNC, and waits for it; does nothing after
    /// [`Self::close`]. Any context.
    ///
    /// # Errors
    ///
    /// `EIO` if the hardware refused a command (it was skipped); `ETIMEDOUT` if it stopped.
    pub(crate) fn run(&self, fill: impl FnOnce(&mut Batch<'_>) -> Result) -> Result {
        let mut producer = self.producer.lock();
        if producer.closed {
            return Ok(());
        }
        let mut batch = Batch {
            queue: self,
            producer: &mut producer,
            refused: false,
        };
        fill(&mut batch)?;
        batch.sync()
    }

    /// Lets the queue go on if a command error stopped it. Any context.
    ///
    /// The batch that caused the error does this by itself; this is for the error's interrupt.
    pub fn recover(&self) {
        let mut producer = self.producer.lock();
        let mut batch = Batch {
            queue: self,
            producer: &mut producer,
            refused: false,
        };
        batch.skip_refused();
    }

    /// Acknowledges those global errors. Here, because command errors are acknowledged here too
    /// and all share a register. Any context.
    pub fn acknowledge(&self, errors: u32) {
        let _producer = self.producer.lock();
        let gerrorn = self.regs.read32(regs::GERRORN);
        self.regs.write32(regs::GERRORN, gerrorn ^ errors);
    }

    fn cons(&self) -> u32 {
        self.regs.read32(regs::CMDQ_CONS)
    }
}

/// A sequence of commands that nothing comes between.
pub struct Batch<'a> {
    queue: &'a CommandQueue,
    producer: &'a mut Producer,
    refused: bool,
}

impl Batch<'_> {
    /// Puts a command in.
    ///
    /// # Errors
    ///
    /// `ETIMEDOUT` if the queue is full and the hardware does not get on.
    pub(crate) fn push(&mut self, command: Command) -> Result {
        let layout = self.queue.layout;

        if layout.is_full(self.producer.prod, self.queue.cons()) {
            self.ring();
            self.wait(|prod, cons| !layout.is_full(prod, cons))?;
        }
        let offset = layout.offset(self.producer.prod);
        super::write_entry(&self.queue.memory, offset, &command.words());
        self.producer.prod = layout.advance(self.producer.prod, 1);
        self.producer.stats.commands += 1;
        Ok(())
    }

    /// Puts a SYNC in and waits until all commands so far have had their effect.
    ///
    /// # Errors
    ///
    /// As for [`CommandQueue::run`].
    pub fn sync(&mut self) -> Result {
        let layout = self.queue.layout;

        self.push(Command::sync())?;
        self.ring();
        // Nobody else puts commands in while this batch owns the queue, so passing the SYNC is
        // becoming empty.
        self.wait(|prod, cons| layout.is_empty(prod, cons))?;
        self.producer.stats.syncs += 1;
        if core::mem::take(&mut self.refused) {
            return Err(EIO);
        }
        Ok(())
    }

    /// Tells the hardware of the commands. The register's store is a release: they are in memory.
    fn ring(&mut self) {
        self.queue.regs.write32(regs::CMDQ_PROD, self.producer.prod);
    }

    fn wait(&mut self, done: impl Fn(u32, u32) -> bool) -> Result {
        let start = Instant::<Monotonic>::now();

        loop {
            self.skip_refused();
            if done(self.producer.prod, self.queue.cons()) {
                return Ok(());
            }
            if start.elapsed() > TIMEOUT {
                self.producer.stats.timeouts += 1;
                return Err(ETIMEDOUT);
            }
            cpu_relax();
        }
    }

    /// If the hardware stopped at a command, makes that a SYNC, which is harmless, and lets the
    /// hardware go on. (SMMUv3, 4.8 and 7.1.)
    fn skip_refused(&mut self) {
        let regs = &self.queue.regs;
        let gerror = regs.read32(regs::GERROR);
        let gerrorn = regs.read32(regs::GERRORN);
        let error = regs::Gerror::default().with_cmdq_err(true).raw();

        if (gerror ^ gerrorn) & error == 0 {
            return;
        }
        let cons = regs::CmdqCons::from_raw(self.queue.cons());
        self.producer.stats.errors += 1;
        self.refused = true;
        // After a failed ATC_INV the hardware stands at the SYNC, which may just be tried again.
        if cons.err() != CommandError::AtcInv as u8 {
            let [low, high] = self.queue.peek(cons.rd()).words();
            let reason = cons.err();
            pr_err!("command {low:#018x} {high:#018x} refused, reason {reason}\n");
            let offset = self.queue.layout.offset(cons.rd());
            super::write_entry(&self.queue.memory, offset, &Command::sync().words());
        }
        // Acknowledged by making the bits equal again. Only this lock's owner changes this bit.
        regs.write32(regs::GERRORN, gerrorn ^ error);
    }
}
