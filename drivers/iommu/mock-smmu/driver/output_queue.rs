// SPDX-License-Identifier: GPL-2.0

//! A queue that the hardware fills: its memory and registers, as the consumer sees them.

use crate::{
    fmt::{
        queue::{
            self,
            Layout, //
        },
        regs, //
    },
    mmio::RegisterFile, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};
use kernel_ext::phys::PhysPages;

/// The registers of an output queue.
#[derive(Clone, Copy)]
pub struct Registers {
    /// Base and size.
    pub base: usize,
    /// Where the hardware writes.
    pub prod: usize,
    /// Where software reads.
    pub cons: usize,
}

/// An output queue of entries of `N` 64-bit words.
pub struct OutputQueue<const N: usize> {
    regs: Arc<RegisterFile>,
    at: Registers,
    memory: PhysPages,
    layout: Layout,
}

impl<const N: usize> OutputQueue<N> {
    /// Makes a queue of 2^`log2size` entries. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new(regs: Arc<RegisterFile>, at: Registers, log2size: u8) -> Result<Self> {
        let layout = Layout {
            log2size,
            entry_size: N * size_of::<u64>(),
        };
        Ok(Self {
            regs,
            at,
            memory: PhysPages::alloc(layout.bytes())?,
            layout,
        })
    }

    /// Writes the queue's base and indexes; it must be disabled.
    pub fn program(&self) {
        let base = regs::QueueBase::default()
            .with_log2size(self.layout.log2size)
            .with_base(self.memory.phys())
            .with_rwa(true);
        self.regs.write64(self.at.base, base.raw());
        self.regs.write32(self.at.prod, 0);
        self.regs.write32(self.at.cons, 0);
    }

    /// The queue's geometry.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The hardware's pointer. What was written before it is seen by what follows.
    pub fn prod(&self) -> u32 {
        self.regs.read32(self.at.prod)
    }

    /// The consumer's pointer.
    pub fn cons(&self) -> u32 {
        self.regs.read32(self.at.cons)
    }

    /// Gives everything before `pointer` back to the hardware. For the queue's only consumer.
    pub fn consume(&self, pointer: u32) {
        self.regs.write32(self.at.cons, pointer);
    }

    /// Whether the hardware has lost entries since the last acknowledgement.
    pub fn overflowed(&self) -> bool {
        queue::overflowed(self.prod(), self.cons())
    }

    /// The entry at a position, as it stands in memory.
    pub fn peek(&self, position: u32) -> [u64; N] {
        super::read_entry(&self.memory, self.layout.offset(position))
    }
}
