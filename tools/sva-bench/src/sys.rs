// SPDX-License-Identifier: GPL-2.0

//! The counter, and memory that nobody has touched. All `unsafe` of the program is here.

use std::{
    ffi::{c_int, c_long, c_void},
    fs::File,
    hint::black_box,
    io::{Read, Write},
    os::fd::{AsRawFd, FromRawFd},
    process,
    ptr::NonNull,
    slice,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
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
    fn mprotect(addr: *mut c_void, len: usize, prot: c_int) -> c_int;
    fn fork() -> c_int;
    fn pipe(fds: *mut c_int) -> c_int;
    fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int;
}

const PROT_READ: c_int = 1;
const MADV_DONTNEED: c_int = 4;

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

    /// Pages of `file`, for reading.
    pub fn of(file: &File, pages: usize) -> Option<Self> {
        let len = pages * PAGE;
        let (flags, fd) = (MAP_PRIVATE, file.as_raw_fd());
        // SAFETY: Asks for memory where nothing is yet.
        let start = unsafe { mmap(std::ptr::null_mut(), len, PROT_READ, flags, fd, 0) };

        if start.addr() == usize::MAX {
            return None;
        }
        Some(Self {
            start: NonNull::new(start.cast())?,
            len,
        })
    }

    /// Where a page is.
    pub fn address(&self, page: usize) -> usize {
        self.start.addr().get() + page * PAGE
    }

    /// Writes to each page.
    pub fn touch(&self) {
        self.sweep(true);
    }

    /// Writes to each page in turn, or reads it.
    pub fn sweep(&self, write: bool) {
        for word in self.words().iter().step_by(PAGE / 8) {
            if write {
                word.store(1, Relaxed);
            } else {
                black_box(word.load(Relaxed));
            }
        }
    }

    fn page(&self, page: usize) -> *mut c_void {
        assert!((page + 1) * PAGE <= self.len);
        self.start.as_ptr().wrapping_byte_add(page * PAGE).cast()
    }

    /// Lets nobody write to a page any more.
    pub fn protect(&self, page: usize) -> bool {
        // SAFETY: The page is ours. Who writes to it all the same is ended.
        unsafe { mprotect(self.page(page), PAGE, PROT_READ) == 0 }
    }

    /// Empties a page.
    pub fn forget(&self, page: usize) -> bool {
        // SAFETY: The page is ours, and its words may have any value.
        unsafe { madvise(self.page(page), PAGE, MADV_DONTNEED) == 0 }
    }

    /// Takes a page away, for good: who uses it all the same is ended.
    pub fn unmap(&self, page: usize) -> bool {
        // SAFETY: The page is ours; nothing else is mapped meanwhile where it was, and `drop` may
        // unmap what is not there.
        unsafe { munmap(self.page(page), PAGE) == 0 }
    }

    /// Has all pages there, for writing; whether the kernel can.
    pub fn populate(&self) -> bool {
        // SAFETY: The range is ours; what is in it does not change.
        unsafe { madvise(self.start.as_ptr().cast(), self.len, MADV_POPULATE_WRITE) == 0 }
    }

    /// The memory as numbers.
    pub fn words(&self) -> &[AtomicU64] {
        // SAFETY: The memory is mapped as long as `self` lives, aligned to a page, and only accessed
        // atomically. Who accesses what it may not, or what was unmapped, is ended.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len / 8) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: The mapping is ours, and no reference into it is left.
        unsafe { munmap(self.start.as_ptr().cast(), self.len) };
    }
}

/// What measuring nothing costs.
pub fn nothing() -> u64 {
    let samples = (0..101).map(|_| {
        let begin = now();

        now() - begin
    });
    crate::median(samples.collect())
}

/// A bond of this process, as the benchmark's module makes it.
pub struct Bond(Option<File>);

impl Bond {
    /// No bond.
    pub fn none() -> Self {
        Self(None)
    }

    /// Whether there is none.
    pub fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// To so many devices of `hardware`, by the implementation `side`.
    pub fn new(side: &str, hardware: &str, devices: usize) -> Option<Self> {
        let file = File::options()
            .write(true)
            .open("/sys/kernel/debug/sva_bench/hold")
            .ok()?;
        let bond = Self(Some(file));

        bond.ask(&format!("bind {side} {hardware} {devices}"))
            .then_some(bond)
    }

    fn ask(&self, words: &str) -> bool {
        let mut file = self.0.as_ref();

        file.as_mut()
            .is_none_or(|file| file.write_all(words.as_bytes()).is_ok())
    }

    /// Each device reads a word at `address`.
    pub fn touch(&self, address: usize) -> bool {
        self.ask(&format!("touch {address:x}"))
    }

    /// Each device goes through `pages` pages from `address` on.
    pub fn sweep(&self, address: usize, pages: usize, write: bool) -> bool {
        let how = if write { "write" } else { "read" };

        self.ask(&format!("{how} {address:x} {pages}"))
    }
}

/// A pipe: where to read, and where to write.
fn channel() -> Option<(File, File)> {
    let mut fds = [0; 2];

    // SAFETY: There is room for two.
    if unsafe { pipe(fds.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: Both are new, and nobody else's.
    Some(unsafe { (File::from_raw_fd(fds[0]), File::from_raw_fd(fds[1])) })
}

/// Waits for a child's end; whether it was well.
fn join(pid: c_int) -> bool {
    let mut status = 0;
    // SAFETY: `status` is ours.
    unsafe { waitpid(pid, &mut status, 0) == pid && status == 0 }
}

/// A child that shares this process's memory as it was, until it is dropped.
pub struct Child {
    pid: c_int,
    end: Option<File>,
}

impl Child {
    /// Makes one.
    pub fn new() -> Option<Self> {
        let (mut there, end) = channel()?;
        // SAFETY: This process has one thread.
        let pid = unsafe { fork() };

        if pid == 0 {
            drop(end);
            // Until the parent closes its end.
            let _ = there.read(&mut [0]);
            process::exit(0);
        }
        (pid > 0).then_some(Self {
            pid,
            end: Some(end),
        })
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        drop(self.end.take());
        join(self.pid);
    }
}

/// Does `work` in a process of its own; gives its number.
pub fn apart_with(work: impl FnOnce() -> Option<u64>) -> Option<u64> {
    let (mut end, mut there) = channel()?;
    // SAFETY: This process has one thread.
    let pid = unsafe { fork() };

    if pid == 0 {
        drop(end);
        let done = work().and_then(|value| there.write_all(&value.to_ne_bytes()).ok());
        process::exit(i32::from(done.is_none()));
    }
    drop(there);
    if pid < 0 || !join(pid) {
        return None;
    }
    let mut value = [0; 8];
    end.read_exact(&mut value).ok()?;
    Some(u64::from_ne_bytes(value))
}

/// Does `work` in a process of its own.
pub fn apart(work: impl FnOnce() -> Option<()>) -> Option<()> {
    apart_with(|| work().map(|()| 0)).map(drop)
}
