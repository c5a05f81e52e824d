// SPDX-License-Identifier: GPL-2.0

//! PASIDs of the kernel's global allocator.
//!
//! That gives the lowest number which is free. A device that can send many is given one that narrow
//! devices cannot send, as long as there are any: see [`Pool`].

use crate::{bindings, endpoint::Held, global::Global};
use core::ops::RangeInclusive;
use kernel::{new_mutex, prelude::*, sync::Mutex};

/// A PASID: the 20-bit number with which a device tags its accesses to one address space.
///
/// # Invariants
///
/// The number is allocated from the global allocator, and no other `Pasid` has it, nor has the pool;
/// or it is [`Self::NONE`].
pub struct Pasid(u32);

/// The pool of the module that shares address spaces, as long as it runs.
pub static POOL: Global<Pool> = Global::new();

/// The largest number that is left to devices which can send no larger one, unless others cannot be
/// had: a PASID of 8 bits.
const NARROW: u32 = 0xff;
/// How many free numbers are kept here.
const KEPT: usize = 64;
/// How many are fetched at a time, beyond that which is wanted.
const FETCHED: usize = 32;

/// Numbers beyond [`NARROW`] that are allocated from the global allocator, and that nobody has.
///
/// The allocator cannot be asked for a number from some bound on. So when none is left, the lower ones
/// that are free are taken for a moment, until it gives some beyond.
#[pin_data(PinnedDrop)]
pub struct Pool {
    /// In order.
    #[pin]
    free: Mutex<KVec<u32>>,
}

/// Takes the lowest number that is free and that the device can send.
fn fetch(held: &Held) -> Option<Pasid> {
    // SAFETY: The device is held, so `dev->iommu` is valid, which is all the allocator reads.
    let id = unsafe { bindings::iommu_alloc_global_pasid(held.as_raw()) };

    // INVARIANT: Just allocated.
    (id != bindings::IOMMU_PASID_INVALID as u32).then_some(Pasid(id))
}

/// From which number on a device is served first that can send those `within`.
fn preferred(within: &RangeInclusive<u32>) -> u32 {
    let (min, max) = (*within.start(), *within.end());

    if max > NARROW {
        min.max(NARROW + 1)
    } else {
        min
    }
}

impl Pool {
    /// An empty pool.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new() -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            free <- new_mutex!(KVec::with_capacity(KEPT, GFP_KERNEL)?, "sva_pasid_pool"),
        })
    }

    /// Allocates the lowest free PASID of those `within` that the device can send; of a device that
    /// can send more than 8 bits the lowest beyond them, if there is one. May sleep.
    ///
    /// While it looks for one, others may not find numbers that are free a moment later.
    ///
    /// # Errors
    ///
    /// - `EOPNOTSUPP`: the device or its IOMMU has no PASIDs.
    /// - `ENOSPC`: all that the device may use are taken (or memory is short: the allocator does
    ///   not tell these apart).
    pub fn alloc(&self, held: &Held, within: RangeInclusive<u32>) -> Result<Pasid> {
        let most = held.max_pasids().checked_sub(1).ok_or(EOPNOTSUPP)?;
        let within = *within.start()..=most.min(*within.end());
        let wanted = preferred(&within)..=*within.end();
        // Locked all the time: nobody of ours misses what is taken for a moment.
        let mut free = self.free.lock();

        if let Some(at) = free.iter().position(|id| wanted.contains(id)) {
            // INVARIANT: It is allocated, and not in the pool any more.
            return free.remove(at).map(Pasid).map_err(|_| ENOSPC);
        }
        // Those that are not wanted, lowest first: given back without the lock, which that takes.
        let mut others = KVec::<Pasid>::new();
        let found = Self::find(&mut free, &mut others, held, &wanted);

        drop(free);
        if let Some(found) = found? {
            return Ok(found);
        }
        let at = others.iter().position(|id| within.contains(&id.get()));

        others.remove(at.ok_or(ENOSPC)?).map_err(|_| ENOSPC)
    }

    /// Has the allocator give one that is wanted, and some more for next time.
    fn find(
        free: &mut KVec<u32>,
        others: &mut KVec<Pasid>,
        held: &Held,
        wanted: &RangeInclusive<u32>,
    ) -> Result<Option<Pasid>> {
        loop {
            // Before there is one to be lost.
            others.reserve(1, GFP_KERNEL)?;
            match fetch(held) {
                Some(id) if wanted.contains(&id.get()) => {
                    // Only where it was hard to find.
                    let more = if others.is_empty() { 0 } else { FETCHED };

                    for _ in 0..more {
                        match fetch(held) {
                            Some(id) => id.keep(free),
                            None => break,
                        }
                    }
                    return Ok(Some(id));
                }
                Some(id) => {
                    let above = id.get() > *wanted.end();

                    others.push(id, GFP_KERNEL)?;
                    if above {
                        return Ok(None);
                    }
                }
                None => return Ok(None),
            }
        }
    }

    /// Whether it keeps this free number, which is taken out of `Pasid`'s hands then.
    fn keep(&self, id: u32) -> bool {
        id > NARROW && Self::insert(&mut self.free.lock(), id)
    }

    fn insert(free: &mut KVec<u32>, id: u32) -> bool {
        let at = free.partition_point(|&other| other < id);

        // There is room for so many.
        free.len() < KEPT && free.insert_within_capacity(at, id).is_ok()
    }
}

