// SPDX-License-Identifier: GPL-2.0

//! Waits for somebody else, which end when the waiting task is killed.

use crate::bindings;
use kernel::{error::to_result, prelude::*, types::Opaque};

/// Something that is done once, and then stays so.
#[pin_data]
pub struct Done {
    #[pin]
    raw: Opaque<bindings::completion>,
}

// SAFETY: A completion may be used by any thread.
unsafe impl Send for Done {}
// SAFETY: As above, by several at once.
unsafe impl Sync for Done {}

impl Done {
    /// What is not done.
    pub fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            raw <- Opaque::ffi_init(|slot: *mut bindings::completion| {
                // SAFETY: The slot is valid for writing.
                unsafe { bindings::init_completion(slot) }
            }),
        })
    }

    /// It is done. Any context.
    pub fn set(&self) {
        // SAFETY: Initialised by `new`, and pinned.
        unsafe { bindings::complete_all(self.raw.get()) };
    }

    /// Waits until it is done. Sleeps.
    ///
    /// # Errors
    ///
    /// `EINTR`: the task is being killed.
    pub fn wait(&self) -> Result {
        // SAFETY: As for `set`.
        to_result(unsafe { bindings::wait_for_completion_killable(self.raw.get()) })
            .map_err(|_| EINTR)
    }
}
