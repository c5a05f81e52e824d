// SPDX-License-Identifier: GPL-2.0

//! The calls of drivers for the exits of processes that are under way, of all devices together: they
//! are rare, and few at a time.

use super::device::SvaDevice;
use kernel::{
    new_condvar, new_mutex,
    prelude::*,
    sync::{CondVar, Mutex},
    time::{delay::fsleep, Delta},
};
use kernel_ext::task::TaskName;

/// A call: for which device, whose address is not used anew meanwhile, and by which task.
type Call = (usize, TaskName);

#[pin_data]
pub(crate) struct ExitCalls {
    #[pin]
    list: Mutex<KVec<Call>>,
    /// A call has returned.
    #[pin]
    changed: CondVar,
}

/// A call that this task makes, until it is dropped.
pub(super) struct ExitCall<'a> {
    calls: &'a ExitCalls,
    call: Call,
}

fn key(device: &SvaDevice) -> usize {
    core::ptr::from_ref(device).addr()
}

impl ExitCalls {
    pub(super) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            list <- new_mutex!(KVec::new(), "sva_exit_calls"),
            changed <- new_condvar!("sva_exit_calls_changed"),
        })
    }

    /// This task is about to call the driver of `device`. May sleep.
    pub(super) fn begin<'a>(&'a self, device: &'a SvaDevice) -> ExitCall<'a> {
        let call = (key(device), TaskName::current());

        // A call must not be lost, and a few bytes will be had.
        while self.list.lock().push(call, GFP_KERNEL).is_err() {
            fsleep(Delta::from_millis(1));
        }
        ExitCall { calls: self, call }
    }

    /// Waits until no other task calls the driver of `device`. This task may be doing so.
    pub(super) fn wait_for_others(&self, device: &SvaDevice) {
        let is_other = |&(there, task): &Call| there == key(device) && task != TaskName::current();
        let mut list = self.list.lock();

        while list.iter().any(is_other) {
            self.changed.wait(&mut list);
        }
    }
}

impl Drop for ExitCall<'_> {
    fn drop(&mut self) {
        let mut list = self.calls.list.lock();

        if let Some(at) = list.iter().position(|&there| there == self.call) {
            let _ = list.remove(at);
        }
        self.calls.changed.notify_all();
    }
}
