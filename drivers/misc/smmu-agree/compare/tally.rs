// SPDX-License-Identifier: GPL-2.0

//! How it went: counts, and reports of them.

use kernel::{
    prelude::*,
    time::{
        Instant,
        Monotonic, //
    }, //
};

use super::command::Taken;
use crate::{
    quirks::{
        Quirk,
        Quirks, //
    },
    side::Seen, //
};

/// How many of what is unexplained is printed.
const PRINTED: u64 = 10;
/// Time between two reports.
const REPORT_MS: i64 = 10_000;

/// A class of differences.
#[derive(Clone, Copy, Default)]
struct Class {
    count: u64,
    /// The case with the fewest words.
    example: u64,
    words: usize,
}

/// See the module's head.
pub(super) struct Tally {
    seed: u64,
    cases: u64,
    start: Instant<Monotonic>,
    reported_ms: i64,
    /// Cases so far.
    pub(super) done: u64,
    pub(super) differences: u64,
    unexplained: u64,
    /// Cases that could not be made.
    pub(super) skipped: u64,
    classes: [Class; Quirk::ALL.len()],
    pub(super) taken: [u64; Taken::ALL.len()],
    /// Accesses after an invalidation.
    pub(super) looks: u64,
    /// Of these, what one had cached and the other not, and either may.
    pub(super) cached: u64,
    /// Of these, global translations that QEMU keeps.
    pub(super) kept_global: u64,
    pub(super) linear_again: u64,
    pub(super) full_event_queue: u64,
    accesses_done: u64,
    accesses_refused: u64,
    accesses_untold: u64,
    /// Events by their number.
    events: [u64; 32],
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            seed: 0,
            cases: 0,
            start: Instant::now(),
            reported_ms: 0,
            done: 0,
            differences: 0,
            unexplained: 0,
            skipped: 0,
            classes: [Class::default(); Quirk::ALL.len()],
            taken: [0; Taken::ALL.len()],
            looks: 0,
            cached: 0,
            kept_global: 0,
            linear_again: 0,
            full_event_queue: 0,
            accesses_done: 0,
            accesses_refused: 0,
            accesses_untold: 0,
            events: [0; 32],
        }
    }

    pub(super) fn begin(&mut self, seed: u64, cases: u64) {
        self.seed = seed;
        self.cases = cases;
        self.start = Instant::now();
    }

    /// What QEMU did with an access.
    pub(super) fn count(&mut self, seen: &Seen) {
        match seen.made.done {
            Some(true) => self.accesses_done += 1,
            Some(false) => self.accesses_refused += 1,
            None => self.accesses_untold += 1,
        }
        if let Some(event) = seen.event {
            self.events[event[0] as usize % 32] += 1;
        }
    }

    /// Case `n`, of so many words, differs in these.
    pub(super) fn explained(&mut self, n: u64, quirks: Quirks, words: usize) {
        for (quirk, class) in Quirk::ALL.iter().zip(&mut self.classes) {
            if quirks.has(*quirk) {
                class.count += 1;
                if class.count == 1 || words < class.words {
                    class.words = words;
                    class.example = n;
                }
            }
        }
    }

    /// Something is unexplained. Gives whether it is worth printing.
    #[must_use]
    pub(super) fn unexplained(&mut self) -> bool {
        self.unexplained += 1;
        self.unexplained <= PRINTED
    }

    /// Whether there are so few cases that somebody wants to look at each.
    pub(super) fn are_few(&self) -> bool {
        self.cases <= 4
    }

    /// Tells how far it is, now and then.
    pub(super) fn progress(&mut self) {
        let elapsed = self.start.elapsed().as_millis();
        if elapsed - self.reported_ms >= REPORT_MS {
            self.reported_ms = elapsed;
            self.print_progress();
        }
    }

    fn print_progress(&self) {
        let elapsed = self.start.elapsed().as_millis();
        let rate = self.done * 1000 / elapsed.max(1) as u64;
        pr_info!(
            "agree: {} of {} cases, {}.{} s, {rate} a second: {} differ, {} unexplained\n",
            self.done,
            self.cases,
            elapsed / 1000,
            elapsed % 1000 / 100,
            self.differences,
            self.unexplained
        );
    }

    /// Tells everything.
    pub(super) fn report(&self) {
        self.print_progress();
        pr_info!(
            "agree: accesses done {}, refused {}, untold {}, not made {}; {} after invalidations\n",
            self.accesses_done,
            self.accesses_refused,
            self.accesses_untold,
            self.skipped,
            self.looks
        );
        let events = self.events.iter().enumerate();
        for (id, count) in events.filter(|(_, count)| **count != 0) {
            pr_info!("agree: event {id:#04x}: {count}\n");
        }
        for (quirk, class) in Quirk::ALL.iter().zip(&self.classes) {
            if class.count != 0 {
                pr_info!(
                    "agree: class {quirk:?}: {}, such as case {}\n",
                    class.count,
                    class.example
                );
            }
        }
        for (class, count) in Taken::ALL.iter().zip(&self.taken) {
            if *count != 0 {
                pr_info!("agree: class Takes{class:?}: {count}\n");
            }
        }
        for (name, count) in [
            ("CachedOtherwise", self.cached),
            ("KeptGlobal", self.kept_global),
            ("NeverLinearAgain", self.linear_again),
            ("FullEventQueue", self.full_event_queue),
        ] {
            if count != 0 {
                pr_info!("agree: class {name}: {count}\n");
            }
        }
        pr_info!(
            "agree: result seed={} cases={} differences={} unexplained={}\n",
            self.seed,
            self.cases,
            self.differences,
            self.unexplained
        );
    }
}
