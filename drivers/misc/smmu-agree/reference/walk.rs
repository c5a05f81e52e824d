// SPDX-License-Identifier: GPL-2.0

//! Translation tables of stage 1 (Arm ARM, D8), and how faults end (SMMUv3, 3.12).

use super::{
    address,
    bits,
    config::{
        Context,
        Half, //
    },
    id,
    Quirk,
    Reference,
    Refused, //
};
use crate::case::End;

/// Why a walk fails: an event number, or the address of a descriptor that could not be fetched.
pub(super) enum Failure {
    Fault(u64),
    Fetch(u64),
}

/// The limits that table descriptors put on all below.
#[derive(Clone, Copy, Default)]
struct Limits {
    no_user: bool,
    read_only: bool,
    no_user_exec: bool,
    no_privileged_exec: bool,
}

impl Reference<'_> {
    /// The physical address of `va`.
    pub(super) fn walk(&mut self, context: &Context, va: u64) -> Result<u64, Refused> {
        let failure = match self.translate(context, va) {
            Ok(phys) => return Ok(phys),
            Err(failure) => failure,
        };
        match failure {
            Failure::Fetch(at) => {
                const CLASS_TT: u64 = 1;
                let mut event = self.fault(id::WALK_EABT, va);
                event[1] = event[1] & !(3 << 40) | CLASS_TT << 40;
                event[3] = address(at, 51, 3);
                Err((End::Abort, Some(event)))
            }
            Failure::Fault(id) if context.stall => {
                let mut event = self.fault(id, va);
                event[1] |= 1 << 31;
                Err((End::Stalled, Some(event)))
            }
            Failure::Fault(id) => {
                let end = if context.abort {
                    End::Abort
                } else {
                    End::Ignored
                };
                Err((end, Some(self.fault(id, va)).filter(|_| context.record)))
            }
        }
    }

    pub(super) fn translate(&mut self, context: &Context, va: u64) -> Result<u64, Failure> {
        let none = Err(Failure::Fault(id::TRANSLATION));
        // Bit 55 tells which half it is, if there is a top byte to ignore; and if there is none,
        // all bits above the half's size must be the same, and then so is that one.
        let upper = bits(va, 55, 55);
        let half = context.halves[upper as usize];
        if half.disabled {
            return none;
        }
        let top = if half.tbi { 55 } else { 63 };
        let above = bits(va, top, 64 - half.size);
        let ones = bits(u64::MAX, top, 64 - half.size);
        if above != if upper == 1 { ones } else { 0 } {
            return none;
        }

        let input = 64 - half.size;
        let stride = half.granule - 3;
        // The levels that it takes, the last of which is 3.
        let levels = (input - half.granule).div_ceil(stride);
        let first = 4 - levels;
        let shift = |level: u32| half.granule + stride * (3 - level);
        let index_bits = input - shift(first);

        // The first table is aligned to its size.
        let least = if context.output == 52 { 6 } else { 4 };
        let mut table = half.base & !((1 << (index_bits + 3).max(least)) - 1);
        let mut limits = Limits::default();
        for level in first..=3 {
            let width = if level == first { index_bits } else { stride };
            let index = bits(va, shift(level) + width - 1, shift(level));
            let at = table + 8 * index;
            let Some(descriptor) = self.word(at) else {
                return Err(Failure::Fetch(at));
            };
            let flag = |bit: u32| bits(descriptor, bit, bit) == 1;
            if !flag(0) || (level == 3 && !flag(1)) {
                return none;
            }
            if level == 3 || !flag(1) {
                if level < 3 && !self.block_allowed(context, &half, level) {
                    return none;
                }
                let size = shift(level);
                self.leaf(context, &half, limits, at, descriptor, size)?;
                let base = self.output_address(&half, context, descriptor, size);
                return Ok(base | bits(va, size - 1, 0));
            }
            table = self.output_address(&half, context, descriptor, half.granule);
            if table >> context.output != 0 && !self.has(Quirk::TableBeyondOutput) {
                return Err(Failure::Fault(id::ADDR_SIZE));
            }
            if !half.had {
                limits.no_user |= flag(61);
                limits.read_only |= flag(62);
                limits.no_user_exec |= flag(60);
                limits.no_privileged_exec |= flag(59);
                if self.has(Quirk::TableLimitsEarly) && limits.read_only && self.access.write {
                    return Err(Failure::Fault(id::PERMISSION));
                }
            }
            if context.haft && !flag(10) {
                self.outcome.update(at, descriptor | 1 << 10);
            }
        }
        none
    }

    /// Whether there may be a block at a level (Arm ARM, D8).
    fn block_allowed(&self, context: &Context, half: &Half, level: u32) -> bool {
        if self.has(Quirk::BlockAnywhere) {
            return true;
        }
        match half.granule {
            12 => level == 1 || level == 2,
            14 => level == 2,
            _ => level == 2 || (level == 1 && context.output == 52),
        }
    }

    /// The address in a descriptor whose lowest `size` bits are not part of it.
    fn output_address(&self, half: &Half, context: &Context, descriptor: u64, size: u32) -> u64 {
        let low = address(descriptor, 47, size);
        if half.granule == 16 && context.output == 52 {
            return low | bits(descriptor, 15, 12) << 48;
        }
        low
    }

    /// Checks the descriptor `at`, that of a page or of a block of 2^`size` bytes.
    fn leaf(
        &mut self,
        context: &Context,
        half: &Half,
        limits: Limits,
        at: u64,
        descriptor: u64,
        size: u32,
    ) -> Result<(), Failure> {
        let flag = |bit: u32| bits(descriptor, bit, bit) == 1;
        let base = self.output_address(half, context, descriptor, size);
        let too_large = base >> context.output != 0;
        if too_large && !self.has(Quirk::OutputSizeLast) {
            return Err(Failure::Fault(id::ADDR_SIZE));
        }
        let mut new = descriptor;
        if !flag(10) {
            if context.ha {
                new |= 1 << 10;
            } else if !context.affd {
                return Err(Failure::Fault(id::ACCESS));
            }
        }
        if !self.permitted(context, limits, descriptor) {
            // A page that is only clean may be made dirty.
            let dirty = descriptor & !(1 << 7);
            if !(context.hd && flag(51) && self.permitted(context, limits, dirty)) {
                return Err(Failure::Fault(id::PERMISSION));
            }
            new &= !(1 << 7);
        }
        if too_large {
            return Err(Failure::Fault(id::ADDR_SIZE));
        }
        if new != descriptor {
            self.outcome.update(at, new);
        }
        Ok(())
    }

    /// Whether a descriptor permits the access (Arm ARM, D8).
    fn permitted(&self, context: &Context, limits: Limits, descriptor: u64) -> bool {
        let access = self.access;
        let flag = |bit: u32| bits(descriptor, bit, bit) == 1;
        let read_only = flag(7) || limits.read_only;
        let user = flag(6) && !limits.no_user;

        if self.has(Quirk::Privileged) {
            // What table descriptors say was checked there.
            return !(access.write && flag(7));
        }
        let user_writes = user && !read_only;
        let (readable, writable, executable) = if access.privileged {
            let data = !(context.pan && user);
            let never = flag(53) || limits.no_privileged_exec || user_writes;
            let wxn = context.wxn && !read_only;
            (data, data && !read_only, !never && !wxn)
        } else {
            let never = flag(54) || limits.no_user_exec;
            let wxn = context.wxn && user_writes;
            (user, user_writes, !never && !wxn)
        };
        match (access.write, access.exec) {
            (true, _) => writable,
            (false, true) => executable,
            (false, false) => readable,
        }
    }
}
