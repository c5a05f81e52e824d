// SPDX-License-Identifier: GPL-2.0

//! The walk cache: table descriptors of the upper levels, so that a walk need not begin at the top.
//!
//! Real SMMUs have one. Software that frees a table must have it forgotten, too, which an
//! invalidation of leaves does not do. So where there is this cache, Leaf, TTL and TG of an
//! invalidation are taken at their word, by the TLB as well. (SMMUv3, 4.4.1.1.)

use kernel::{
    alloc::flags::GFP_KERNEL,
    prelude::*, //
};

use crate::fmt::cmd::Command;

use super::{
    tlb::ALL_SIZES,
    walk::{
        leaf_sizes,
        Step,
        Tables,
        LAST_LEVEL, //
    }, //
};

const SLOTS: usize = 128;

/// A table descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) asid: u32,
    /// First address that it is about.
    pub(super) va: u64,
    /// log2 of how many.
    shift: u32,
    granule: u32,
    /// Where it leads.
    pub(super) step: Step,
}

/// What of its addresses an invalidation must reach.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope {
    leaf: bool,
    granule: Option<u32>,
    level: Option<u32>,
}

impl Scope {
    /// What `command` says; without `ranges` neither granule nor level.
    pub(super) fn of(command: &Command, ranges: bool) -> Self {
        let granule = match command.tg() {
            tg if ranges && tg != 0 => Some(10 + 2 * u32::from(tg)),
            _ => None,
        };
        // Level 1 has no leaves in the 16 KiB granule, and counts as none.
        let level = match (granule, command.ttl()) {
            (None, _) | (_, 0) | (Some(14), 1) => None,
            (_, ttl) => Some(u32::from(ttl)),
        };
        Self {
            leaf: command.leaf(),
            granule,
            level,
        }
    }

    /// Bit n: it is about leaves of 2^n bytes.
    pub(super) fn sizes(&self) -> u64 {
        match (self.granule, self.level) {
            (None, _) => ALL_SIZES,
            (Some(granule), Some(level)) => leaf_sizes(granule, level),
            (Some(granule), None) => {
                (1..=LAST_LEVEL).fold(0, |sizes, level| sizes | leaf_sizes(granule, level))
            }
        }
    }

    /// Whether it is about the descriptor that leads to the table of `entry`: one on the way to a
    /// leaf of the level.
    fn reaches(&self, entry: &Entry) -> bool {
        !self.leaf
            && self.granule.is_none_or(|granule| granule == entry.granule)
            && self.level.is_none_or(|level| entry.step.level <= level)
    }
}

/// A direct-mapped cache. All memory is allocated at the start.
pub(super) struct WalkCache {
    on: bool,
    slots: KVec<Option<Entry>>,
}

impl WalkCache {
    /// Makes an empty one, which keeps nothing unless it is `on`. May sleep.
    pub(super) fn new(on: bool) -> Result<Self> {
        Ok(Self {
            on,
            slots: KVec::from_elem(None, SLOTS, GFP_KERNEL)?,
        })
    }

    /// Whether invalidations do no more than they must.
    pub(super) fn on(&self) -> bool {
        self.on
    }

    fn slot(asid: u32, va: u64, shift: u32) -> usize {
        let page = va >> shift;
        (page ^ page >> 7 ^ u64::from(asid) ^ u64::from(shift)) as usize % SLOTS
    }

    /// The deepest table on the way to `va` that is known.
    pub(super) fn lookup(&self, asid: u32, va: u64, tables: &Tables) -> Option<Step> {
        if !self.on {
            return None;
        }
        let levels = tables.first_level() + 1..=LAST_LEVEL;
        levels.rev().find_map(|level| {
            let shift = tables.level_shift(level - 1);
            let entry = self.slots[Self::slot(asid, va, shift)]?;
            let found = (entry.asid, entry.va, entry.shift, entry.granule)
                == (asid, va >> shift << shift, shift, tables.granule);
            found.then_some(entry.step)
        })
    }

    /// Remembers a table on the way to `va`.
    pub(super) fn insert(&mut self, asid: u32, va: u64, tables: &Tables, step: Step) {
        if !self.on {
            return;
        }
        let shift = tables.level_shift(step.level - 1);
        self.slots[Self::slot(asid, va, shift)] = Some(Entry {
            asid,
            va: va >> shift << shift,
            shift,
            granule: tables.granule,
            step,
        });
    }

    fn drop_if(&mut self, which: impl Fn(&Entry) -> bool) {
        if !self.on {
            return;
        }
        for slot in &mut self.slots {
            if slot.as_ref().is_some_and(&which) {
                *slot = None;
            }
        }
    }

    /// Drops everything.
    pub(super) fn invalidate_all(&mut self) {
        self.drop_if(|_| true);
    }

    /// Drops what is of `asid`.
    pub(super) fn invalidate_asid(&mut self, asid: u32) {
        self.drop_if(|entry| entry.asid == asid);
    }

    /// Drops what is about `size` bytes at `va` in `asid`, or in every address space, as far as
    /// `scope` says.
    pub(super) fn invalidate(&mut self, asid: Option<u32>, va: u64, size: u64, scope: Scope) {
        let last = va.saturating_add(size - 1);
        self.drop_if(|entry| {
            let end = entry.va | ((1 << entry.shift) - 1);
            asid.is_none_or(|asid| asid == entry.asid)
                && entry.va <= last
                && va <= end
                && scope.reaches(entry)
        });
    }

    /// Drops what slot `n` holds, counted round and round.
    pub(super) fn evict(&mut self, n: u64) {
        self.slots[n as usize % SLOTS] = None;
    }

    /// The number of slots.
    pub(super) fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// What a slot holds.
    pub(super) fn entry(&self, slot: usize) -> Option<Entry> {
        self.slots.get(slot).copied().flatten()
    }

    /// Whether it knows of `table` in `asid`.
    pub(super) fn knows(&self, asid: u32, table: u64) -> bool {
        let mut entries = self.slots.iter().flatten();
        entries.any(|entry| entry.asid == asid && entry.step.table == table)
    }
}
