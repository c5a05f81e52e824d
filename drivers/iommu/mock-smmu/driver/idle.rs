// SPDX-License-Identifier: GPL-2.0

//! When the descriptor of an idle bond sleeps.
//!
//! While it sleeps nothing can be translated by it, and nothing is cached, so that its process's
//! flushes need not tell anybody. Its device's next page request wakes it. See
//! `Documentation/idle-bond.rst`; `address_space` is the mechanism, this decides.
//!
//! To sleep and to wake cost as much as a few flushes. So a descriptor sleeps after about as many
//! flushes without a request: then that is at worst twice what either would have cost. A device
//! that finds all in its ATC sends no requests either, and loses it each time: as long as sleeping
//! does not pay, it takes twice as many flushes each time; and less again when it does, or when all
//! that is long ago.

use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Full,
        Relaxed,
        Release, //
    },
    time::{
        Delta,
        Instant,
        Monotonic, //
    }, //
};

/// The most flushes that it ever takes.
const MOST: u32 = 4096;

/// A sleep of so many flushes has paid: twice what it has cost.
const PAYS: u32 = 16;

/// What was learnt is of no use after so many times the flushes that it takes to sleep.
const FORGET: u32 = 16;

/// How long a descriptor stays awake at least: until a device that was told of a page has used it.
const AWAKE: Delta = Delta::from_micros(100);

/// Counters.
pub struct IdleStats {
    /// Descriptors put to sleep.
    pub sleeps: Atomic<u64>,
    /// Descriptors woken.
    pub wakes: Atomic<u64>,
}

impl IdleStats {
    pub(super) const fn new() -> Self {
        Self {
            sleeps: Atomic::new(0),
            wakes: Atomic::new(0),
        }
    }
}

/// One descriptor.
pub(super) struct Idle {
    /// The fewest flushes that it takes; 0: it never sleeps.
    least: u32,
    /// So many it takes now.
    takes: u32,
    /// Flushes since the last page request.
    quiet: u32,
    /// Flushes since `takes` has changed.
    known: u32,
    /// Flushes since it sleeps, up to [`PAYS`]; `None` while it is awake.
    slept: Option<u32>,
    /// The last page request.
    asked: Instant<Monotonic>,
}

impl Idle {
    /// Of one that sleeps after `least` flushes at first, and does so now; 0 is awake for ever.
    pub(super) fn new(least: u32) -> Self {
        Self {
            least,
            takes: least,
            quiet: 0,
            known: 0,
            slept: (least != 0).then_some(0),
            asked: Instant::now(),
        }
    }

    /// Whether it sleeps.
    pub(super) fn sleeps(&self) -> bool {
        self.slept.is_some()
    }

    /// Whether it sleeps since the last flush.
    pub(super) fn begins(&self) -> bool {
        self.slept == Some(0)
    }

    /// It sleeps no more from now on.
    pub(super) fn never(&mut self) {
        self.least = 0;
    }

    /// A flush has come. Whether it shall sleep now.
    pub(super) fn flushed(&mut self) -> bool {
        if self.least == 0 {
            return false;
        }
        if self.slept.is_some() {
            self.missed(1);
            return false;
        }
        self.quiet = self.quiet.saturating_add(1);
        self.known = self.known.saturating_add(1);
        if self.known >= self.takes.saturating_mul(FORGET) {
            self.takes = self.least.max(self.takes / 2);
            self.known = 0;
        }
        self.quiet >= self.takes && self.asked.elapsed() >= AWAKE
    }

    /// It has slept through so many flushes.
    pub(super) fn missed(&mut self, flushes: u32) {
        if let Some(slept) = &mut self.slept {
            *slept = slept.saturating_add(flushes);
        }
    }

    /// It sleeps from now on.
    pub(super) fn sleep(&mut self) {
        self.slept = Some(0);
    }

    /// The device has asked for a page; it is awake from now on.
    pub(super) fn awake(&mut self) {
        self.quiet = 0;
        self.asked = Instant::now();
        if let Some(slept) = self.slept.take() {
            self.takes = if slept < PAYS {
                MOST.max(self.least).min(self.takes.saturating_mul(2))
            } else {
                self.least.max(self.takes / 2)
            };
            self.known = 0;
        }
    }
}

/// Whether all descriptors that lead to an address space sleep: the one word that a flush looks at.
///
/// A flush has changed the page table before it looks, and who wakes a descriptor says so here
/// before hardware sees that; with a full barrier in between on both sides. So if the flush sees
/// nobody awake, hardware sees its change.
pub(super) struct AllSleep(Atomic<u32>);

/// Somebody is awake, or may have something cached.
const AWAKE_SOME: u32 = 0;

/// All sleep, and more flushes than anybody counts have come since.
const MANY: u32 = 1 + PAYS;

impl AllSleep {
    /// Of an address space that nothing leads to.
    pub(super) const fn new() -> Self {
        Self(Atomic::new(MANY))
    }

