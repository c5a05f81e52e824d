// SPDX-License-Identifier: GPL-2.0

//! Notifiers of an address space's changes (`struct mmu_notifier`).
//!
//! C header: `include/linux/mmu_notifier.h`

use crate::bindings;
use core::{
    marker::PhantomData,
    ops::Deref,
    ptr::NonNull, //
};
use kernel::{
    error::{
        to_result,
        VTABLE_DEFAULT_ERROR, //
    },
    mm::MmWithUser,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
        rcu, //
    },
    time::{
        delay::fsleep,
        Delta, //
    },
    types::Opaque, //
};

/// What a notifier does when its address space changes.
///
/// The value that implements this lives inside the registered notifier. It is dropped in a context
/// that cannot sleep, some time after the [`MmNotifier`]: it must own nothing whose drop sleeps.
#[vtable]
pub trait Callbacks: Send + Sync + 'static {
    /// The address space is about to lose all its pages (`exit_mmap()`).
    ///
    /// Runs at most once, only while the [`MmNotifier`] exists, and before any page is freed. It
    /// may sleep, but must neither wait for an I/O page-fault worker nor unregister a notifier:
    /// it can run in such a worker, and unregistering waits for it.
    fn release(&self) {
        build_error!(VTABLE_DEFAULT_ERROR)
    }

    /// Translations of `start..end` have changed, and secondary TLBs must forget the old ones
    /// before this returns.
    ///
    /// Called under page-table spinlocks: it cannot sleep. `end` is `usize::MAX` when everything
    /// is to be forgotten.
    fn arch_invalidate_secondary_tlbs(&self, start: usize, end: usize) {
        let _ = (start, end);
        build_error!(VTABLE_DEFAULT_ERROR)
    }
}

/// Notifiers that have been put and wait for their SRCU callback.
static DYING: Atomic<usize> = Atomic::new(0);

#[repr(C)]
struct Node<T> {
    notifier: Opaque<bindings::mmu_notifier>,
    data: T,
}

/// A registered mmu notifier.
///
/// Dropping it ends the subscription; it neither sleeps nor waits, so callbacks that have already
/// begun may go on for a while. It may be dropped anywhere, from callbacks of other notifiers too.
///
/// A module that uses notifiers must call [`synchronize`] when it ends, after the last of them was
/// dropped.
///
/// # Invariants
///
/// `node` points at a live, pinned `Node<T>` whose notifier was registered successfully and holds
/// one user count that this object owns.
pub struct MmNotifier<T: Callbacks> {
    node: NonNull<Node<T>>,
    _data: PhantomData<T>,
}

// SAFETY: The subscription may be put from any thread, and `T` itself is `Send`.
unsafe impl<T: Callbacks> Send for MmNotifier<T> {}

// SAFETY: Only `&T` is reachable through `&MmNotifier<T>`, and `T` is `Sync`.
unsafe impl<T: Callbacks> Sync for MmNotifier<T> {}

struct Ops<T>(PhantomData<T>);

