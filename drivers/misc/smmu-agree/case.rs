// SPDX-License-Identifier: GPL-2.0

//! A case: what registers hold, and the access that is made. Its structures are in the arena.

use kernel::prelude::*;

/// Registers that tell how transactions are translated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Setup {
    /// CR0.SMMUEN.
    pub(crate) enabled: bool,
    /// GBPA.ABORT.
    pub(crate) gbpa_abort: bool,
    /// CR2.RECINVSID.
    pub(crate) record_bad_sid: bool,
    /// STRTAB_BASE.
    pub(crate) strtab_base: u64,
    /// STRTAB_BASE_CFG.FMT is 1.
    pub(crate) two_level: bool,
    /// STRTAB_BASE_CFG.LOG2SIZE.
    pub(crate) log2size: u8,
    /// STRTAB_BASE_CFG.SPLIT.
    pub(crate) split: u8,
}

/// Most bytes of an access.
pub(crate) const MAX_LEN: usize = 64;

/// An access by a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Access {
    pub(crate) sid: u32,
    pub(crate) ssid: Option<u32>,
    pub(crate) va: u64,
    /// 1 to [`MAX_LEN`].
    pub(crate) len: usize,
    pub(crate) write: bool,
    pub(crate) exec: bool,
    pub(crate) privileged: bool,
}

/// An event record.
pub(crate) type Event = [u64; 4];

/// How an access ends that is not carried out, or not to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// All was done.
    Done,
    /// The device gets an abort.
    Abort,
    /// Reads give zero, writes vanish.
    Ignored,
    /// It waits in the SMMU.
    Stalled,
}

/// What an access did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) end: End,
    pub(crate) event: Option<Event>,
    /// Where the access went, page by page: physical address, bytes.
    pub(crate) places: [(u64, usize); 2],
    /// What was written to tables: physical address, new value; address 0 is none.
    pub(crate) updates: [(u64, u64); 8],
}

impl Default for Outcome {
    fn default() -> Self {
        Self {
            end: End::Done,
            event: None,
            places: [(0, 0); 2],
            updates: [(0, 0); 8],
        }
    }
}

impl Outcome {
    /// The places that there are.
    pub(crate) fn places(&self) -> impl Iterator<Item = (u64, usize)> + '_ {
        self.places.iter().copied().filter(|(_, len)| *len != 0)
    }

    pub(crate) fn add_place(&mut self, phys: u64, len: usize) {
        if let Some(free) = self.places.iter_mut().find(|(_, len)| *len == 0) {
            *free = (phys, len);
        }
    }

    /// What the case's tables became; a later value of a word counts.
    pub(crate) fn update(&mut self, phys: u64, value: u64) {
        let slot = self
            .updates
            .iter_mut()
            .find(|(at, _)| *at == phys || *at == 0);
        if let Some(slot) = slot {
            *slot = (phys, value);
        }
    }
}

/// Prints a case, so that it can be made by hand.
pub(crate) fn print(setup: &Setup, access: &Access, words: impl Iterator<Item = (usize, u64)>) {
    pr_info!("agree:   {setup:x?}\n");
    pr_info!("agree:   {access:x?}\n");
    for (offset, word) in words {
        pr_info!("agree:   {offset:#08x}: {word:#018x}\n");
    }
}
