// SPDX-License-Identifier: GPL-2.0

//! The thread behind a queue that the hardware fills, and waiting for it.

use crate::line::{
    Line,
    Raise, //
};
use kernel::{
    new_condvar, new_mutex,
    prelude::*,
    sync::{
        Arc,
        CondVar,
        Mutex, //
    },
};

/// Who waits for the thread. Tickets are given in order.
struct Tickets {
    requested: u64,
    completed: u64,
    ended: bool,
}

/// What a queue's thread and those who wait for it share.
#[pin_data]
pub(super) struct Drain {
    line: Arc<Line>,
    #[pin]
    tickets: Mutex<Tickets>,
    #[pin]
    passed: CondVar,
}

impl Drain {
    /// For the queue whose interrupt is `line`.
    pub(super) fn new(line: Arc<Line>) -> impl PinInit<Self> {
        pin_init!(Self {
            line,
            tickets <- new_mutex!(
                Tickets { requested: 0, completed: 0, ended: false },
                "mock_smmu_drain"
            ),
            passed <- new_condvar!("mock_smmu_drained"),
        })
    }

    /// Waits until the thread has handled all that is queued now.
    ///
    /// Sleeps. Must not be called from the thread, nor with a lock that it takes.
    pub(super) fn wait(&self) {
        let mut tickets = self.tickets.lock();
        tickets.requested += 1;
        let ticket = tickets.requested;
        self.line.raise();
        while tickets.completed < ticket && !tickets.ended {
            self.passed.wait(&mut tickets);
        }
    }

    /// The thread: has `process` handle what is queued, until the line is closed.
    ///
    /// `process` handles at least what was queued when it was called, and gives whether there was
    /// anything.
    pub(super) fn serve(&self, mut process: impl FnMut() -> bool) {
        while self.line.wait() {
            loop {
                let ticket = self.tickets.lock().requested;
                let more = process();
                self.tickets.lock().completed = ticket;
                self.passed.notify_all();
                if !more {
                    break;
                }
            }
        }
        self.tickets.lock().ended = true;
        self.passed.notify_all();
    }
}
