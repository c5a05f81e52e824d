// SPDX-License-Identifier: GPL-2.0

//! The table walker: AArch64 stage 1 translation tables, from TTB0.
//!
//! It reads the tables in memory word by word, and updates access flags and dirty states there by
//! compare-and-exchange, as the architecture has it (Arm ARM, D8; SMMUv3, 3.13). Where descriptors
//! have the contiguous hint, and keep what it promises, they are one translation.

use crate::bus::BUS;
use kernel::prelude::*;

/// What a transaction does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Access {
    pub(super) read: bool,
    pub(super) write: bool,
    pub(super) exec: bool,
    pub(super) privileged: bool,
}

/// Permissions, of unprivileged and of privileged accesses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Perms(u8);

impl Perms {
    const READ: u8 = 1;
    const WRITE: u8 = 2;
    const EXEC: u8 = 4;
    const PRIVILEGED_SHIFT: u32 = 3;

    /// Everything.
    pub(super) const ALL: Self = Self(0x3f);

    fn new(user: [bool; 3], privileged: [bool; 3]) -> Self {
        let bits = |[r, w, x]: [bool; 3]| u8::from(r) | u8::from(w) << 1 | u8::from(x) << 2;
        Self(bits(user) | bits(privileged) << Self::PRIVILEGED_SHIFT)
    }

    fn shift(privileged: bool) -> u32 {
        if privileged {
            Self::PRIVILEGED_SHIFT
        } else {
            0
        }
    }

    /// Whether all that `access` does is permitted.
    pub(super) fn allows(self, access: Access) -> bool {
        let mut need = 0;
        if access.read && !access.exec {
            need |= Self::READ;
        }
        if access.write {
            need |= Self::WRITE;
        }
        if access.exec {
            need |= Self::EXEC;
        }
        (self.0 >> Self::shift(access.privileged)) & need == need
    }

    /// What an ATS completion tells: the permissions of the privilege that was asked for.
    pub(super) fn of_privilege(self, privileged: bool) -> Self {
        Self(self.0 & 7 << Self::shift(privileged))
    }

    /// The accesses that are permitted, of each kind and privilege.
    pub(super) fn accesses(self) -> impl Iterator<Item = Access> {
        let all = (0..6).map(|n| {
            let bit = 1 << (n % 3);
            Access {
                read: bit != Self::WRITE,
                write: bit == Self::WRITE,
                exec: bit == Self::EXEC,
                privileged: n >= 3,
            }
        });
        all.filter(move |&access| self.allows(access))
    }

    /// The bits: read, write, execute unprivileged, then the same privileged.
    pub fn bits(self) -> u8 {
        self.0
    }
}

/// A translation of a page, a block, or a contiguous run of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Translation {
    /// Physical address of its beginning.
    pub(super) base: u64,
    /// log2 of its size.
    pub(super) shift: u8,
    pub(super) perms: Perms,
    /// Not tied to an ASID.
    pub(super) global: bool,
}

impl Translation {
    /// The physical address of `va`.
    pub(super) fn address(&self, va: u64) -> u64 {
        self.base | (va & ((1 << self.shift) - 1))
    }
}

/// Why a walk gave no translation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The descriptor at this physical address could not be read.
    Walk(u64),
    Translation,
    AddrSize,
    Access,
    Permission,
}

/// Everything a walk needs to know: the part of a context descriptor that describes the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tables {
    /// Physical address of the first table.
    pub(super) ttb: u64,
    /// log2 of the granule: 12, 14 or 16.
    pub(super) granule: u32,
    /// Bits of an input address.
    pub(super) input_bits: u32,
    /// Bits of an output address.
    pub(super) output_bits: u32,
    /// Update access flags; else a clear one faults.
    pub(super) ha: bool,
    /// Update dirty states; needs `ha`.
    pub(super) hd: bool,
    /// Update access flags of table descriptors; needs `ha`.
    pub(super) haft: bool,
    /// Ignore the limits in table descriptors.
    pub(super) had: bool,
    /// A clear access flag does not fault, where it is not updated.
    pub(super) affd: bool,
    /// What may be written is not executed.
    pub(super) wxn: bool,
    /// Data that unprivileged accesses reach is not for privileged ones.
    pub(super) pan: bool,
}

const VALID: u64 = 1 << 0;
/// Table at the upper levels, page at the last.
const TABLE: u64 = 1 << 1;
const AP_USER: u64 = 1 << 6;
const AP_READ_ONLY: u64 = 1 << 7;
const AF: u64 = 1 << 10;
const NOT_GLOBAL: u64 = 1 << 11;
const DBM: u64 = 1 << 51;
const CONTIGUOUS: u64 = 1 << 52;
const PXN: u64 = 1 << 53;
const UXN: u64 = 1 << 54;
const TABLE_PXN: u64 = 1 << 59;
const TABLE_UXN: u64 = 1 << 60;
const TABLE_NO_USER: u64 = 1 << 61;
const TABLE_READ_ONLY: u64 = 1 << 62;

