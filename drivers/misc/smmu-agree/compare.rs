// SPDX-License-Identifier: GPL-2.0

//! Case by case: QEMU's SMMU, ours, and the reference.
//!
//! - here: one access, after everything is forgotten
//! - `round`, `invalidation`: what invalidations reach
//! - `command`: which commands are errors
//! - `probe`: what can be tried only once
//! - `tally`: how it went

mod command;
mod invalidation;
mod probe;
mod round;
mod tally;

use kernel::prelude::*;
use smmuv3::{
    fmt::{
        cmd::Command,
        regs, //
    },
    hw::Config, //
};

use crate::{
    arena::{
        Arena,
        COMMANDS, //
    },
    case::{
        self,
        Access,
        End,
        Outcome,
        Setup, //
    },
    generate,
    quirks::Quirks,
    random::Random,
    reference,
    side::{
        pattern,
        Ours,
        Qemu,
        Seen,
        Side,
        CMDQ, //
    },
};

/// Cases that have the same registers.
const EPOCH: u64 = 16;
/// How often a case that would leave the arena is made anew.
const ATTEMPTS: u64 = 64;
/// One in so many cases is not an access but a round of invalidations, or a command, beyond them.
const ROUNDS: u64 = 200;
const COMMANDS_IN: u64 = 50;
/// Cases between two looks at all data.
const LOOK: u64 = 1 << 12;

use tally::Tally;

/// A run.
pub(crate) struct Comparison {
    arena: Arena,
    able: Config,
    sids: KVec<u32>,
    qemu: Qemu,
    ours: Ours,
    prod: u32,
    seed: u64,
    setup: Setup,
    tally: Tally,
}

impl Seen {
    /// Whether it is what an outcome of `access` says, data included.
    fn agrees(&self, arena: &Arena, access: &Access, outcome: &Outcome) -> bool {
        let done = matches!(outcome.end, End::Done | End::Ignored);
        let may_be_done = self.made.done.is_none_or(|made| made == done);
        if self.more || !may_be_done || self.event != outcome.event {
            return false;
        }
        let bytes = if access.write {
            pattern()
        } else {
            self.made.read
        };
        let mut from = 0;
        for (phys, len) in outcome.places() {
            let mut found = [0; case::MAX_LEN];
            let found = &mut found[..len];
            arena.read(arena.offset(phys, len).unwrap_or(0), found);
            if *found != bytes[from..from + len] {
                return false;
            }
            from += len;
        }
        true
    }
}

fn clear(arena: &Arena, outcome: &Outcome) {
    for (phys, len) in outcome.places() {
        if let Some(offset) = arena.offset(phys, len) {
            arena.restore(offset, len);
        }
    }
}

impl Comparison {
    /// Sets both up. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `ENODEV` if QEMU's is not what is expected.
    pub(crate) fn new(
        mut qemu: Qemu,
        mut ours: Ours,
        arena: Arena,
        able: Config,
        seed: u64,
    ) -> Result<Self> {
        let mut sids = KVec::new();
        for sid in qemu.sids() {
            sids.push(sid, GFP_KERNEL)?;
        }
        qemu.start(&arena);
        ours.start(&arena);
        Ok(Self {
            arena,
            able,
            sids,
            qemu,
            ours,
            prod: 0,
            seed,
            setup: Setup::default(),
            tally: Tally::new(),
        })
    }

    fn command_at(&self, position: u32, command: &Command) {
        let at = COMMANDS + CMDQ.offset(position);
        for (i, word) in command.words().iter().enumerate() {
            self.arena.set(at + 8 * i, *word);
        }
    }

    /// Writes a command for both.
    fn command(&mut self, command: &Command) {
        self.command_at(self.prod, command);
        self.prod = CMDQ.advance(self.prod, 1);
    }

    fn ring(&self) {
        self.qemu.write32(regs::CMDQ_PROD, self.prod);
        self.ours.write32(regs::CMDQ_PROD, self.prod);
    }

    /// Has both forget everything.
    fn forget(&mut self) {
        self.command(&Command::cfgi_all());
        self.command(&Command::tlbi_all());
        self.ring();
    }

    fn outcome(&self, quirks: Quirks, access: &Access) -> Option<Outcome> {
        let outcome = reference::outcome(&self.arena, &self.setup, &self.able, quirks, access)?;
        generate::is_safe(&self.arena, &outcome).then_some(outcome)
    }

    /// What an access comes to by the architecture, and by QEMU's ways.
    ///
    /// To QEMU's bus an access that fails is one of 4 bytes at most, and aligned; all after it are
    /// others, with events of their own. So it must end where its first failure does.
    fn outcomes(&self, access: &mut Access) -> Option<(Outcome, Outcome)> {
        loop {
            let right = self.outcome(Quirks::NONE, access)?;
            let other = self.outcome(Quirks::all(), access)?;
            let len = [right, other]
                .iter()
                .filter(|outcome| outcome.end != End::Done)
                .map(|outcome| {
                    let done: usize = outcome.places().map(|(_, len)| len).sum();
                    let aligned = 1 << (access.va + done as u64).trailing_zeros().min(2);
                    let rest = access.len - done;
                    done + aligned.min(1 << rest.ilog2())
                })
                .min();
            match len {
                Some(len) if len < access.len => access.len = len,
                _ => return Some((right, other)),
            }
        }
    }

