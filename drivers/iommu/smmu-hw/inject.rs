// SPDX-License-Identifier: GPL-2.0

//! What an instance does wrong on request, by the kernel's fault injection:
//! `/sys/kernel/debug/mock_smmu/<instance>/fail_*`.
//!
//! | directory | what happens |
//! |---|---|
//! | `fail_queue_full` | the event or page request queue is full, though it is not |
//! | `fail_response_drop` | the response to a page request group, or to a stall, is lost |
//! | `fail_response_slow` | it reaches the device 100 ms late |
//! | `fail_invalidate` | an invalidation command is lost, though it seems complete |
//! | `fail_alloc` | an address space, or the attachment of one, gets no memory |
//!
//! Without `CONFIG_FAULT_INJECTION_DEBUG_FS` nothing does, and there are no directories. Both halves
//! ask [`Faults`]; what makes the directories tells them whom.

use kernel::{
    time::{
        delay::fsleep,
        Delta,
        Instant,
        Monotonic, //
    }, //
};

/// How late a slow response is.
pub const SLOW: Delta = Delta::from_millis(100);

/// Waits for [`SLOW`] by the clock. Timers count ticks, and on a busy machine one may be late.
pub fn be_slow() {
    let begin = Instant::<Monotonic>::now();

    loop {
        let left = SLOW - begin.elapsed();
        if left.is_negative() || left.is_zero() {
            return;
        }
        fsleep(left);
    }
}

/// What can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A queue that the hardware writes is full.
    QueueFull,
    /// A response to page requests or to a stalled transaction is lost.
    ResponseDrop,
    /// A response is late, by [`SLOW`].
    ResponseSlow,
    /// An invalidation command has no effect.
    Invalidate,
    /// There is no memory.
    Alloc,
}

/// What decides whether something goes wrong.
pub trait Faults: Send + Sync {
    /// Whether to do wrong this time. Any context.
    fn strikes(&self, fault: Fault) -> bool;
}