#[pinned_drop]
impl PinnedDrop for Pool {
    fn drop(self: Pin<&mut Self>) {
        for &id in self.free.lock().iter() {
            // SAFETY: What is in the pool is allocated, and nobody's.
            unsafe { bindings::iommu_free_global_pasid(id) };
        }
    }
}

impl Pasid {
    /// In place of a PASID: what the kernel calls accesses that carry none (`IOMMU_NO_PASID`).
    pub const NONE: u32 = bindings::IOMMU_NO_PASID;

    /// Stands for accesses without PASID.
    pub fn none() -> Self {
        // INVARIANT: As allowed.
        Self(Self::NONE)
    }

    /// Whether this is a PASID, not [`Self::NONE`].
    pub fn is_some(&self) -> bool {
        self.0 != Self::NONE
    }

    /// The number.
    pub fn get(&self) -> u32 {
        self.0
    }

    /// Puts it into the pool, or gives it back.
    fn keep(self, free: &mut KVec<u32>) {
        let id = core::mem::ManuallyDrop::new(self).0;

        if id <= NARROW || !Pool::insert(free, id) {
            // SAFETY: The number was ours, and is not in the pool.
            unsafe { bindings::iommu_free_global_pasid(id) };
        }
    }
}

impl Drop for Pasid {
    fn drop(&mut self) {
        if self.is_some() && !POOL.get().is_some_and(|pool| pool.keep(self.0)) {
            // SAFETY: By the type invariants the number is allocated, and ours.
            unsafe { bindings::iommu_free_global_pasid(self.0) };
        }
    }
}

#[kunit_tests(kernel_ext_pasid)]
mod tests {
    use super::*;

    #[test]
    fn wide_devices_are_served_above() {
        assert_eq!(preferred(&(1..=255)), 1);
        assert_eq!(preferred(&(20..=30)), 20);
        assert_eq!(preferred(&(1..=256)), 256);
        assert_eq!(preferred(&(1..=65535)), 256);
        assert_eq!(preferred(&(1000..=65535)), 1000);
    }

    #[test]
    fn pool_is_in_order_and_bounded() -> Result {
        let mut free = KVec::with_capacity(KEPT, GFP_KERNEL)?;

        for id in [300, 256, 1000] {
            assert!(Pool::insert(&mut free, id));
        }
        assert_eq!(*free, [256, 300, 1000]);
        for id in 0..KEPT as u32 - 3 {
            assert!(Pool::insert(&mut free, 2000 + id));
        }
        assert!(!Pool::insert(&mut free, 9999));
        Ok(())
    }
}
