// SPDX-License-Identifier: GPL-2.0

//! What can be tried only once, since QEMU does not come back from it.

use kernel::prelude::*;
use smmuv3::fmt::{
    queue::OVERFLOW_FLAG,
    regs::{
        self,
        Gerror, //
    },
    ste::{
        self,
        Ste, //
    }, //
};

use super::{
    clear,
    errors,
    round,
    Comparison, //
};
use crate::{
    arena::{
        DATA,
        STREAMS, //
    },
    case::Access,
    quirks::Quirks,
    reference,
    side::{
        Side,
        EVTQ, //
    },
};

impl Comparison {
    /// After stream tables of two levels one that is linear again: STRTAB_BASE_CFG.FMT says so.
    /// QEMU goes on to take it for one of two levels, split as the last was.
    pub(super) fn linear_again(&mut self) -> Result {
        let last = self.setup;
        self.setup = round::setup(&self.arena);
        self.forget();
        self.qemu.configure(&self.setup);
        self.ours.configure(&self.setup);
        let sid = self.sids[0];
        let entry = Ste::default().with_v(true).with_config(ste::CONFIG_BYPASS);
        let at = STREAMS.start + 64 * sid as usize;
        for (i, word) in entry.words().into_iter().enumerate() {
            self.arena.put(at + 8 * i, word);
        }
        let access = Access {
            sid,
            va: self.arena.phys(DATA.start),
            len: 4,
            write: true,
            ..Access::default()
        };
        let right = self.outcome(Quirks::NONE, &access).ok_or(EINVAL)?;
        let ours = self.ours.access(&self.arena, &access)?;
        let mut explained = ours.agrees(&self.arena, &access, &right);
        clear(&self.arena, &right);
        let qemu = self.qemu.access(&self.arena, &access)?;
        if !qemu.agrees(&self.arena, &access, &right) {
            self.tally.differences += 1;
            let mut two_level = self.setup;
            two_level.two_level = last.two_level;
            two_level.split = last.split;
            let other =
                reference::outcome(&self.arena, &two_level, &self.able, Quirks::all(), &access);
            let stuck = other.is_some_and(|other| qemu.agrees(&self.arena, &access, &other));
            self.tally.linear_again += u64::from(stuck);
            explained &= stuck;
        }
        clear(&self.arena, &right);
        self.arena.clean();
        if !explained && self.tally.unexplained() {
            pr_info!("agree: linear table after {last:x?}: qemu {qemu:x?}, ours {ours:x?}\n");
        }
        Ok(())
    }

    /// More events than the queue has room for: EVTQ_PROD.OVFLG tells, and nothing is wrong with
    /// the queue. QEMU says that it could not be written.
    pub(super) fn full_event_queue(&mut self) -> Result {
        self.forget();
        let access = Access {
            // No entry there is valid.
            sid: self.sids[0],
            len: 4,
            write: true,
            ..Access::default()
        };
        for _ in 0..=EVTQ.entries() {
            self.qemu.make(&self.arena, &access)?;
            self.ours.make(&self.arena, &access)?;
        }
        let seen = [look(&mut self.qemu), look(&mut self.ours)];
        let right = (true, Gerror::default().raw());
        let no_room = (false, Gerror::default().with_evtq_abt_err(true).raw());
        let mut explained = seen[1] == right;
        if seen[0] != seen[1] {
            self.tally.differences += 1;
            self.tally.full_event_queue += u64::from(seen[0] == no_room);
            explained &= seen[0] == no_room;
        }
        if !explained && self.tally.unexplained() {
            pr_info!("agree: full event queue: qemu, ours: {seen:x?}\n");
        }
        // As if nothing had been: all was read.
        self.qemu.empty(&self.arena);
        self.ours.empty(&self.arena);
        Ok(())
    }
}

/// Whether a side has told of an overflow, and which errors it has.
fn look(side: &mut impl Side) -> (bool, u32) {
    let (prod, cons) = (side.read32(regs::EVTQ_PROD), side.read32(regs::EVTQ_CONS));
    let overflow = (prod ^ cons) & OVERFLOW_FLAG != 0;
    (overflow, errors(side))
}
