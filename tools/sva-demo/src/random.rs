// SPDX-License-Identifier: GPL-2.0

//! Numbers without a pattern, the same in each run.

/// xorshift64*.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// The numbers from 0 to `n` - 1 in random order.
    pub fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut numbers: Vec<_> = (0..n).collect();

        for i in (1..n).rev() {
            numbers.swap(i, (self.next() % (i as u64 + 1)) as usize);
        }
        numbers
    }
}
