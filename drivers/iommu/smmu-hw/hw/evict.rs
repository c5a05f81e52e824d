// SPDX-License-Identifier: GPL-2.0

//! Random eviction: caches may lose any entry at any time, and software must not care.

use super::{
    engine::Engine,
    Smmu, //
};

/// Chooses when and what to evict; the same seed gives the same choices.
pub(super) struct Evictor {
    one_in: u32,
    random: u64,
}

impl Evictor {
    pub(super) fn new(one_in: u32, seed: u64) -> Self {
        // The generator would stay at zero for ever.
        let random = seed.max(1);
        Self { one_in, random }
    }

    /// A random number, in one of so many calls.
    fn draw(&mut self) -> Option<u64> {
        if self.one_in == 0 {
            return None;
        }
        // Marsaglia's xorshift.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let (number, one_in) = (self.random >> 8, u64::from(self.one_in));
        (number % one_in == 0).then_some(number / one_in)
    }
}

impl Engine {
    /// Before a transaction: now and then drops an entry of each of the SMMU's caches and of the
    /// ATC in `slot`.
    pub(super) fn evict(&mut self, slot: usize) {
        let Some(number) = self.evictor.draw() else {
            return;
        };
        self.stats.evictions += 1;
        self.tlb.evict(number);
        self.walks.evict(number);
        self.cache.evict(number);
        if let Some(port) = &mut self.ports[slot] {
            port.atc.evict(number);
        }
    }
}

impl Smmu {
    /// Has each cache drop a random entry in one of `one_in` look-ups, or never if that is 0. The
    /// same `seed` gives the same choices. Any context.
    pub fn set_eviction(&self, one_in: u32, seed: u64) {
        self.engine().lock().evictor = Evictor::new(one_in, seed);
    }
}