impl<T: Callbacks> Ops<T> {
    const OPS: &'static bindings::mmu_notifier_ops = &bindings::mmu_notifier_ops {
        release: if T::HAS_RELEASE {
            Some(Self::release)
        } else {
            None
        },
        arch_invalidate_secondary_tlbs: if T::HAS_ARCH_INVALIDATE_SECONDARY_TLBS {
            Some(Self::arch_invalidate_secondary_tlbs)
        } else {
            None
        },
        free_notifier: Some(Self::free_notifier),
        ..pin_init::zeroed()
    };

    /// # Safety
    ///
    /// `subscription` must be the `notifier` field of a live `Node<T>`.
    unsafe fn data<'a>(subscription: *mut bindings::mmu_notifier) -> &'a T {
        // SAFETY: By the function's requirement; the notifier is the node's first field, and the
        // node is `repr(C)`. `data` is never handed out mutably.
        unsafe { &(*subscription.cast::<Node<T>>()).data }
    }

    /// # Safety
    ///
    /// Called by the mmu notifier core for a notifier that was registered with `Self::OPS`.
    unsafe extern "C" fn release(
        subscription: *mut bindings::mmu_notifier,
        _mm: *mut bindings::mm_struct,
    ) {
        // SAFETY: Only `MmNotifier::register()` registers with these ops, so this is a node's
        // notifier. The core calls inside an SRCU read section, and the node is freed by an SRCU
        // callback only.
        unsafe { Self::data(subscription) }.release();
    }

    /// # Safety
    ///
    /// As for `release`.
    unsafe extern "C" fn arch_invalidate_secondary_tlbs(
        subscription: *mut bindings::mmu_notifier,
        _mm: *mut bindings::mm_struct,
        start: usize,
        end: usize,
    ) {
        // SAFETY: As in `release`.
        unsafe { Self::data(subscription) }.arch_invalidate_secondary_tlbs(start, end);
    }

    /// # Safety
    ///
    /// Called by the mmu notifier core once the last user was put and no callback runs any more.
    unsafe extern "C" fn free_notifier(subscription: *mut bindings::mmu_notifier) {
        // SAFETY: The node came from `KBox::into_raw()` in `register()`, its `MmNotifier` is gone
        // since that did the put, and the core calls this exactly once.
        drop(unsafe { KBox::from_raw(subscription.cast::<Node<T>>()) });
        // Release: whoever sees the count sees the memory freed. Pairs with `synchronize()`.
        DYING.fetch_sub(1, Release);
    }
}

impl<T: Callbacks> MmNotifier<T> {
    /// Registers a notifier on `mm`.
    ///
    /// May sleep; takes `mmap_lock` for writing, and walks all areas of the address space.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `EINTR` when a fatal signal is pending.
    pub fn register(mm: &MmWithUser, data: T) -> Result<Self> {
        let node = KBox::into_raw(KBox::new(
            Node {
                notifier: Opaque::new(bindings::mmu_notifier {
                    ops: Ops::<T>::OPS,
                    ..pin_init::zeroed()
                }),
                data,
            },
            GFP_KERNEL,
        )?);

        // SAFETY: The node stays where it is until `free_notifier` or the error path below frees
        // it, its ops are set, and `&MmWithUser` proves that the address space has users.
        let ret = to_result(unsafe {
            bindings::mmu_notifier_register((*node).notifier.get(), mm.as_raw())
        });
        if let Err(error) = ret {
            // SAFETY: Registration failed, so nothing else refers to the node made above.
            drop(unsafe { KBox::from_raw(node) });
            return Err(error);
        }

        Ok(Self {
            // SAFETY: `KBox::into_raw()` never returns null.
            // INVARIANT: Registration succeeded and gave the notifier one user count.
            node: unsafe { NonNull::new_unchecked(node) },
            _data: PhantomData,
        })
    }
}

impl<T: Callbacks> Deref for MmNotifier<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: The node is live by the type invariant, and `data` is never borrowed mutably.
        unsafe { &(*self.node.as_ptr()).data }
    }
}

impl<T: Callbacks> Drop for MmNotifier<T> {
    fn drop(&mut self) {
        DYING.fetch_add(1, Relaxed);
        // SAFETY: By the type invariant the notifier is registered, and this object owns one user
        // count, which it gives up here. The node is not touched afterwards.
        unsafe { bindings::mmu_notifier_put((*self.node.as_ptr()).notifier.get()) };
    }
}

/// Waits until every dropped notifier is freed and no callback of it runs any more.
///
/// For the end of a module that used notifiers. Sleeps. Waiting for an SRCU grace period alone
/// does not do: callbacks that another CPU queued may still be pending after it.
pub fn synchronize() {
    loop {
        // SAFETY: Waits for a grace period; there are no preconditions but that it may sleep.
        unsafe { bindings::mmu_notifier_synchronize() };
        // Acquire: pairs with the release in `free_notifier`.
        if DYING.load(Acquire) == 0 {
            break;
        }
        fsleep(Delta::from_millis(1));
    }
    // The last `free_notifier` may have counted itself and not yet returned into the core. It runs
    // with bottom halves off, which an RCU grace period waits for.
    rcu::synchronize_rcu();
}
