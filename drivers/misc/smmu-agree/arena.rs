// SPDX-License-Identifier: GPL-2.0

//! The memory that both SMMUs look at.
//!
//! All of it is zero but for what a case has put there, and that is taken back after the case; but
//! data may be something from the start, so that there is something to read.

use core::ops::Range;

use kernel::prelude::*;
use kernel_ext::phys::PhysPages;

/// Bytes of the arena, which is aligned to as much: what the page allocator has at most.
pub(crate) const SIZE: usize = 4 << 20;
/// Where data is, after room for a stream table at the very start.
pub(crate) const DATA: Range<usize> = 0x1_0000..0x10_0000;
/// Translation tables.
pub(crate) const TABLES: Range<usize> = 0x10_0000..0x20_0000;
/// Context descriptors; room for a stream table of great alignment at the start.
pub(crate) const CDS: Range<usize> = 0x21_0000..0x22_0000;
/// First-level tables of context descriptors.
pub(crate) const L1_CDS: Range<usize> = 0x22_0000..0x23_0000;
/// Stream tables, or those of the first level.
pub(crate) const STREAMS: Range<usize> = 0x30_0000..0x31_0000;
/// Stream tables of the second level.
pub(crate) const L2_STREAMS: Range<usize> = 0x31_0000..0x32_0000;
/// The command queue of both.
pub(crate) const COMMANDS: usize = 0x32_0000;
/// The event queues of either.
pub(crate) const EVENTS: [usize; 2] = [0x33_0000, 0x34_0000];
/// What is written, for a device that must read it first.
pub(crate) const PATTERN: usize = 0x35_0000;
/// What a device has read.
pub(crate) const DUMP: usize = 0x36_0000;

/// From here on there is no memory, nor anything else, in the guest's machine.
pub(crate) const NOTHING: u64 = 1 << 41;

/// See the module's head.
pub(crate) struct Arena {
    pages: PhysPages,
    /// The offsets that are not zero.
    used: KVec<usize>,
    /// Data is not zero.
    readable: bool,
}

impl Arena {
    /// With data that is not zero, if it is to be `readable`. May sleep.
    pub(crate) fn new(readable: bool) -> Result<Self> {
        let pages = PhysPages::alloc(SIZE)?;
        if pages.phys() % SIZE as u64 != 0 || pages.phys() >= NOTHING {
            return Err(ENOMEM);
        }
        let arena = Self {
            pages,
            used: KVec::with_capacity(512, GFP_KERNEL)?,
            readable,
        };
        for offset in DATA.step_by(8) {
            arena.set(offset, arena.original(offset));
        }
        Ok(arena)
    }

    /// The physical address of an offset.
    pub(crate) fn phys(&self, offset: usize) -> u64 {
        self.pages.phys() + offset as u64
    }

    /// The offset of a physical address, if `len` bytes there are inside.
    pub(crate) fn offset(&self, phys: u64, len: usize) -> Option<usize> {
        let offset = phys.checked_sub(self.pages.phys())?;
        (offset <= (SIZE - len) as u64).then_some(offset as usize)
    }

    /// The word at an offset; 0 outside.
    pub(crate) fn get(&self, offset: usize) -> u64 {
        self.pages.window().load64(offset).unwrap_or(0)
    }

    /// Writes a word, for good.
    pub(crate) fn set(&self, offset: usize, value: u64) {
        // Outside it would be missed at once.
        let _ = self.pages.window().store64(offset, value);
    }

    /// Writes a word of a case.
    pub(crate) fn put(&mut self, offset: usize, value: u64) {
        // What does not fit stays zero: the case is another one.
        if self.used.len() < self.used.capacity() && self.used.push(offset, GFP_ATOMIC).is_ok() {
            self.set(offset, value);
        }
    }

    /// Takes all words of the case back.
    pub(crate) fn clean(&mut self) {
        for &offset in self.used.iter() {
            self.set(offset, 0);
        }
        self.used.clear();
    }

    /// The words of the case that are not 0, by offset.
    pub(crate) fn words(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        let words = self.used.iter().map(|&offset| (offset, self.get(offset)));
        words.filter(|(_, word)| *word != 0)
    }

    /// Copies bytes at an offset; 0 outside.
    pub(crate) fn read(&self, offset: usize, to: &mut [u8]) {
        if self.pages.window().read(offset, to).is_err() {
            to.fill(0);
        }
    }

    /// Writes bytes at an offset.
    pub(crate) fn write(&self, offset: usize, from: &[u8]) {
        let _ = self.pages.window().write(offset, from);
    }

    /// What the word of data at `offset` is from the start: no byte of it is 0, and pages differ.
    fn original(&self, offset: usize) -> u64 {
        const EACH_BYTE: u64 = 0x0101_0101_0101_0101;

        if self.readable {
            EACH_BYTE * (1 + offset as u64 / 8 % 255)
        } else {
            0
        }
    }

    /// Makes `len` bytes of data what they were.
    pub(crate) fn restore(&self, offset: usize, len: usize) {
        for offset in (offset & !7..offset + len).step_by(8) {
            self.set(offset, self.original(offset));
        }
    }

    /// The first word of the data that is not what it was.
    pub(crate) fn find_changed(&self) -> Option<usize> {
        DATA.step_by(8)
            .find(|&offset| self.get(offset) != self.original(offset))
    }
}
