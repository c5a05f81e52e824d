// SPDX-License-Identifier: GPL-2.0

//! A cache of translations: the SMMU's TLB, and the ATC of each device.
//!
//! Entries stay until they are invalidated or replaced, or evicted on request. All memory is
//! allocated at the start. Faults are never cached: the architecture forbids it.

use kernel::{
    alloc::flags::GFP_KERNEL,
    prelude::*, //
};

use super::walk::{
    Perms,
    Translation, //
};

const WAYS: usize = 8;

/// Of every size.
pub(super) const ALL_SIZES: u64 = u64::MAX;

/// One cached translation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The address space: ASID in the TLB, SubstreamID in an ATC.
    pub tag: u32,
    /// First input address.
    pub va: u64,
    /// First output address.
    pub pa: u64,
    /// log2 of the size.
    pub shift: u8,
    /// Valid in every address space.
    pub global: bool,
    /// Permissions.
    pub perms: Perms,
}

impl Entry {
    pub(super) fn translation(&self) -> Translation {
        Translation {
            base: self.pa,
            shift: self.shift,
            perms: self.perms,
            global: self.global,
        }
    }

    /// Whether an invalidation by `tag` concerns this entry; `None` is every address space.
    fn is_of(&self, tag: Option<u32>) -> bool {
        self.global || tag.is_none_or(|tag| tag == self.tag)
    }
}

/// Set-associative; the set depends on the address only, as global entries have no tag.
pub(super) struct Tlb {
    entries: KVec<Option<Entry>>,
    /// The way of each set that is replaced next.
    victims: KVec<u8>,
    /// Bit n: an entry of size 2^n was ever put in since all were dropped.
    sizes: u64,
}

impl Tlb {
    /// Makes one with room for at least `entries` translations. May sleep.
    pub(super) fn new(entries: usize) -> Result<Self> {
        let sets = entries.div_ceil(WAYS).next_power_of_two();
        Ok(Self {
            entries: KVec::from_elem(None, sets * WAYS, GFP_KERNEL)?,
            victims: KVec::from_elem(0, sets, GFP_KERNEL)?,
            sizes: 0,
        })
    }

    fn set(&self, va: u64, shift: u8) -> usize {
        let page = va >> shift;
        let hash = page ^ page >> 7 ^ page >> 17 ^ u64::from(shift);
        hash as usize & (self.victims.len() - 1)
    }

    fn ways(&mut self, set: usize) -> &mut [Option<Entry>] {
        &mut self.entries[set * WAYS..(set + 1) * WAYS]
    }

    /// The sizes in use that are of `sizes`, smallest first.
    fn shifts(&self, sizes: u64) -> impl Iterator<Item = u8> {
        let mut sizes = self.sizes & sizes;
        core::iter::from_fn(move || {
            let shift = sizes.trailing_zeros();
            sizes &= sizes.wrapping_sub(1);
            (shift < u64::BITS).then_some(shift as u8)
        })
    }

    /// The slots that translate `va`: at most one for each of `sizes` and tag.
    fn find(&mut self, va: u64, sizes: u64, mut f: impl FnMut(&mut Option<Entry>)) {
        for shift in self.shifts(sizes) {
            let set = self.set(va, shift);
            for slot in self.ways(set) {
                if slot.is_some_and(|e| e.shift == shift && e.va == va >> shift << shift) {
                    f(slot);
                }
            }
        }
    }

    /// The cached translation of `va` in `tag`.
    pub(super) fn lookup(&mut self, tag: u32, va: u64) -> Option<Translation> {
        let mut found = None;
        self.find(va, ALL_SIZES, |slot| {
            if let Some(entry) = slot.filter(|e| e.is_of(Some(tag))) {
                found = Some(entry.translation());
            }
        });
        found
    }

    /// Remembers the translation of `va` in `tag`.
    pub(super) fn insert(&mut self, tag: u32, va: u64, t: Translation) {
        let entry = Entry {
            tag,
            va: va >> t.shift << t.shift,
            pa: t.base,
            shift: t.shift,
            global: t.global,
            perms: t.perms,
        };
        self.sizes |= 1 << t.shift;
        let set = self.set(va, t.shift);
        let victim = usize::from(self.victims[set]);
        let ways = self.ways(set);
        let same = |e: &Entry| (e.tag, e.va, e.shift) == (entry.tag, entry.va, entry.shift);
        let way = ways
            .iter()
            .position(|slot| slot.as_ref().is_some_and(same))
            .or_else(|| ways.iter().position(Option::is_none))
            .unwrap_or(victim);
        ways[way] = Some(entry);
        if way == victim {
            self.victims[set] = ((victim + 1) % WAYS) as u8;
        }
    }

    /// Drops the translations of `va` in `tag`, or in every address space.
    pub(super) fn invalidate_va(&mut self, tag: Option<u32>, va: u64) {
        self.invalidate_va_of(ALL_SIZES, tag, va);
    }

    /// As [`Self::invalidate_va`], but only those of 2^n bytes where bit n of `sizes` is set.
    pub(super) fn invalidate_va_of(&mut self, sizes: u64, tag: Option<u32>, va: u64) {
        self.find(va, sizes, |slot| {
            if slot.is_some_and(|e| e.is_of(tag)) {
                *slot = None;
            }
        });
    }

    /// Drops the translations in `tag`, or in every address space, that overlap `size` bytes at
    /// `va`.
    pub(super) fn invalidate_range(&mut self, tag: Option<u32>, va: u64, size: u64) {
        self.invalidate_range_of(ALL_SIZES, tag, va, size);
    }

