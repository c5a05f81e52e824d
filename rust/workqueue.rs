// SPDX-License-Identifier: GPL-2.0

//! Workqueues of our own: a module that has queued work must wait for it before it goes.

use crate::bindings;
use core::{ops::Deref, ptr::NonNull};
use kernel::{prelude::*, workqueue::Queue};

/// A workqueue for work that may sleep, on any CPU; drained and destroyed when dropped.
///
/// # Invariants
///
/// The pointer is a valid workqueue that nobody else destroys.
pub struct OwnedQueue(NonNull<bindings::workqueue_struct>);

// SAFETY: A workqueue may be used, and destroyed, by any thread.
unsafe impl Send for OwnedQueue {}
// SAFETY: Queueing locks.
unsafe impl Sync for OwnedQueue {}

impl OwnedQueue {
    /// Makes a workqueue. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new(name: &'static CStr) -> Result<Self> {
        // SAFETY: The format takes one string. Of the flags, WQ_UNBOUND needs no CPU to be given.
        let queue = unsafe {
            bindings::alloc_workqueue_noprof(
                c"%s".as_char_ptr(),
                bindings::wq_flags_WQ_UNBOUND,
                bindings::wq_consts_WQ_MAX_ACTIVE as c_int,
                name.as_char_ptr(),
            )
        };

        // INVARIANT: The queue is new.
        NonNull::new(queue).map(Self).ok_or(ENOMEM)
    }

    /// Waits until no work is left, also what that queues. May sleep; not from that work itself.
    /// Nobody else may queue any meanwhile.
    pub fn drain(&self) {
        // SAFETY: By the type invariants the queue is valid.
        unsafe { bindings::drain_workqueue(self.0.as_ptr()) };
    }

    /// Waits until all work that is queued now is done. May sleep; not from that work itself.
    pub fn flush(&self) {
        // SAFETY: By the type invariants the queue is valid.
        unsafe { bindings::__flush_workqueue(self.0.as_ptr()) };
    }
}

impl Deref for OwnedQueue {
    type Target = Queue;

    fn deref(&self) -> &Queue {
        // SAFETY: By the type invariants the queue is valid as long as `self` is.
        unsafe { Queue::from_raw(self.0.as_ptr()) }
    }
}

impl Drop for OwnedQueue {
    fn drop(&mut self) {
        // SAFETY: By the type invariants the queue is ours. Work that is still queued is done first.
        unsafe { bindings::destroy_workqueue(self.0.as_ptr()) };
    }
}
