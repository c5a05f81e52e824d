// SPDX-License-Identifier: GPL-2.0

//! The counter, and memory that nobody has touched. All `unsafe` of the program is here.

use std::{
    ffi::{c_int, c_long, c_void},
    ptr::NonNull,
    slice,
    sync::atomic::AtomicU64,
};

extern "C" {
    fn mmap(
        addr: *mut c_void,
        len: usize,
        prot: c_int,
        flags: c_int,
        fd: c_int,
        offset: c_long,
    ) -> *mut c_void;
    fn munmap(addr: *mut c_void, len: usize) -> c_int;
    fn madvise(addr: *mut c_void, len: usize, advice: c_int) -> c_int;
}

const PROT_READ_WRITE: c_int = 1 | 2;
const MAP_PRIVATE: c_int = 0x02;
const MAP_ANONYMOUS: c_int = 0x20;
const MADV_NOHUGEPAGE: c_int = 15;
const MADV_POPULATE_WRITE: c_int = 23;

/// The size of a page in the guest.
pub const PAGE: usize = 4096;

/// The counter that all CPUs share. In a guest whose clock counts instructions: those so far.
#[cfg(target_arch = "aarch64")]
pub fn now() -> u64 {
    let value;

    // SAFETY: Reads a register that the kernel lets programs read.
    unsafe { std::arch::asm!("isb", "mrs {}, cntvct_el0", "isb", out(reg) value) };
    value
}

/// Elsewhere this program is only checked.
#[cfg(not(target_arch = "aarch64"))]
pub fn now() -> u64 {
    0
}

/// Memory of the process, in small pages.
pub struct Mapping {
    start: NonNull<AtomicU64>,
    len: usize,
}

impl Mapping {
    /// Pages that nobody has touched.
    pub fn new(pages: usize) -> Option<Self> {
        let len = pages * PAGE;
        let flags = MAP_PRIVATE | MAP_ANONYMOUS;
        // SAFETY: Asks for memory where nothing is yet.
        let start = unsafe { mmap(std::ptr::null_mut(), len, PROT_READ_WRITE, flags, -1, 0) };

        if start.addr() == usize::MAX {
            return None;
        }
        // SAFETY: The range was just mapped. A kernel without huge pages refuses, which is fine.
        unsafe { madvise(start, len, MADV_NOHUGEPAGE) };
        Some(Self {
            start: NonNull::new(start.cast())?,
            len,
        })
    }

    /// Has all pages there, for writing; whether the kernel can.
    pub fn populate(&self) -> bool {
        // SAFETY: The range is ours; what is in it does not change.
        unsafe { madvise(self.start.as_ptr().cast(), self.len, MADV_POPULATE_WRITE) == 0 }
    }

    /// The memory as numbers.
    pub fn words(&self) -> &[AtomicU64] {
        // SAFETY: The memory is mapped for reading and writing as long as `self` lives, aligned to
        // a page, and only accessed atomically.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len / 8) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: The mapping is ours, and no reference into it is left.
        unsafe { munmap(self.start.as_ptr().cast(), self.len) };
    }
}
