// SPDX-License-Identifier: GPL-2.0

//! A limit on how much is printed.

use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    time::{
        Instant,
        Monotonic, //
    }, //
};

/// How many messages one interval may have.
const BURST: u64 = 10;
/// The interval.
const INTERVAL_NS: i64 = 5_000_000_000;

/// Allows a few messages every some seconds. Races between users may allow a few more.
pub struct RateLimit {
    start: Instant<Monotonic>,
    interval: Atomic<i64>,
    used: Atomic<u64>,
}

impl Default for RateLimit {
    fn default() -> Self {
        Self::new()
    }
}

impl RateLimit {
    /// A fresh limit.
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
            interval: Atomic::new(0),
            used: Atomic::new(0),
        }
    }

    /// Whether a message may be printed now. Any context.
    pub fn allows(&self) -> bool {
        let interval = self.start.elapsed().as_nanos() / INTERVAL_NS;
        self.allows_in(interval)
    }

    fn allows_in(&self, interval: i64) -> bool {
        if self.interval.load(Relaxed) != interval {
            self.interval.store(interval, Relaxed);
            self.used.store(0, Relaxed);
        }
        self.used.fetch_add(1, Relaxed) < BURST
    }
}

#[kunit_tests(smmu_driver_ratelimit)]
mod tests {
    use super::*;

    #[test]
    fn burst_per_interval() {
        let limit = RateLimit::new();
        for interval in [0, 0, 7] {
            let allowed = (0..BURST + 5).filter(|_| limit.allows_in(interval)).count();
            let fresh = interval != 0 || limit.used.load(Relaxed) == BURST + 5;
            assert_eq!(allowed, if fresh { BURST as usize } else { 0 });
        }
    }
}