    /// As [`Self::invalidate_range`], but only those of 2^n bytes where bit n of `sizes` is set.
    pub(super) fn invalidate_range_of(&mut self, sizes: u64, tag: Option<u32>, va: u64, size: u64) {
        if self.sizes & sizes == 0 {
            return;
        }
        let last = va.saturating_add(size - 1);
        for slot in &mut self.entries {
            let hit = |e: Entry| {
                let inside = e.va <= last && va <= e.va | ((1 << e.shift) - 1);
                e.is_of(tag) && inside && sizes & 1 << e.shift != 0
            };
            if slot.is_some_and(hit) {
                *slot = None;
            }
        }
    }

    /// Drops the translations of `tag` that are not global.
    pub(super) fn invalidate_tag(&mut self, tag: u32) {
        if self.sizes == 0 {
            return;
        }
        for slot in &mut self.entries {
            if slot.is_some_and(|e| e.tag == tag && !e.global) {
                *slot = None;
            }
        }
    }

    /// Drops everything.
    pub(super) fn invalidate_all(&mut self) {
        if self.sizes == 0 {
            return;
        }
        self.entries.fill(None);
        self.sizes = 0;
    }

    /// Drops what slot `n` holds, counted round and round.
    pub(super) fn evict(&mut self, n: u64) {
        let slot = (n % self.entries.len() as u64) as usize;
        self.entries[slot] = None;
    }

    /// The number of slots.
    pub(super) fn capacity(&self) -> usize {
        self.entries.len()
    }

    /// What a slot holds.
    pub(super) fn entry(&self, slot: usize) -> Option<Entry> {
        self.entries.get(slot).copied().flatten()
    }
}

#[kunit_tests(smmu_hw_tlb)]
mod tests {
    use super::*;

    fn page(base: u64, shift: u8) -> Translation {
        Translation {
            base,
            shift,
            perms: Perms::ALL,
            global: false,
        }
    }

    #[test]
    fn sizes_side_by_side() -> Result {
        let mut tlb = Tlb::new(64)?;
        tlb.insert(1, 0x1234_5678, page(0x8000, 12));
        tlb.insert(1, 0x4000_0000, page(0x20_0000, 21));
        tlb.insert(1, 0x1_0000_0000, page(0x4000_0000, 30));
        assert_eq!(
            tlb.lookup(1, 0x1234_5fff).map(|t| t.address(0x1234_5fff)),
            Some(0x8fff)
        );
        assert_eq!(
            tlb.lookup(1, 0x401f_ffff).map(|t| t.address(0x401f_ffff)),
            Some(0x3f_ffff)
        );
        assert!(tlb.lookup(1, 0x1_2345_6789).is_some());
        assert!(tlb.lookup(1, 0x1234_6000).is_none());
        assert!(tlb.lookup(2, 0x1234_5000).is_none());
        Ok(())
    }

    #[test]
    fn invalidate_by_address() -> Result {
        let mut tlb = Tlb::new(64)?;
        tlb.insert(1, 0x4000_0000, page(0x20_0000, 21));
        tlb.insert(2, 0x4000_0000, page(0x40_0000, 21));
        // Any address of a block drops it, in its own address space only.
        tlb.invalidate_va(Some(1), 0x4012_3000);
        assert!(tlb.lookup(1, 0x4000_0000).is_none());
        assert!(tlb.lookup(2, 0x4000_0000).is_some());
        tlb.invalidate_va(None, 0x4000_0000);
        assert!(tlb.lookup(2, 0x4000_0000).is_none());
        Ok(())
    }

    #[test]
    fn invalidate_by_range() -> Result {
        let mut tlb = Tlb::new(64)?;
        for i in 0..8 {
            tlb.insert(1, i << 12, page(i << 12, 12));
        }
        tlb.invalidate_range(Some(1), 0x2000, 0x3000);
        for i in 0..8 {
            assert_eq!(tlb.lookup(1, i << 12).is_some(), !(2..5).contains(&i));
        }
        tlb.insert(1, 0x4000_0000, page(0x20_0000, 21));
        tlb.invalidate_range(None, 0x4010_0000, 1);
        assert!(tlb.lookup(1, 0x4000_0000).is_none());
        tlb.invalidate_range(None, 0, u64::MAX);
        assert!(tlb.lookup(1, 0).is_none());
        Ok(())
    }

    #[test]
    fn global_entries() -> Result {
        let mut tlb = Tlb::new(64)?;
        tlb.insert(
            1,
            0x1000,
            Translation {
                global: true,
                ..page(0x5000, 12)
            },
        );
        tlb.insert(1, 0x2000, page(0x6000, 12));
        assert!(tlb.lookup(9, 0x1000).is_some());
        tlb.invalidate_tag(1);
        assert!(tlb.lookup(1, 0x1000).is_some());
        assert!(tlb.lookup(1, 0x2000).is_none());
        tlb.invalidate_va(Some(3), 0x1000);
        assert!(tlb.lookup(1, 0x1000).is_none());
        Ok(())
    }

    #[test]
    fn replacement_keeps_the_newest() -> Result {
        let mut tlb = Tlb::new(8)?;
        for i in 0..64 {
            tlb.insert(1, i << 12, page(i << 12, 12));
            assert!(tlb.lookup(1, i << 12).is_some());
        }
        assert_eq!(
            (0..tlb.capacity())
                .filter(|&i| tlb.entry(i).is_some())
                .count(),
            8
        );
        // The same page again takes no second slot.
        tlb.insert(1, 63 << 12, page(0x7000, 12));
        assert_eq!(tlb.lookup(1, 63 << 12).map(|t| t.base), Some(0x7000));
        tlb.invalidate_all();
        assert!((0..tlb.capacity()).all(|i| tlb.entry(i).is_none()));
        Ok(())
    }
}