/// The level of pages.
pub(super) const LAST_LEVEL: u32 = 3;

/// A table on the way of a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) level: u32,
    /// Its physical address.
    pub(super) table: u64,
    /// What the descriptors on the way to it say of all below.
    limits: Limits,
}

/// log2 of the number of descriptors of `level` that the contiguous hint is about.
fn run_bits(granule: u32, level: u32) -> u32 {
    match (granule, level) {
        (12, _) => 4,
        (14, LAST_LEVEL) => 7,
        _ => 5,
    }
}

/// log2 of the bytes that a descriptor of `level` covers.
fn level_shift(granule: u32, level: u32) -> u32 {
    granule + (granule - 3) * (LAST_LEVEL - level)
}

/// Bit n: translations of `level` may have 2^n bytes.
pub(super) fn leaf_sizes(granule: u32, level: u32) -> u64 {
    let shift = level_shift(granule, level);
    1 << shift | 1 << (shift + run_bits(granule, level))
}

/// Limits that table descriptors put on everything below them, as their bits 62 to 59.
type Limits = u64;
const LIMITS: Limits = TABLE_PXN | TABLE_UXN | TABLE_NO_USER | TABLE_READ_ONLY;

impl Tables {
    /// The permissions of a page or block.
    fn perms(&self, desc: u64, limits: Limits, read_only: bool) -> Perms {
        let user = desc & AP_USER != 0 && limits & TABLE_NO_USER == 0;
        let write = !read_only && limits & TABLE_READ_ONLY == 0;
        let user_exec = desc & UXN == 0 && limits & TABLE_UXN == 0;
        // What user space can write is never executed with privilege.
        let privileged_exec = desc & PXN == 0 && limits & TABLE_PXN == 0 && !(user && write);
        let data = !(self.pan && user);
        Perms::new(
            [
                user,
                user && write,
                user_exec && !(self.wxn && user && write),
            ],
            [data, data && write, privileged_exec && !(self.wxn && write)],
        )
    }

    /// Address bits that one level resolves.
    fn stride(&self) -> u32 {
        self.granule - 3
    }

    /// The level at which a walk starts.
    pub(super) fn first_level(&self) -> u32 {
        LAST_LEVEL + 1 - (self.input_bits - self.granule).div_ceil(self.stride())
    }

    /// log2 of the bytes of the first table.
    pub(super) fn first_bits(&self) -> u32 {
        self.input_bits - self.level_shift(self.first_level()) + 3
    }

    /// log2 of the bytes that a descriptor of `level` covers.
    pub(super) fn level_shift(&self, level: u32) -> u32 {
        level_shift(self.granule, level)
    }

    /// The index of `va` in its table of `level`.
    pub(super) fn index(&self, va: u64, level: u32) -> u64 {
        // The first table may be smaller than the others; what is above its index is zero.
        (va >> self.level_shift(level)) & ((1 << self.stride()) - 1)
    }

    fn block_allowed(&self, level: u32) -> bool {
        match self.granule {
            12 => level == 1 || level == 2,
            14 => level == 2,
            _ => level == 2 || (level == 1 && self.output_bits == 52),
        }
    }

    /// The run of contiguous descriptors that `desc`, which leads to `base` and lies at `entry` in
    /// its table, is part of: its first address, and log2 of its size.
    ///
    /// `None` if there is no such run, or not all of them say the same: hardware need not believe
    /// the hint.
    fn run(&self, desc: u64, base: u64, entry: u64, level: u32) -> Option<(u64, u32)> {
        let (bits, shift) = (run_bits(self.granule, level), self.level_shift(level));
        if desc & CONTIGUOUS == 0 || shift + bits > self.input_bits {
            return None;
        }
        let mine = base >> shift & ((1 << bits) - 1);
        if mine != entry / 8 & ((1 << bits) - 1) {
            return None;
        }
        let first = entry - 8 * mine;
        let table = BUS.window(first, 8 << bits).ok()?;
        let same = (0..1 << bits).all(|i| {
            let expected = desc & !(((1 << bits) - 1) << shift) | i << shift;
            table.load64(8 * i as usize) == Ok(expected)
        });
        same.then_some((base - (mine << shift), shift + bits))
    }

    /// The output address of a descriptor, whose low `shift` bits are not part of it.
    fn output(&self, desc: u64, shift: u32) -> Result<u64, Fault> {
        let mut address = desc & ((1 << 48) - 1) & (u64::MAX << shift);
        if self.granule == 16 && self.output_bits == 52 {
            address |= (desc >> 12 & 0xf) << 48;
        }
        if address >> self.output_bits != 0 {
            return Err(Fault::AddrSize);
        }
        Ok(address)
    }