    /// A flush has come, after a full barrier. Whether it need not tell anybody. Any context.
    #[inline]
    pub(super) fn pass(&self) -> bool {
        match self.0.load(Relaxed) {
            AWAKE_SOME => false,
            // This word is not written any more: CPUs share it.
            MANY => true,
            seen => self.0.cmpxchg(seen, seen + 1, Relaxed) != Err(AWAKE_SOME),
        }
    }

    /// Whether all sleep, past all barriers.
    #[cfg(CONFIG_KUNIT)]
    pub(super) fn holds(&self) -> bool {
        self.0.load(Relaxed) != AWAKE_SOME
    }

    /// Somebody is about to be awake. Gives how many flushes all have slept through, as far as
    /// anybody counts.
    pub(super) fn end(&self) -> u32 {
        // Full: what the caller does to hardware comes after.
        self.0.xchg(AWAKE_SOME, Full).saturating_sub(1)
    }

    /// All sleep, and nothing is cached any more; `counted` if somebody wants to know of flushes.
    pub(super) fn begin(&self, counted: bool) {
        self.0.store(if counted { 1 } else { MANY }, Release);
    }
}

#[kunit_tests(smmu_driver_idle)]
mod tests {
    use super::*;
    use kernel::time::delay::fsleep;

    const FLUSHES: u32 = 8;

    fn awake(least: u32) -> Idle {
        let mut idle = Idle::new(least);
        idle.awake();
        // A first sleep of no flush has taught it something.
        idle.takes = least;
        fsleep(AWAKE + AWAKE);
        idle
    }

    /// How many flushes it takes to sleep.
    fn flushes(idle: &mut Idle) -> u32 {
        let mut flushes = 1;
        while !idle.flushed() && flushes <= 2 * MOST {
            flushes += 1;
        }
        flushes
    }

    /// Sleeps through `missed` flushes, then is asked.
    fn sleep(idle: &mut Idle, missed: u32) {
        idle.sleep();
        for _ in 0..missed {
            assert!(!idle.flushed());
        }
        idle.awake();
        fsleep(AWAKE + AWAKE);
    }

    #[test]
    fn sleeps_from_the_start() {
        assert!(Idle::new(1).sleeps());
        assert!(!Idle::new(0).sleeps());
        let mut never = Idle::new(0);
        never.awake();
        assert!((0..2 * MOST).all(|_| !never.flushed()));
    }

    #[test]
    fn requests_keep_awake() {
        let mut idle = awake(3);
        for _ in 0..10 {
            assert!(!idle.flushed() && !idle.flushed());
            idle.awake();
            fsleep(AWAKE + AWAKE);
        }
        assert_eq!(flushes(&mut idle), 3);
    }

    /// A device that was answered has time to use the page, whatever comes meanwhile.
    #[test]
    fn least_time() {
        let mut idle = awake(1);
        idle.awake();
        let asked = idle.asked;
        while !idle.flushed() {}
        assert!(asked.elapsed() >= AWAKE);
    }

    #[test]
    fn twice_as_many_when_it_does_not_pay() {
        for least in [1, FLUSHES] {
            let mut idle = awake(least);
            for round in 0..5 {
                assert_eq!(flushes(&mut idle), least << round);
                sleep(&mut idle, PAYS - 1);
            }
            sleep(&mut idle, PAYS);
            assert_eq!(flushes(&mut idle), least << 4);
        }
        let mut idle = awake(FLUSHES);
        (0..20).for_each(|_| sleep(&mut idle, 0));
        assert_eq!(idle.takes, MOST);
    }

    #[test]
    fn less_again_when_it_pays() {
        let mut idle = awake(FLUSHES);
        (0..3).for_each(|_| sleep(&mut idle, 0));
        (0..3).for_each(|_| sleep(&mut idle, PAYS));
        assert_eq!(flushes(&mut idle), FLUSHES);
        sleep(&mut idle, PAYS);
        assert_eq!(flushes(&mut idle), FLUSHES);
    }

    /// Requests that come too often for it to sleep do not keep it from learning.
    #[test]
    fn forgets() {
        let mut idle = awake(FLUSHES);
        (0..20).for_each(|_| sleep(&mut idle, 0));
        let mut rounds = 0;
        while idle.takes != FLUSHES {
            assert!((0..FLUSHES - 1).all(|_| !idle.flushed()));
            idle.awake();
            rounds += 1;
        }
        assert!(rounds <= 2 * FORGET * MOST / (FLUSHES - 1) + 1);
    }

    #[test]
    fn passes_while_all_sleep() {
        let all = AllSleep::new();
        assert!(all.pass());
        assert_eq!(all.end(), PAYS);
        assert!(!all.pass() && !all.pass());
        all.begin(true);
        assert!(all.pass() && all.pass());
        assert_eq!(all.end(), 2);
        assert_eq!(all.end(), 0);
        all.begin(true);
        assert!((0..2 * PAYS).all(|_| all.pass()));
        assert_eq!(all.end(), PAYS);
        assert!(!all.pass());
    }
}
