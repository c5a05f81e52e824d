// SPDX-License-Identifier: GPL-2.0

//! Interrupt lines: what the hardware raises, and one that threads wait for.

use kernel::{
    prelude::*,
    sync::{
        new_condvar,
        new_spinlock_irq,
        Arc,
        CondVar,
        SpinLockIrq, //
    }, //
};

/// An edge-triggered interrupt line, as the hardware sees it.
pub trait Raise: Send + Sync {
    /// Signals an edge. Called in any context, also with interrupts off.
    fn raise(&self);
}

struct LineState {
    raised: bool,
    closed: bool,
    count: u64,
}

/// A line whose edges one thread of a driver waits for.
/// Edges that come while nobody
/// waits are remembered as one.
#[pin_data]
pub struct Line {
    #[pin]
    state: SpinLockIrq<LineState>,
    #[pin]
    wake: CondVar,
}

impl Line {
    /// Makes an open line that is not raised. May sleep.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`].
    pub fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                state <- new_spinlock_irq!(
                    LineState { raised: false, closed: false, count: 0 },
                    "mock_smmu_line"
                ),
                wake <- new_condvar!("mock_smmu_line"),
            }),
            GFP_KERNEL,
        )
    }

    /// Waits for an edge and consumes it: `true`. Once the line is closed: `false`, at once and
    /// for ever, even if an edge is pending. Sleeps; for kernel threads, which get no signals.
    pub fn wait(&self) -> bool {
        let mut state = self.state.lock();
        loop {
            if state.closed {
                return false;
            }
            if core::mem::take(&mut state.raised) {
                return true;
            }
            // Interruptible, so that an idle interrupt thread is no hung task.
            let _ = self.wake.wait_interruptible(&mut state);
        }
    }

    /// Ends all waiting, now and later. Any context.
    pub fn close(&self) {
        self.state.lock().closed = true;
        self.wake.notify_all();
    }

    /// Consumes a pending edge, if there is one. Any context.
    pub fn take(&self) -> bool {
        core::mem::take(&mut self.state.lock().raised)
    }

    /// How often the line was raised. Any context.
    pub fn count(&self) -> u64 {
        self.state.lock().count
    }
}

impl Raise for Line {
    // Takes no lock that is ever held with interrupts on.
    fn raise(&self) {
        let mut state = self.state.lock();
        state.raised = true;
        state.count += 1;
        self.wake.notify_all();
    }
}

#[kunit_tests(smmu_line)]
mod tests {
    use super::*;
    use kernel::{
        time::{
            delay::fsleep,
            Delta, //
        },
        workqueue, //
    };

    #[test]
    fn edges_are_remembered_as_one() -> Result {
        let line = Line::new()?;
        assert!(!line.take());
        line.raise();
        line.raise();
        assert!(line.wait());
        assert!(!line.take());
        assert_eq!(line.count(), 2);
        Ok(())
    }

    #[test]
    fn close_ends_waiting() -> Result {
        let line = Line::new()?;
        line.raise();
        line.close();
        assert!(!line.wait());
        assert!(!line.wait());
        Ok(())
    }

    #[test]
    fn a_waiter_is_woken() -> Result {
        let line = Line::new()?;
        for close in [false, true] {
            let other = line.clone();
            workqueue::system_long().try_spawn(GFP_KERNEL, move || {
                fsleep(Delta::from_millis(2));
                if close {
                    other.close();
                } else {
                    other.raise();
                }
            })?;
            assert_eq!(line.wait(), !close);
        }
        Ok(())
    }
}
