// SPDX-License-Identifier: GPL-2.0

//! Physically contiguous memory that the CPU shares with a coherent device: tables and queues.

use crate::bindings;
use core::{
    ops::Deref,
    ptr::NonNull, //
};
use kernel::{
    prelude::*,
    sync::atomic::Atomic, //
};

/// Zeroed, physically contiguous memory, as an array of 64-bit words.
///
/// Each word is read and written in a single copy, so that a device which fetches it meanwhile sees
/// the old or the new value. Barriers between words are the user's.
///
/// # Invariants
///
/// `addr` points at `bytes` bytes from `alloc_pages_exact()`, aligned to `bytes` rounded up to a
/// power of two, and to a page; `words` 64-bit words fit in there.
pub struct Contiguous {
    addr: NonNull<Atomic<u64>>,
    words: usize,
    bytes: usize,
}

// SAFETY: This owns its memory, which any thread may free.
unsafe impl Send for Contiguous {}

// SAFETY: The memory is reachable as atomics only.
unsafe impl Sync for Contiguous {}

impl Contiguous {
    /// Allocates `words` words of zeroes. May sleep.
    ///
    /// # Errors
    ///
    /// `EINVAL` for no words; `ENOMEM`.
    pub fn new(words: usize) -> Result<Self> {
        let bytes = words.checked_mul(size_of::<u64>()).ok_or(EINVAL)?;
        if bytes == 0 {
            return Err(EINVAL);
        }
        // SAFETY: No preconditions but that it may sleep.
        let addr = unsafe {
            bindings::alloc_pages_exact_noprof(bytes, bindings::GFP_KERNEL | bindings::__GFP_ZERO)
        };
        Ok(Self {
            // INVARIANT: Allocated with that size, zeroed, in pages of an order that fits the size,
            // which are aligned to their size.
            addr: NonNull::new(addr.cast()).ok_or(ENOMEM)?,
            words,
            bytes,
        })
    }

    /// Physical address of the first word.
    pub fn phys(&self) -> u64 {
        // SAFETY: By the type invariant the address is one of the linear map.
        unsafe { bindings::sva_virt_to_phys(self.addr.as_ptr().cast()) }
    }

    /// Its size in bytes.
    pub fn bytes(&self) -> usize {
        self.words * size_of::<u64>()
    }
}

impl Deref for Contiguous {
    type Target = [Atomic<u64>];

    fn deref(&self) -> &[Atomic<u64>] {
        // SAFETY: By the type invariant the memory is that large, aligned and initialised, and it
        // lives as long as `self`. `Atomic<u64>` is a transparent wrapper that allows shared writes.
        unsafe { core::slice::from_raw_parts(self.addr.as_ptr(), self.words) }
    }
}

impl Drop for Contiguous {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this is what `alloc_pages_exact()` gave for that size.
        unsafe { bindings::free_pages_exact(self.addr.as_ptr().cast(), self.bytes) };
    }
}
