// SPDX-License-Identifier: GPL-2.0

//! Waits that somebody else may end.
//!
//! A fault that waits for a page, for I/O or for another process, ends early only for a task that
//! is being killed. Kernel threads are not killed, but one that asks for it has the signal pending,
//! which is all that the wait looks at.

use crate::bindings;
use core::ptr::NonNull;
use kernel::{new_spinlock, prelude::*, sync::SpinLock};

/// One job of a kernel thread that [`end`](Self::end) makes short.
#[pin_data]
pub struct EarlyEnd {
    #[pin]
    state: SpinLock<State>,
}

enum State {
    Waits,
    /// The thread that is at it.
    Runs(NonNull<bindings::task_struct>),
    Ended,
}

// SAFETY: A task may be sent signals by any thread.
unsafe impl Send for State {}

impl EarlyEnd {
    /// Of a job that has not begun.
    pub fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            state <- new_spinlock!(State::Waits, "sva_early_end"),
        })
    }

    /// Runs `job` in this kernel thread, once, unless it has ended before. What it waits for in a
    /// way that a killed task would not ends when [`Self::end`] is called.
    ///
    /// Only in a kernel thread, such as a workqueue's: elsewhere, and a second time, nothing runs.
    pub fn run(&self, job: impl FnOnce()) {
        let mut state = self.state.lock();

        // SAFETY: Looks at a flag of the current task.
        if !matches!(*state, State::Waits) || !unsafe { bindings::sva_is_kthread() } {
            return;
        }
        // SAFETY: Returns the current task.
        *state = State::Runs(unsafe { NonNull::new_unchecked(bindings::get_current()) });
        // SAFETY: This is a kernel thread, which nobody else changes the signals of.
        unsafe { bindings::sva_accept_kill() };
        drop(state);

        job();

        *self.state.lock() = State::Ended;
        // Nobody sends a signal from here on.
        // SAFETY: As above.
        unsafe { bindings::sva_ignore_kill() };
    }

    /// Ends the job: it will not begin, or what it waits for is cut short. Any context. Whether it
    /// had not begun.
    pub fn end(&self) -> bool {
        let mut state = self.state.lock();

        match *state {
            State::Waits => {
                *state = State::Ended;
                true
            }
            State::Runs(task) => {
                // SAFETY: The task runs the job, and cannot leave it before it has this lock.
                unsafe { bindings::sva_send_kill(task.as_ptr()) };
                false
            }
            State::Ended => false,
        }
    }
}

/// Whether the current task should not wait any more. Any context.
pub fn is_ending() -> bool {
    // SAFETY: Looks at the current task.
    unsafe { bindings::sva_is_being_killed() }
}
