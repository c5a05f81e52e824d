// SPDX-License-Identifier: GPL-2.0

//! Waiting for what another thread does.

use kernel::time::{
    delay::fsleep,
    Delta, //
};

/// Waits until `condition` holds; `false` if it does not for half a minute, which is more than a
/// guest on a busy machine needs for anything. May sleep.
pub fn wait_until(condition: impl Fn() -> bool) -> bool {
    for _ in 0..30_000 {
        if condition() {
            return true;
        }
        fsleep(Delta::from_millis(1));
    }
    false
}
