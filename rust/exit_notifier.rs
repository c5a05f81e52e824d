// SPDX-License-Identifier: GPL-2.0

//! The exit of a process, as `struct mmu_interval_notifier` tells of it.
//!
//! Such a notifier takes the locks of all mappings only the first time that any is registered for
//! an address space, as IOMMU drivers do; `struct mmu_notifier` does it each time.
//!
//! C header: `include/linux/mmu_notifier.h`

use crate::bindings;
use kernel::{
    error::to_result,
    mm::{Mm, MmWithUser},
    page::PAGE_SIZE,
    prelude::*,
    types::Opaque,
};

/// What is done when an address space is about to lose all its pages.
pub trait OnExit: Send + Sync + Sized + 'static {
    /// Runs once, in the task that dropped the last user; IOMMU drivers' notifiers may run after it.
    /// Must not sleep for long, nor drop the notifier.
    fn exits(&self);
}

/// Sees the exit of an address space. The drop waits for [`OnExit::exits`] under way; it may sleep,
/// and must hold no lock that those who change the address space take.
///
/// # Invariants
///
/// `notifier` is registered, with the operations for `T`.
#[pin_data(PinnedDrop)]
pub struct ExitNotifier<T: OnExit> {
    // Initialised in this order: what is called finds `data`.
    data: T,
    #[pin]
    notifier: Opaque<bindings::mmu_interval_notifier>,
}

// SAFETY: A notifier may be removed by any thread.
unsafe impl<T: OnExit> Send for ExitNotifier<T> {}
// SAFETY: Nothing but `data`, which is `Sync`, is reached through a reference.
unsafe impl<T: OnExit> Sync for ExitNotifier<T> {}

/// Addresses that no process has: nothing is told but the exit, and changes of everything.
const NOWHERE: usize = usize::MAX - 2 * PAGE_SIZE + 1;

impl<T: OnExit> ExitNotifier<T> {
    const OPS: &'static bindings::mmu_interval_notifier_ops =
        &bindings::mmu_interval_notifier_ops {
            invalidate: Some(Self::invalidate),
            ..pin_init::zeroed()
        };

    /// Watches `mm`. May sleep; takes `mmap_lock` for writing.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `EINTR` when the caller is being killed.
    pub fn new(mm: &MmWithUser, data: T) -> Result<Pin<KBox<Self>>> {
        let init = try_pin_init!(Self {
            data,
            // INVARIANT: Registered here.
            notifier <- Opaque::try_ffi_init(|slot| {
                // SAFETY: `slot` is memory for a notifier, which the function fills and which
                // stays where it is until `drop` removes it; the address space has users. What
                // is called finds `data`, which has been initialised before.
                to_result(unsafe {
                    bindings::mmu_interval_notifier_insert(
                        slot,
                        mm.as_raw(),
                        NOWHERE,
                        PAGE_SIZE,
                        Self::OPS,
                    )
                })
            }),
        });

        KBox::try_pin_init(init, GFP_KERNEL)
    }

    /// # Safety
    ///
    /// To be called by the kernel, for the notifier of such an object.
    unsafe extern "C" fn invalidate(
        notifier: *mut bindings::mmu_interval_notifier,
        range: *const bindings::mmu_notifier_range,
        _sequence: usize,
    ) -> bool {
        // SAFETY: By this function's contract.
        if unsafe { (*range).event } == bindings::mmu_notifier_event_MMU_NOTIFY_RELEASE {
            // SAFETY: By this function's contract; the object lives until the notifier is removed,
            // which waits for us, and nobody has `data` mutably.
            let data = unsafe {
                &(*kernel::container_of!(Opaque::cast_from(notifier), Self, notifier)).data
            };

            data.exits();
        }
        true
    }
}

#[pinned_drop]
impl<T: OnExit> PinnedDrop for ExitNotifier<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: Registered by the type invariants. It waits for calls under way.
        unsafe { bindings::mmu_interval_notifier_remove(self.notifier.get()) };
    }
}

/// Whether nothing is mapped in `mm`: after an exit all its memory is back then, and translations
/// by IOMMUs have ended before. Any context.
pub fn is_empty(mm: &Mm) -> bool {
    // SAFETY: The `mm_struct` is valid; the word is only looked at.
    unsafe { bindings::sva_mm_is_empty(mm.as_raw()) }
}

/// How many use `mm`: its tasks, and whoever else keeps it from its exit. Any context.
pub fn users(mm: &Mm) -> usize {
    // SAFETY: The `mm_struct` is valid; the count is only looked at.
    usize::try_from(unsafe { bindings::sva_mm_users(mm.as_raw()) }).unwrap_or(0)
}
