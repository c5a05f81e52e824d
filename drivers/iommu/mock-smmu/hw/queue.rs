// SPDX-License-Identifier: GPL-2.0

//! Queues as the hardware sees them: it consumes commands, produces events and page requests.

use kernel::prelude::*;

use kernel_ext::phys::PhysWindow;

use crate::{
    bus::BUS,
    fmt::{
        cmd::Command,
        event::Event,
        ppr::PageRequest,
        queue::{
            self,
            Layout, //
        },
        regs::{
            self,
            QueueBase, //
        }, //
    },
    mmio::RegisterFile, //
};

/// Where a queue's registers are, and what is in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Queue {
    base: usize,
    pub(super) prod: usize,
    pub(super) cons: usize,
    entry_size: usize,
    /// log2 of the most entries.
    max_bits: u8,
}

/// What became of an entry for an output queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Push {
    Done,
    /// No room.
    Full,
    /// The queue's memory cannot be written.
    Unwritable,
}

impl Queue {
    pub(super) const fn commands(max_bits: u8) -> Self {
        Self {
            base: regs::CMDQ_BASE,
            prod: regs::CMDQ_PROD,
            cons: regs::CMDQ_CONS,
            entry_size: Command::SIZE,
            max_bits,
        }
    }

    pub(super) const fn events(max_bits: u8) -> Self {
        Self {
            base: regs::EVTQ_BASE,
            prod: regs::EVTQ_PROD,
            cons: regs::EVTQ_CONS,
            entry_size: Event::SIZE,
            max_bits,
        }
    }

    pub(super) const fn page_requests(max_bits: u8) -> Self {
        Self {
            base: regs::PRIQ_BASE,
            prod: regs::PRIQ_PROD,
            cons: regs::PRIQ_CONS,
            entry_size: PageRequest::SIZE,
            max_bits,
        }
    }

    fn base(&self, regs: &RegisterFile) -> QueueBase {
        QueueBase::from_raw(regs.read64(self.base))
    }

    /// The geometry that software has set.
    pub(super) fn layout(&self, regs: &RegisterFile) -> Layout {
        Layout {
            log2size: self.base(regs).log2size().min(self.max_bits),
            entry_size: self.entry_size,
        }
    }

    /// The entry that `pointer` names.
    ///
    /// # Errors
    ///
    /// [`EFAULT`] if the queue is not in memory.
    pub(super) fn entry(&self, regs: &RegisterFile, pointer: u32) -> Result<PhysWindow<'static>> {
        let offset = self.layout(regs).offset(pointer) as u64;
        BUS.window(self.base(regs).base() + offset, self.entry_size)
    }

    /// Appends an entry and shows it to software.
    pub(super) fn push(&self, regs: &RegisterFile, words: &[u64]) -> Push {
        let layout = self.layout(regs);
        let (prod, cons) = (regs.read32(self.prod), regs.read32(self.cons));
        if layout.space(prod, cons) == 0 {
            return Push::Full;
        }
        let store = || -> Result {
            let entry = self.entry(regs, prod)?;
            for (i, word) in words.iter().enumerate() {
                entry.store64(8 * i, *word)?;
            }
            Ok(())
        };
        if store().is_err() {
            return Push::Unwritable;
        }
        // Ordered after the entry: pairs with software's load of PROD.
        regs.hw_write32(self.prod, layout.advance(prod, 1));
        Push::Done
    }

    /// Whether entries were lost and software has not acknowledged that.
    pub(super) fn overflowed(&self, regs: &RegisterFile) -> bool {
        queue::overflowed(regs.read32(self.prod), regs.read32(self.cons))
    }

    /// Tells software that an entry was lost. Gives whether that is news.
    pub(super) fn overflow(&self, regs: &RegisterFile) -> bool {
        if self.overflowed(regs) {
            return false;
        }
        let prod = regs.read32(self.prod);
        regs.hw_write32(self.prod, prod ^ queue::OVERFLOW_FLAG);
        true
    }
}
