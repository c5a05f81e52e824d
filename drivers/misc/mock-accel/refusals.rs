// SPDX-License-Identifier: GPL-2.0

//! Why pages were refused, from when the driver hears of it until a job asks.

/// How many are remembered.
const KEPT: usize = 8;

/// The last refusals: pages, and why. The youngest is last.
#[derive(Default)]
pub(crate) struct Refusals([Option<(u64, u32)>; KEPT]);

/// The page of an address, whatever its tag.
fn page(addr: u64) -> u64 {
    (addr & ((1 << 56) - 1)) >> 12
}

impl Refusals {
    /// The page at `addr` was refused for `reason`.
    pub(crate) fn note(&mut self, addr: u64, reason: u32) {
        self.0.rotate_left(1);
        self.0[KEPT - 1] = Some((page(addr), reason));
    }

    /// Why the page of `addr` was last refused, and forgets it; 0 if that is not known.
    pub(crate) fn take(&mut self, addr: u64) -> u32 {
        let mut reason = 0;

        for slot in &mut self.0 {
            if let Some((_, why)) = slot.take_if(|(there, _)| *there == page(addr)) {
                reason = why;
            }
        }
        reason
    }
}

#[kernel::prelude::kunit_tests(mock_accel_refusals)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_a_page_counts_once() {
        let mut refusals = Refusals::default();

        refusals.note(0x1000, 1);
        refusals.note(0x2000, 2);
        refusals.note(0x1000, 3);
        assert_eq!(refusals.take(0xab00_0000_0000_1fff), 3);
        assert_eq!(refusals.take(0x1000), 0);
        assert_eq!(refusals.take(0x2008), 2);
    }

    #[test]
    fn old_ones_are_forgotten() {
        let mut refusals = Refusals::default();

        for i in 0..=KEPT as u64 {
            refusals.note(i << 12, 1);
        }
        assert_eq!(refusals.take(0), 0);
        assert_eq!(refusals.take(1 << 12), 1);
    }
}
