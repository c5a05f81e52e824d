// SPDX-License-Identifier: GPL-2.0

//! What people want to know of a task.

use crate::bindings;
use core::{num::NonZeroUsize, ptr::NonNull};
use kernel::current;

/// Names a task that is there, and is compared only.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TaskName(NonZeroUsize);

impl TaskName {
    /// The current task's.
    pub fn current() -> Self {
        Self(NonNull::from(&*current!()).addr())
    }
}

/// The length of a task's name, with the 0 at its end.
pub const COMM_LEN: usize = bindings::TASK_COMM_LEN as usize;

/// The name of the current process's leader, padded with zeroes.
pub fn comm() -> [u8; COMM_LEN] {
    let mut comm = [0; COMM_LEN];

    // SAFETY: There is room for a name.
    unsafe { bindings::sva_comm(comm.as_mut_ptr().cast()) };
    comm
}
