// SPDX-License-Identifier: GPL-2.0

//! Isolation: a device that has too many errors of its own gets no more work.

use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex, //
    },
    time::{
        Delta,
        Instant,
        Monotonic, //
    }, //
};

/// Errors that lie back further do not count.
const WINDOW: Delta = Delta::from_secs(3600);

/// When there were errors, the oldest first.
///
/// # Invariants
///
/// There are at most `threshold`, and there is room for so many.
struct Errors {
    threshold: u32,
    times: KVVec<Instant<Monotonic>>,
}

/// The errors of a device.
#[pin_data]
pub(crate) struct Isolation {
    isolated: Atomic<bool>,
    #[pin]
    errors: Mutex<Errors>,
}

impl Isolation {
    /// Of a device that may have any number of errors. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new() -> Result<Arc<Self>> {
        // INVARIANT: None are allowed, and none there.
        let errors = Errors {
            threshold: 0,
            times: KVVec::new(),
        };

        Arc::pin_init(
            pin_init!(Self {
                isolated: Atomic::new(false),
                errors <- new_mutex!(errors, "mock_uacce_errors"),
            }),
            GFP_KERNEL,
        )
    }

    /// Whether the device is isolated. It stays so until it gets a driver anew.
    pub(crate) fn isolated(&self) -> bool {
        self.isolated.load(Relaxed)
    }

    /// Fails if the device is isolated.
    ///
    /// # Errors
    ///
    /// `EIO`.
    pub(crate) fn check(&self) -> Result {
        if self.isolated() {
            return Err(EIO);
        }
        Ok(())
    }

    /// How many errors the device may have within an hour; 0 is any number. May sleep.
    pub(crate) fn threshold(&self) -> u32 {
        self.errors.lock().threshold
    }

    /// Sets that, and forgets the errors there were. May sleep.
    ///
    /// # Errors
    ///
    /// `EPERM` if the device is isolated; `ENOMEM`.
    pub(crate) fn set_threshold(&self, threshold: u32) -> Result {
        let times = KVVec::with_capacity(threshold as usize, GFP_KERNEL)?;
        let mut errors = self.errors.lock();

        if self.isolated() {
            return Err(EPERM);
        }
        // INVARIANT: None are there, and the room was just made.
        *errors = Errors { threshold, times };
        Ok(())
    }

    /// The device had an error at `now`. Gives whether that was one too many. May sleep.
    pub(crate) fn error(&self, now: Instant<Monotonic>) -> bool {
        let mut errors = self.errors.lock();

        if errors.threshold == 0 || self.isolated() {
            return false;
        }
        errors.times.retain(|&mut time| now - time <= WINDOW);
        // INVARIANT: Full vectors stay as they are.
        let too_many = errors.times.len() >= errors.threshold as usize
            || errors.times.push_within_capacity(now).is_err();

        if too_many {
            self.isolated.store(true, Relaxed);
        }
        too_many
    }
}

#[kunit_tests(mock_uacce_isolation)]
mod tests {
    use super::*;

    fn after(start: Instant<Monotonic>, seconds: i64) -> Instant<Monotonic> {
        start + Delta::from_secs(seconds)
    }

    #[test]
    fn uacce_isolate_above_the_threshold() -> Result {
        let (device, now) = (Isolation::new()?, Instant::now());

        device.set_threshold(2)?;
        for (seconds, expect) in [(0, false), (10, false), (20, true), (30, false)] {
            assert_eq!(device.error(after(now, seconds)), expect);
            assert_eq!(device.isolated(), seconds >= 20);
        }
        // For good.
        assert_eq!(device.check(), Err(EIO));
        assert_eq!(device.set_threshold(5), Err(EPERM));
        assert_eq!(device.threshold(), 2);
        Ok(())
    }

    #[test]
    fn uacce_isolate_within_an_hour() -> Result {
        let (device, now) = (Isolation::new()?, Instant::now());

        device.set_threshold(2)?;
        for hour in 0..10 {
            for seconds in [0, 1800] {
                assert!(!device.error(after(now, 3601 * hour + seconds)));
            }
        }
        // The second of the last hour, and this one.
        assert!(!device.error(after(now, 3601 * 10)));
        assert!(device.error(after(now, 3601 * 10 + 1)));
        Ok(())
    }

    #[test]
    fn uacce_isolate_only_on_request() -> Result {
        let (device, now) = (Isolation::new()?, Instant::now());

        assert_eq!(device.threshold(), 0);
        for _ in 0..1000 {
            assert!(!device.error(now));
        }
        assert_eq!(device.check(), Ok(()));
        // A new threshold begins anew.
        device.set_threshold(1)?;
        assert!(!device.error(now));
        device.set_threshold(1)?;
        assert!(!device.error(now));
        device.set_threshold(0)?;
        assert!(!device.error(now) && !device.error(now));
        Ok(())
    }
}
