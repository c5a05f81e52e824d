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
//! Without `CONFIG_FAULT_INJECTION_DEBUG_FS` nothing does, and there are no directories.

use kernel::{
    prelude::*,
    sync::Arc,
    time::{
        delay::fsleep,
        Delta,
        Instant,
        Monotonic, //
    }, //
};
#[cfg(CONFIG_FAULT_INJECTION_DEBUG_FS)]
use kernel_ext::fault_attr::FaultAttr;

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

/// The faults of an instance, with their directories.
pub struct Faults {
    #[cfg(CONFIG_FAULT_INJECTION_DEBUG_FS)]
    points: [Pin<KBox<FaultAttr>>; 5],
}

impl Faults {
    /// Makes the directories in that of `instance`, which must be there. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOENT` without that directory; `ENOMEM`.
    #[cfg(CONFIG_FAULT_INJECTION_DEBUG_FS)]
    pub fn new(instance: &CStr) -> Result<Arc<Self>> {
        let point = |name| {
            let attr = FaultAttr::new(crate::debugfs::TOP, instance, name);
            KBox::pin_init(attr, GFP_KERNEL)
        };
        // In the order of `Fault`.
        let points = [
            point(c"fail_queue_full")?,
            point(c"fail_response_drop")?,
            point(c"fail_response_slow")?,
            point(c"fail_invalidate")?,
            point(c"fail_alloc")?,
        ];
        Ok(Arc::new(Self { points }, GFP_KERNEL)?)
    }

    /// Nothing to make.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    #[cfg(not(CONFIG_FAULT_INJECTION_DEBUG_FS))]
    pub fn new(_instance: &CStr) -> Result<Arc<Self>> {
        Ok(Arc::new(Self {}, GFP_KERNEL)?)
    }

    /// Whether to do wrong this time. Any context.
    #[cfg(CONFIG_FAULT_INJECTION_DEBUG_FS)]
    pub fn strikes(&self, fault: Fault) -> bool {
        self.points[fault as usize].should_fail()
    }

    /// Never.
    #[cfg(not(CONFIG_FAULT_INJECTION_DEBUG_FS))]
    pub fn strikes(&self, _fault: Fault) -> bool {
        false
    }
}
