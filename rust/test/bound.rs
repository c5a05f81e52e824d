// SPDX-License-Identifier: GPL-2.0

//! A device that is known to have a driver, as drivers' own callbacks have it.

use crate::bindings;
use kernel::device::{
    Bound,
    Device, //
};
use kernel_ext::device_raw;

/// Calls `f` with a device that has a driver, which it keeps meanwhile; `None` if it has none.
/// May sleep; takes the device's lock.
pub fn with_bound<R>(dev: &Device, f: impl FnOnce(&Device<Bound>) -> R) -> Option<R> {
    let raw = device_raw(dev);

    // SAFETY: The device is live, since it is borrowed.
    unsafe { bindings::sva_device_lock(raw) };
    // SAFETY: As above; the lock protects the field, and whoever binds or unbinds holds it.
    let result = if unsafe { (*raw).driver }.is_null() {
        None
    } else {
        // SAFETY: The device has a driver, which cannot leave it before the unlock.
        Some(f(unsafe { dev.as_bound() }))
    };
    // SAFETY: Locked above.
    unsafe { bindings::sva_device_unlock(raw) };
    result
}
