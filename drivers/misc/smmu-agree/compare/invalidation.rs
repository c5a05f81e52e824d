// SPDX-License-Identifier: GPL-2.0

//! Rounds of invalidations, carried out.

use kernel::prelude::*;

use super::{
    clear,
    round::{
        self,
        Round,
        ACCESSES, //
    },
    Comparison, //
};
use crate::{
    case::Outcome,
    quirks::Quirks,
    random::Random,
    side::Side, //
};

impl Comparison {
    /// So many rounds.
    ///
    /// # Errors
    ///
    /// `EIO` if a device does not answer.
    pub(super) fn invalidations(&mut self, rounds: u64) -> Result {
        let [first, .., last] = *self.sids else {
            return Err(ENODEV);
        };
        self.setup = round::setup(&self.arena);
        self.qemu.configure(&self.setup);
        self.ours.configure(&self.setup);
        for n in 0..rounds {
            let mut random = Random::new(self.seed ^ 0x71b1, n);
            self.forget();
            let round = Round::new(&mut self.arena, &mut random, [first, last]);
            self.round(n, &round)?;
            self.arena.clean();
        }
        Ok(())
    }

    fn round(&mut self, n: u64, round: &Round) -> Result {
        let mut before = [Outcome::default(); ACCESSES];
        for ((_, _, access), old) in round.accesses().zip(&mut before) {
            *old = self.outcome(Quirks::NONE, &access).ok_or(EINVAL)?;
            let ours = self.ours.access(&self.arena, &access)?;
            let mut good = ours.agrees(&self.arena, &access, old);
            clear(&self.arena, old);
            let qemu = self.qemu.access(&self.arena, &access)?;
            good &= qemu.agrees(&self.arena, &access, old);
            clear(&self.arena, old);
            if !good && self.tally.unexplained() {
                pr_info!("agree: round {n}: before it began: qemu {qemu:x?}, ours {ours:x?}\n");
            }
        }
        round.change(&self.arena);
        self.command(&round.command);
        self.ring();
        for ((stream, leaf, access), old) in round.accesses().zip(&before) {
            let new = self.outcome(Quirks::NONE, &access).ok_or(EINVAL)?;
            let covered = round.covers(stream, leaf);
            let ours = self.ours.access(&self.arena, &access)?;
            let ours_new = ours.agrees(&self.arena, &access, &new);
            let ours_good = ours_new || (!covered && ours.agrees(&self.arena, &access, old));
            clear(&self.arena, &new);
            clear(&self.arena, old);
            let qemu = self.qemu.access(&self.arena, &access)?;
            let qemu_new = qemu.agrees(&self.arena, &access, &new);
            let qemu_old = qemu.agrees(&self.arena, &access, old);
            let kept_global = covered && qemu_old && round.reaches_as_global(stream, leaf);
            let qemu_good = qemu_new || (!covered && qemu_old) || kept_global;
            clear(&self.arena, &new);
            clear(&self.arena, old);
            self.tally.looks += 1;
            if ours_new != qemu_new {
                self.tally.differences += 1;
                if kept_global {
                    self.tally.kept_global += 1;
                } else {
                    self.tally.cached += u64::from(ours_good && qemu_good);
                }
            }
            if !(ours_good && qemu_good) && self.tally.unexplained() {
                pr_info!("agree: round {n}: stream {stream}, address {leaf}, covered: {covered}\n");
                pr_info!("agree:   {:x?}, {round:x?}\n", round.command.words());
                pr_info!("agree:   {access:x?}\n");
                pr_info!("agree:   qemu {qemu:x?}\n");
                pr_info!("agree:   ours {ours:x?}\n");
                pr_info!("agree:   before {old:x?}\n");
                pr_info!("agree:   after {new:x?}\n");
            }
        }
        Ok(())
    }
}