    /// Makes case `n`, with what it comes to by the architecture, and by QEMU's ways.
    fn make(&mut self, n: u64) -> Option<(Access, Outcome, Outcome)> {
        for attempt in 0..ATTEMPTS {
            let mut random = Random::new(self.seed, n * ATTEMPTS + attempt);
            let mut access = generate::case(
                &mut self.arena,
                &mut random,
                &self.able,
                &self.setup,
                &self.sids,
            );
            access.write = !self.qemu.reads() || random.one_in(2);
            if let Some((right, other)) = self.outcomes(&mut access) {
                return Some((access, right, other));
            }
            self.arena.clean();
        }
        None
    }

    /// Runs the cases from `first` on. May sleep.
    ///
    /// # Errors
    ///
    /// `EIO` if a device does not answer.
    pub(crate) fn run(&mut self, first: u64, cases: u64) -> Result {
        self.tally.begin(self.seed, cases);
        // QEMU cannot go back to a linear table.
        self.pass(first, cases, false)?;
        if !self.qemu.reads() {
            self.invalidations(cases / ROUNDS)?;
            self.commands(cases / COMMANDS_IN);
        }
        self.pass(first, cases, true)?;
        if !self.qemu.reads() {
            self.linear_again()?;
            self.full_event_queue()?;
        }
        self.look_around();
        self.tally.report();
        Ok(())
    }

    /// The cases that have a stream table of one level, or of two.
    fn pass(&mut self, first: u64, cases: u64, two_level: bool) -> Result {
        let mut epoch = None;
        for n in first..first + cases {
            if (n / EPOCH % 2 == 1) != two_level {
                continue;
            }
            if epoch.replace(n / EPOCH) != Some(n / EPOCH) {
                let mut random = Random::new(!self.seed, n / EPOCH);
                self.setup = generate::setup(&self.arena, &mut random, &self.able, two_level);
                self.qemu.configure(&self.setup);
                self.ours.configure(&self.setup);
            }
            self.case(n)?;
            self.tally.done += 1;
            if self.tally.done % LOOK == 0 || self.qemu.reads() {
                self.look_around();
                self.tally.progress();
            }
        }
        Ok(())
    }

    fn case(&mut self, n: u64) -> Result {
        let Some((access, right, other)) = self.make(n) else {
            self.tally.skipped += 1;
            return Ok(());
        };
        self.forget();
        let ours = self.ours.access(&self.arena, &access)?;
        let ours_right = ours.agrees(&self.arena, &access, &right);
        clear(&self.arena, &right);
        let qemu = self.qemu.access(&self.arena, &access)?;
        self.tally.count(&qemu);
        let alike = ours_right && qemu.agrees(&self.arena, &access, &right);
        let explained = alike || self.explain(n, &access, ours_right, &qemu);
        if (!explained && self.tally.unexplained()) || self.tally.are_few() {
            pr_info!("agree: case {n}: alike: {alike}, ours is right: {ours_right}\n");
            pr_info!("agree:   qemu {qemu:x?}\n");
            pr_info!("agree:   ours {ours:x?}\n");
            pr_info!("agree:   by the architecture {right:x?}\n");
            pr_info!("agree:   by QEMU's ways {other:x?}\n");
            if let Some(offset) = self.arena.find_changed() {
                pr_info!("agree:   data at {offset:#x}\n");
            }
            case::print(&self.setup, &access, self.arena.words());
        }
        clear(&self.arena, &right);
        clear(&self.arena, &other);
        self.arena.clean();
        Ok(())
    }

    /// Which class is it? Gives whether there is one.
    fn explain(&mut self, n: u64, access: &Access, ours_right: bool, qemu: &Seen) -> bool {
        self.tally.differences += 1;
        let quirks = Quirks::least(|quirks| {
            let outcome = self.outcome(quirks, access);
            outcome.is_some_and(|outcome| qemu.agrees(&self.arena, access, &outcome))
        });
        match quirks {
            Some(quirks) if ours_right => {
                self.tally.explained(n, quirks, self.arena.words().count());
                true
            }
            _ => false,
        }
    }

    /// Whether anything was written that no case has explained, or any error is active.
    fn look_around(&mut self) {
        if let Some(offset) = self.arena.find_changed() {
            self.arena.restore(offset, 8);
            if self.tally.unexplained() {
                pr_info!("agree: data at {offset:#x} that nobody meant to write\n");
            }
        }
        let errors = [errors(&self.qemu), errors(&self.ours)];
        if errors != [0, 0] && self.tally.unexplained() {
            pr_info!("agree: global errors: qemu, ours: {errors:x?}\n");
        }
    }
}

/// The global errors that are active.
fn errors(side: &impl Side) -> u32 {
    side.read32(regs::GERROR) ^ side.read32(regs::GERRORN)
}
