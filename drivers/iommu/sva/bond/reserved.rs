// SPDX-License-Identifier: GPL-2.0

//! Reserved regions: addresses that never reach the IOMMU (S17, S18).
//!
//! A device that uses a process's address for DMA reaches something else if the bus takes that
//! address for its own. So the process must not use it: each such range of the device's group is
//! carved out of the address space at the first bond that needs it, and given back with the last
//! bond of the address space. Ranges are assumed to apply with and without PASID.

use crate::trace;
use core::ops::Range;
use kernel::{mm::MmWithUser, prelude::*, sync::Arc};
use kernel_ext::{carve, workqueue::OwnedQueue};

/// A range that the process cannot use; dropping it gives it back.
///
/// The drop may sleep and takes `mmap_lock`.
pub(crate) struct Carved(carve::Carved);

impl Carved {
    fn new(queue: &Arc<OwnedQueue>, mm: &MmWithUser, range: Range<usize>) -> Result<Self> {
        let carved = Self(carve::Carved::new(queue, mm, range)?);

        trace::carve(carved.start(), carved.end(), true);
        Ok(carved)
    }

    fn range(&self) -> &Range<usize> {
        self.0.range()
    }

    fn start(&self) -> u64 {
        self.range().start as u64
    }

    fn end(&self) -> u64 {
        self.range().end as u64
    }
}

impl Drop for Carved {
    fn drop(&mut self) {
        trace::carve(self.start(), self.end(), false);
    }
}

/// Carves out `ranges`, as far as `there` does not cover them. May sleep; takes `mmap_lock`.
/// Dropping the result undoes it.
///
/// # Errors
///
/// - `EADDRINUSE`: the process uses part of it. Nothing has changed.
/// - `ENOMEM`.
pub(crate) fn carve(
    queue: &Arc<OwnedQueue>,
    ranges: &[Range<u64>],
    mm: &MmWithUser,
    there: &[Carved],
) -> Result<KVec<Carved>> {
    let mut carved = KVec::new();
    let end = carve::user_end(mm);

    for range in ranges {
        let mut rest = clip(range, end);

        while !rest.is_empty() {
            let covered = Iterator::chain(there.iter(), carved.iter()).map(Carved::range);
            let (free, left) = first_free(rest, covered);

            rest = left;
            if !free.is_empty() {
                carved.push(Carved::new(queue, mm, free)?, GFP_KERNEL)?;
            }
        }
    }
    Ok(carved)
}

/// The part of a bus range that lies below `end`.
fn clip(range: &Range<u64>, end: usize) -> Range<usize> {
    let clip = |addr: u64| usize::try_from(addr).map_or(end, |addr| addr.min(end));

    clip(range.start)..clip(range.end)
}

/// The first part of `range` that no range of `covered` has, and what comes after it.
fn first_free<'a>(
    range: Range<usize>,
    covered: impl Iterator<Item = &'a Range<usize>> + Clone,
) -> (Range<usize>, Range<usize>) {
    let mut start = range.start;

    // Ranges may touch one another, in any order.
    while let Some(over) = covered.clone().find(|over| over.contains(&start)) {
        start = over.end;
    }
    let start = start.min(range.end);
    let end = covered
        .map(|over| over.start)
        .filter(|&next| next >= start)
        .fold(range.end, usize::min);

    (start..end, end..range.end)
}

#[kunit_tests(sva_reserved)]
mod tests {
    use super::*;
    use core::iter::once;

    #[test]
    fn s17_clip_to_the_users_part() {
        assert_eq!(clip(&(0x1000..0x3000), 0x8000), 0x1000..0x3000);
        assert_eq!(clip(&(0x1000..u64::MAX), 0x8000), 0x1000..0x8000);
        assert!(clip(&(0x9000..0xa000), 0x8000).is_empty());
    }

    #[test]
    fn s17_first_free_of_nothing_covered() {
        assert_eq!(first_free(1..5, [].iter()), (1..5, 5..5));
    }

    #[test]
    fn s17_first_free_around_covered() {
        assert_eq!(first_free(1..9, once(&(3..5))), (1..3, 3..9));
        assert_eq!(first_free(3..9, once(&(3..5))), (5..9, 9..9));
        assert_eq!(first_free(3..9, [5..7, 3..5].iter()), (7..9, 9..9));
        assert_eq!(first_free(3..9, once(&(0..20))), (9..9, 9..9));
        assert_eq!(first_free(3..9, [12..20, 0..2].iter()), (3..9, 9..9));
    }
}
