// SPDX-License-Identifier: GPL-2.0

//! Queues as the hardware sees them: it consumes commands, produces events and page requests.

use kernel::prelude::*;

use kernel_ext::phys::PhysWindow;

use crate::{
    bus::BUS,
    fmt::{
        cmd::Command,
        event::Event,
        ppr::PriEntry,
        queue::{
            self,
            Layout, //
        },
        regs::{
            self,
            Cr1,
            QueueBase, //
        }, //
    }, //
};

use super::registers::Registers;

/// Where a queue's registers are, and what is in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Queue {
    base: usize,
    pub(super) prod: usize,
    pub(super) cons: usize,
    entry_size: usize,
    /// log2 of the most entries.
    max_bits: u8,
    /// Bits of an address.
    address_bits: u32,
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
            address_bits: 52,
        }
    }

    pub(super) const fn events(max_bits: u8) -> Self {
        Self {
            base: regs::EVTQ_BASE,
            prod: regs::EVTQ_PROD,
            cons: regs::EVTQ_CONS,
            entry_size: Event::SIZE,
            max_bits,
            address_bits: 52,
        }
    }

    pub(super) const fn page_requests(max_bits: u8) -> Self {
        Self {
            base: regs::PRIQ_BASE,
            prod: regs::PRIQ_PROD,
            cons: regs::PRIQ_CONS,
            entry_size: PriEntry::SIZE,
            max_bits,
            address_bits: 52,
        }
    }

    /// As [`Self::commands`] and others make it, for an SMMU with addresses of so many bits.
    pub(super) const fn with_address_bits(self, address_bits: u32) -> Self {
        Self {
            address_bits,
            ..self
        }
    }

    fn base(&self, regs: &Registers) -> QueueBase {
        QueueBase::from_raw(regs.read64(self.base))
    }

    /// Where the queue begins: aligned to its size whatever software wrote. (SMMUv3, 6.3.26.)
    fn address(&self, regs: &Registers) -> u64 {
        const LEAST: u64 = 32;

        let size = (self.layout(regs).bytes() as u64).max(LEAST);
        self.base(regs).base() & !(size - 1) & ((1 << self.address_bits) - 1)
    }

    /// Whether the queue's memory is accessed as that of CPUs.
    fn coherent(&self, regs: &Registers) -> bool {
        Cr1::from_raw(regs.read32(regs::CR1)).coherent_queues()
    }

    /// The words of the entry that `pointer` names. Past the CPUs' caches there are zeros: what
    /// software wrote has not got there.
    ///
    /// # Errors
    ///
    /// [`EFAULT`] if the queue is not in memory.
    pub(super) fn read<const N: usize>(&self, regs: &Registers, pointer: u32) -> Result<[u64; N]> {
        let entry = self.entry(regs, pointer)?;
        let mut words = [0; N];
        if self.coherent(regs) {
            for (i, word) in words.iter_mut().enumerate() {
                *word = entry.load64(8 * i)?;
            }
        }
        Ok(words)
    }

    /// The number of entries for which there is room.
    pub(super) fn space(&self, regs: &Registers) -> u32 {
        let (prod, cons) = (regs.read32(self.prod), regs.read32(self.cons));
        self.layout(regs).space(prod, cons)
    }

    /// The geometry that software has set.
    pub(super) fn layout(&self, regs: &Registers) -> Layout {
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
    pub(super) fn entry(&self, regs: &Registers, pointer: u32) -> Result<PhysWindow<'static>> {
        let offset = self.layout(regs).offset(pointer) as u64;
        BUS.window(self.address(regs) + offset, self.entry_size)
    }

    /// Appends an entry and shows it to software, which does not see it in memory that is written
    /// past the CPUs' caches.
    pub(super) fn push(&self, regs: &mut Registers, words: &[u64]) -> Push {
        let layout = self.layout(regs);
        if self.space(regs) == 0 {
            return Push::Full;
        }
        let prod = regs.read32(self.prod);
        let store = || -> Result {
            let entry = self.entry(regs, prod)?;
            if !self.coherent(regs) {
                return Ok(());
            }
            for (i, word) in words.iter().enumerate() {
                entry.store64(8 * i, *word)?;
            }
            Ok(())
        };
        if store().is_err() {
            return Push::Unwritable;
        }
        // Ordered after the entry: pairs with software's load of PROD.
        regs.write32(self.prod, layout.advance(prod, 1));
        Push::Done
    }

    /// Whether entries were lost and software has not acknowledged that.
    pub(super) fn overflowed(&self, regs: &Registers) -> bool {
        queue::overflowed(regs.read32(self.prod), regs.read32(self.cons))
    }

    /// Tells software that an entry was lost. Gives whether that is news.
    pub(super) fn overflow(&self, regs: &mut Registers) -> bool {
        if self.overflowed(regs) {
            return false;
        }
        let prod = regs.read32(self.prod);
        regs.write32(self.prod, prod ^ queue::OVERFLOW_FLAG);
        true
    }
}
