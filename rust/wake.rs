// SPDX-License-Identifier: GPL-2.0

//! Waits that somebody else may end.
//!
//! A fault that waits for a page, for I/O or for another process, ends early only for a task that
//! is being killed. Kernel threads are not killed, but one that asks for it has the signal pending,
//! which is all that the wait looks at.

use crate::bindings;
use core::ptr::NonNull;
use kernel::{prelude::*, static_lock_class, sync::SpinLock};

/// Work of kernel threads that [`end`](Self::end) makes short.
#[pin_data]
pub struct EarlyEnd {
    #[pin]
    state: SpinLock<Worker>,
}

/// One for all modules that have such work: lockdep tells names of a class by their addresses.
static LOCK_NAME: &CStr = c"sva_early_end";

struct Worker {
    /// The thread that is at it.
    runs: Option<NonNull<bindings::task_struct>>,
    ended: bool,
}

// SAFETY: A task may be sent signals by any thread.
unsafe impl Send for Worker {}

impl EarlyEnd {
    /// Of work that has not begun.
    pub fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            state <- SpinLock::new(
                Worker { runs: None, ended: false },
                LOCK_NAME,
                static_lock_class!(),
            ),
        })
    }

    /// Runs `job` in this kernel thread, unless the work has ended. What it waits for in a way that
    /// a killed task would not ends when [`Self::end`] is called.
    ///
    /// Only in a kernel thread, such as a workqueue's, and in one at a time: else nothing runs.
    pub fn run(&self, job: impl FnOnce()) {
        let mut state = self.state.lock();

        // SAFETY: Looks at a flag of the current task.
        if state.ended || state.runs.is_some() || !unsafe { bindings::sva_is_kthread() } {
            return;
        }
        // SAFETY: Returns the current task, which is never null.
        state.runs = NonNull::new(unsafe { bindings::get_current() });
        // SAFETY: This is a kernel thread, which nobody else changes the signals of.
        unsafe { bindings::sva_accept_kill() };
        drop(state);

        job();

        self.state.lock().runs = None;
        // Nobody sends a signal from here on.
        // SAFETY: As above.
        unsafe { bindings::sva_ignore_kill() };
    }

    /// Ends the work: no job begins any more, and what one waits for is cut short. Process
    /// context.
    pub fn end(&self) {
        let mut state = self.state.lock();

        state.ended = true;
        if let Some(task) = state.runs {
            // SAFETY: The task runs the job, and cannot leave it before it has this lock.
            unsafe { bindings::sva_send_kill(task.as_ptr()) };
        }
    }
}

/// Whether the current task should not wait any more. Any context.
pub fn is_ending() -> bool {
    // SAFETY: Looks at the current task.
    unsafe { bindings::sva_is_being_killed() }
}
