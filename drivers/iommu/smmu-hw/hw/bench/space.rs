// SPDX-License-Identifier: GPL-2.0

//! For tests: translation tables, written by hand.

use kernel::prelude::*;

use kernel_ext::phys::PhysPages;

use crate::{
    fmt::cd::Cd,
    hw::walk::{
        Access,
        Fault,
        Tables,
        Translation, //
    }, //
};

/// A user page: valid, page, accessed, not global, read-write for all, not executable.
pub(in crate::hw) const USER_RW: u64 = 0x3 | 1 << 6 | 1 << 10 | 1 << 11 | 1 << 53 | 1 << 54;
/// Read-only.
pub(in crate::hw) const READ_ONLY: u64 = 1 << 7;
/// Access flag.
pub(in crate::hw) const AF: u64 = 1 << 10;
/// Dirty bit modifier.
pub(in crate::hw) const DBM: u64 = 1 << 51;
/// Contiguous hint.
pub(in crate::hw) const CONTIGUOUS: u64 = 1 << 52;
/// Makes a last-level descriptor one of a block.
pub(in crate::hw) const PAGE_BIT: u64 = 1 << 1;

impl Tables {
    /// Translates `va`, from the top.
    pub(in crate::hw) fn walk(&self, va: u64, access: Access) -> Result<Translation, Fault> {
        self.walk_from(self.top(), va, access, |_| {})
    }
}

/// Translation tables, written by hand.
pub(in crate::hw) struct Space {
    pub(in crate::hw) tables: Tables,
    root: PhysPages,
    below: KVec<PhysPages>,
}

impl Space {
    pub(in crate::hw) fn new(granule: u32, input_bits: u32) -> Result<Self> {
        let root = PhysPages::alloc(1 << granule)?;
        Ok(Self {
            tables: Tables {
                ttb: root.phys(),
                granule,
                input_bits,
                output_bits: 48,
                ha: false,
                hd: false,
                haft: false,
                had: false,
                affd: false,
                wxn: false,
                pan: false,
            },
            root,
            below: KVec::new(),
        })
    }

    /// The table of `level` on the way to `va`; makes what is missing.
    fn table(&mut self, va: u64, level: u32) -> Result<&PhysPages> {
        let mut current = None;
        for at in self.tables.first_level()..level {
            let offset = 8 * self.tables.index(va, at) as usize;
            let desc = self.at(current).window().load64(offset)?;
            let next = if desc & 1 == 0 {
                let page = PhysPages::alloc(1 << self.tables.granule)?;
                let desc = page.phys() | 3;
                self.at(current).window().store64(offset, desc)?;
                self.below.push(page, GFP_KERNEL)?;
                self.below.len() - 1
            } else {
                let phys = desc & ((1 << 48) - 1) & !0xfff;
                let found = self.below.iter().position(|page| page.phys() == phys);
                found.ok_or(ENOENT)?
            };
            current = Some(next);
        }
        Ok(self.at(current))
    }

    fn at(&self, table: Option<usize>) -> &PhysPages {
        table.map_or(&self.root, |i| &self.below[i])
    }

    /// Writes the descriptor of `va` in its table of `level`.
    pub(in crate::hw) fn set(&mut self, va: u64, level: u32, desc: u64) -> Result {
        let offset = 8 * self.tables.index(va, level) as usize;
        self.table(va, level)?.window().store64(offset, desc)
    }

    /// Puts an empty table in the place of that of `level` on the way to `va`. Gives the old one.
    pub(in crate::hw) fn replace_table(&mut self, va: u64, level: u32) -> Result<PhysPages> {
        let old = self.table(va, level)?.phys();
        let place = self.below.iter().position(|table| table.phys() == old);
        let place = place.ok_or(ENOENT)?;
        let new = PhysPages::alloc(1 << self.tables.granule)?;
        self.set(va, level - 1, new.phys() | 3)?;
        Ok(core::mem::replace(&mut self.below[place], new))
    }

    /// Reads it.
    pub(in crate::hw) fn get(&mut self, va: u64, level: u32) -> Result<u64> {
        let offset = 8 * self.tables.index(va, level) as usize;
        self.table(va, level)?.window().load64(offset)
    }

    /// The physical address where it is.
    pub(in crate::hw) fn place(&mut self, va: u64, level: u32) -> Result<u64> {
        let offset = 8 * self.tables.index(va, level);
        Ok(self.table(va, level)?.phys() + offset)
    }

    /// A descriptor of this space with an ASID, flags updated by hardware.
    pub(in crate::hw) fn cd(&self, asid: u16) -> Cd {
        Cd::default()
            .with_v(true)
            .with_aa64(true)
            .with_t0sz(64 - self.tables.input_bits as u8)
            .with_tg0(match self.tables.granule {
                12 => 0,
                14 => 2,
                _ => 1,
            })
            .with_epd1(true)
            .with_ips(5)
            .with_r(true)
            .with_a(true)
            .with_aset(true)
            .with_ha(true)
            .with_hd(true)
            .with_asid(asid)
            .with_ttb0(self.root.phys())
    }
}