    /// The table at which walks start.
    pub(super) fn top(&self) -> Step {
        Step {
            level: self.first_level(),
            table: self.ttb,
            limits: 0,
        }
    }

    /// Translates `va`, from a table on the way to it. Tells `passed` of each table below.
    pub(super) fn walk_from(
        &self,
        from: Step,
        va: u64,
        access: Access,
        mut passed: impl FnMut(Step),
    ) -> Result<Translation, Fault> {
        if va >> self.input_bits != 0 {
            return Err(Fault::Translation);
        }
        // Each turn but the last lost a race against an update of the very descriptor.
        loop {
            if let Some(translation) = self.try_walk(from, va, access, true, &mut passed)? {
                return Ok(translation);
            }
        }
    }

    /// The table of `level` on the way to `va`, as memory has it.
    pub(super) fn step_to(&self, va: u64, level: u32) -> Option<Step> {
        let mut step = self.top();
        while step.level < level {
            let address = step.table + 8 * self.index(va, step.level);
            let desc = BUS.window(address, 8).ok()?.load64(0).ok()?;
            if desc & (VALID | TABLE) != VALID | TABLE {
                return None;
            }
            step = self.below(&step, desc).ok()?;
        }
        Some(step)
    }

    /// The table to which descriptor `desc` in that of `step` leads.
    fn below(&self, step: &Step, desc: u64) -> Result<Step, Fault> {
        let limits = if self.had { 0 } else { desc & LIMITS };
        Ok(Step {
            level: step.level + 1,
            table: self.output(desc, self.granule)?,
            limits: step.limits | limits,
        })
    }

    /// What [`Self::walk_from`] the top would give if the hardware updated access flags; nothing is written.
    pub(super) fn peek(&self, va: u64, access: Access) -> Result<Translation, Fault> {
        if va >> self.input_bits != 0 {
            return Err(Fault::Translation);
        }
        let tables = Self { ha: true, ..*self };
        tables
            .try_walk(self.top(), va, access, false, &mut |_| {})?
            .ok_or(Fault::Access)
    }

    /// One walk from `from` on, with updates if `store`; `None` if a descriptor changed under one.
    fn try_walk(
        &self,
        from: Step,
        va: u64,
        access: Access,
        store: bool,
        passed: &mut impl FnMut(Step),
    ) -> Result<Option<Translation>, Fault> {
        let mut step = from;
        loop {
            let Step {
                level,
                table,
                limits,
            } = step;
            let address = table + 8 * self.index(va, level);
            let entry = BUS.window(address, 8).map_err(|_| Fault::Walk(address))?;
            let desc = entry.load64(0).map_err(|_| Fault::Walk(address))?;
            let replace = |new| {
                if !store {
                    return Ok(true);
                }
                entry
                    .compare_exchange64(0, desc, new)
                    .map_err(|_| Fault::Walk(address))
            };

            if desc & VALID == 0 {
                return Err(Fault::Translation);
            }
            if level < LAST_LEVEL && desc & TABLE != 0 {
                step = self.below(&step, desc)?;
                if self.haft && desc & AF == 0 && !replace(desc | AF)? {
                    return Ok(None);
                }
                passed(step);
                continue;
            }
            if (level == LAST_LEVEL) != (desc & TABLE != 0)
                || (level < LAST_LEVEL && !self.block_allowed(level))
            {
                return Err(Fault::Translation);
            }

            let shift = self.level_shift(level);
            let base = self.output(desc, shift)?;
            let (new, perms) = self.update(desc, limits, access)?;
            if new != desc && !replace(new)? {
                return Ok(None);
            }
            let (base, shift) = self.run(new, base, address, level).unwrap_or((base, shift));
            return Ok(Some(Translation {
                base,
                // CAST: Below 64.
                shift: shift as u8,
                perms,
                global: desc & NOT_GLOBAL == 0,
            }));
        }
    }

    /// What a page or block descriptor becomes by an access, and the permissions it then gives.
    fn update(&self, desc: u64, limits: Limits, access: Access) -> Result<(u64, Perms), Fault> {
        let mut new = desc;
        if desc & AF == 0 {
            if self.ha {
                new |= AF;
            } else if !self.affd {
                return Err(Fault::Access);
            }
        }
        let read_only = desc & AP_READ_ONLY != 0;
        let now = self.perms(desc, limits, read_only);
        if now.allows(access) {
            return Ok((new, now));
        }
        if self.hd && read_only && desc & DBM != 0 {
            let dirty = self.perms(desc, limits, false);
            if dirty.allows(access) {
                return Ok((new & !AP_READ_ONLY, dirty));
            }
        }
        Err(Fault::Permission)
    }
}
