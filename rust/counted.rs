// SPDX-License-Identifier: GPL-2.0

//! Counts of users that are found by what is counted, and changed without anybody's lock.
//!
//! A [`Counted`] is found by its [`Key`], or by its device and number, as long as it is linked.
//! Each lookup takes the lock of one short chain of a hash table, and nothing else.

use crate::bindings;
use kernel::{device::Device, mm::Mm, prelude::*, types::Opaque};

/// Who may count: users whose keys are equal in all parts.
pub struct Key(bindings::sva_counted_key);

// SAFETY: The pointer in a key names an address space; it is followed only under the contract of
// `try_get`, whose caller holds a reference.
unsafe impl Send for Key {}
// SAFETY: As above.
unsafe impl Sync for Key {}

impl Key {
    /// The key of `owner`'s use of `mm` by `device`, with `flags` of the user's own. `device` is
    /// only compared.
    pub fn new(device: *const Device, mm: &Mm, owner: usize, flags: u32) -> Self {
        Self(bindings::sva_counted_key {
            device: device.addr(),
            owner,
            mm: mm.as_raw(),
            flags,
        })
    }
}

/// A count of users.
///
/// # Invariants
///
/// `inner` is in the tables, or in none of them. While it is there its count is at least 1, and
/// neither key nor number change at any time.
#[pin_data(PinnedDrop)]
pub struct Counted {
    #[pin]
    inner: Opaque<bindings::sva_counted>,
}

// SAFETY: The tables have locks, and the count is atomic.
unsafe impl Send for Counted {}
// SAFETY: As above.
unsafe impl Sync for Counted {}

impl Counted {
    /// A count of `users`, which is not linked.
    pub fn new(key: Key, number: u32, users: i32) -> impl PinInit<Self> {
        // INVARIANT: In no table.
        pin_init!(Self {
            inner: Opaque::new(bindings::sva_counted {
                key: key.0,
                number,
                users: bindings::atomic_t { counter: users },
                ..pin_init::zeroed()
            }),
        })
    }

    /// Lets it be found. Nothing happens if it can be, or if it has no users.
    pub fn link(&self) {
        if self.users() > 0 {
            // SAFETY: `inner` is valid, and pinned, since only an initialiser makes it. It is taken
            // out of the tables before it is dropped.
            unsafe { bindings::sva_counted_link(self.inner.get()) };
        }
    }

    /// Lets it not be found any more: when this returns, nobody changes the count by finding it.
    pub fn unlink(&self) {
        // SAFETY: `inner` is valid, and in all tables or in none.
        unsafe { bindings::sva_counted_unlink(self.inner.get()) };
    }

    /// Counts one more user.
    pub fn inc(&self) {
        // SAFETY: `inner` is valid.
        unsafe { bindings::sva_counted_inc(self.inner.get()) };
    }

    /// Takes it out of the tables, and counts one user less. How many are left.
    pub fn unlink_and_dec(&self) -> usize {
        self.unlink();
        // SAFETY: `inner` is valid; it is in no table, so that its count may become 0.
        let left = unsafe { bindings::sva_counted_dec(self.inner.get()) };

        usize::try_from(left).unwrap_or(0)
    }

    /// How many users there are.
    pub fn users(&self) -> usize {
        // SAFETY: `inner` is valid.
        usize::try_from(unsafe { bindings::sva_counted_users(self.inner.get()) }).unwrap_or(0)
    }
}

#[pinned_drop]
impl PinnedDrop for Counted {
    fn drop(self: Pin<&mut Self>) {
        self.unlink();
    }
}

/// Counts one more user of what is linked with `key`; its number. Any context.
///
/// `None` if there is nothing, or if the process behind the address space has exited.
///
/// # Safety
///
/// `key` must be made from an [`Mm`] that still lives.
#[inline]
pub unsafe fn try_get(key: &Key) -> Option<u32> {
    let mut number = 0;

    // SAFETY: By this function's contract the address space is valid; what the tables hold is.
    unsafe { bindings::sva_counted_get(&key.0, &mut number) }.then_some(number)
}

/// Counts one user less of what is linked as `number` of `device`, unless it is the last one:
/// whether it did. Any context. `device` is only compared.
#[inline]
pub fn try_put(device: *const Device, number: u32) -> bool {
    // SAFETY: What the tables hold is valid.
    unsafe { bindings::sva_counted_put(device.addr(), number) }
}
