// SPDX-License-Identifier: GPL-2.0

//! Whether part of an address space has changed meanwhile (`struct mmu_interval_notifier`).
//!
//! C header: `include/linux/mmu_notifier.h`

use crate::bindings;
use core::ops::Range;
use kernel::{
    error::to_result,
    mm::MmWithUser,
    new_spinlock,
    prelude::*,
    sync::SpinLock,
    types::Opaque, //
};

/// Watches a range of addresses for pages that go or lose permissions.
///
/// Pages that come, and permissions that are added, are not noticed: nobody needs to forget
/// anything for those.
///
/// # Invariants
///
/// `notifier` is registered, with [`OPS`].
#[pin_data(PinnedDrop)]
pub struct Interval {
    /// Held where the notifier's sequence number is written, and where it is compared.
    #[pin]
    lock: SpinLock<()>,
    #[pin]
    notifier: Opaque<bindings::mmu_interval_notifier>,
}

// SAFETY: A notifier may be used and removed by any thread.
unsafe impl Send for Interval {}
// SAFETY: What is called on a shared notifier may run on several threads at once.
unsafe impl Sync for Interval {}

/// A moment at which no change was under way.
pub struct Moment(usize);

static OPS: bindings::mmu_interval_notifier_ops = bindings::mmu_interval_notifier_ops {
    invalidate: Some(invalidate),
    ..pin_init::zeroed()
};

/// # Safety
///
/// To be called by the kernel, for the notifier of an [`Interval`].
unsafe extern "C" fn invalidate(
    notifier: *mut bindings::mmu_interval_notifier,
    _range: *const bindings::mmu_notifier_range,
    sequence: usize,
) -> bool {
    // SAFETY: By the requirement this is in an `Interval`, whose lock was initialised before the
    // notifier was registered, and which lives until it is removed.
    let this = unsafe { &*kernel::container_of!(Opaque::cast_from(notifier), Interval, notifier) };
    let _guard = this.lock.lock();

    // SAFETY: The notifier is the one that the kernel calls, and the lock is held.
    unsafe { bindings::sva_mmu_interval_set_seq(notifier, sequence) };
    true
}

impl Interval {
    /// Begins to watch `range` of `mm`. May sleep; takes `mmap_lock` for writing.
    ///
    /// # Errors
    ///
    /// `EOVERFLOW` for an empty range; `ENOMEM`; `EINTR` when the caller is being killed.
    pub fn new(mm: &MmWithUser, range: Range<usize>) -> Result<Pin<KBox<Self>>> {
        let init = try_pin_init!(Self {
            lock <- new_spinlock!((), "sva_interval"),
            // INVARIANT: Registered here.
            notifier <- Opaque::try_ffi_init(|slot| {
                // SAFETY: `slot` is memory for a notifier, which the function fills and which
                // stays where it is until `drop` removes it; the address space has users.
                to_result(unsafe {
                    bindings::mmu_interval_notifier_insert(
                        slot,
                        mm.as_raw(),
                        range.start,
                        range.len(),
                        &OPS,
                    )
                })
            }),
        });

        KBox::try_pin_init(init, GFP_KERNEL)
    }

    /// Waits until no change is under way. May sleep.
    pub fn moment(&self) -> Moment {
        // SAFETY: The notifier is registered by the type invariants.
        Moment(unsafe { bindings::mmu_interval_read_begin(self.notifier.get()) })
    }

    /// Whether a change has begun since `moment`.
    pub fn changed_since(&self, moment: &Moment) -> bool {
        let _guard = self.lock.lock();

        // SAFETY: The notifier is registered by the type invariants, and the lock is held.
        unsafe { bindings::sva_mmu_interval_read_retry(self.notifier.get(), moment.0) }
    }
}

#[pinned_drop]
impl PinnedDrop for Interval {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: The notifier is registered by the type invariants. The function waits for
        // callbacks under way, and no lock is held that they take.
        unsafe { bindings::mmu_interval_notifier_remove(self.notifier.get()) };
    }
}

#[kunit_tests(kernel_ext_interval)]
mod tests {
    use super::*;
    use crate::mm::{
        Protection,
        TestMm, //
    };
    use kernel::page::PAGE_SIZE;

    #[test]
    fn changes_inside_and_outside() -> Result {
        let mm = TestMm::new()?;
        let addr = mm.map(4, Protection::ReadWrite)?;

        mm.write(addr, &[0; 4 * PAGE_SIZE])?;
        let interval = Interval::new(mm.mm(), addr..addr + 2 * PAGE_SIZE)?;
        let first = interval.moment();
        let before = interval.changed_since(&first);

        mm.unmap(addr + 3 * PAGE_SIZE, 1)?;
        let outside = interval.changed_since(&first);

        mm.unmap(addr + PAGE_SIZE, 1)?;
        let inside = interval.changed_since(&first);
        let again = interval.changed_since(&interval.moment());

        drop(interval);
        drop(mm);
        assert_eq!(
            (before, outside, inside, again),
            (false, false, true, false)
        );
        Ok(())
    }
}
