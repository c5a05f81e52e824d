// SPDX-License-Identifier: GPL-2.0

//! The C library, as far as Rust's own does not offer it. All `unsafe` of the program is here.
//!
//! Memory that a device may write at any time is only ever seen as atomics.

use std::{
    ffi::{c_int, c_long, c_ulong, c_void},
    fs::File,
    io::{Error, Result},
    os::fd::{AsRawFd, FromRawFd},
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
    fn mincore(addr: *mut c_void, len: usize, pages: *mut u8) -> c_int;
    fn ioctl(fd: c_int, request: c_ulong, ...) -> c_int;
    fn fork() -> c_int;
    fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int;
    fn kill(pid: c_int, signal: c_int) -> c_int;
    fn pipe(fds: *mut c_int) -> c_int;
    fn _exit(status: c_int) -> !;
}

const PROT_READ: c_int = 1;
const PROT_READ_WRITE: c_int = 1 | 2;
const MAP_PRIVATE: c_int = 0x02;
const MAP_ANONYMOUS: c_int = 0x20;
const SIGKILL: c_int = 9;

/// The page size that the counts of this program are in.
pub const PAGE: usize = 4096;

fn check(result: c_int) -> Result<c_int> {
    if result < 0 {
        Err(Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// Memory of the process, which devices may read and write.
pub struct Mapping {
    start: NonNull<AtomicU64>,
    len: usize,
}

impl Mapping {
    /// `len` bytes that nobody has touched. `len` is a multiple of the page size.
    pub fn new(len: usize) -> Result<Self> {
        Self::map(len, PROT_READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1)
    }

    /// Memory that may only be read.
    pub fn read_only(len: usize) -> Result<ReadOnly> {
        Self::map(len, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1).map(ReadOnly)
    }

    /// A private mapping of the first `len` bytes of `file`.
    pub fn of_file(file: &File, len: usize) -> Result<Self> {
        Self::map(len, PROT_READ_WRITE, MAP_PRIVATE, file.as_raw_fd())
    }

    fn map(len: usize, access: c_int, flags: c_int, fd: c_int) -> Result<Self> {
        // SAFETY: Asks for memory where nothing is yet.
        let start = unsafe { mmap(std::ptr::null_mut(), len, access, flags, fd, 0) };

        if start.addr() == usize::MAX {
            return Err(Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or_else(Error::last_os_error)?;

        Ok(Self { start, len })
    }

    /// The address, as a device is told.
    pub fn addr(&self) -> u64 {
        self.start.as_ptr().expose_provenance() as u64
    }

    /// The memory as numbers.
    pub fn words(&self) -> &[AtomicU64] {
        // SAFETY: The memory is mapped for reading and writing as long as `self` lives, aligned to
        // a page, and only accessed atomically.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len / 8) }
    }

    /// How many pages are in memory.
    pub fn resident(&self) -> Result<usize> {
        let mut pages = vec![0u8; self.len / PAGE];

        // SAFETY: Writes a byte for each page of the mapping.
        check(unsafe { mincore(self.start.as_ptr().cast(), self.len, pages.as_mut_ptr()) })?;
        Ok(pages.iter().filter(|&&page| page & 1 != 0).count())
    }
}

/// A mapping of which nothing can be written, nor is lent out.
pub struct ReadOnly(Mapping);

impl ReadOnly {
    /// The address, as a device is told.
    pub fn addr(&self) -> u64 {
        self.0.addr()
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: The mapping is ours, and no reference into it is left.
        unsafe { munmap(self.start.as_ptr().cast(), self.len) };
    }
}

/// A type that the kernel may fill with any bytes.
///
/// # Safety
///
/// Made of integers only, without padding, in the layout that the ioctl wants.
pub unsafe trait IoctlArg {}

/// Calls ioctl(2).
///
/// A `request` whose argument is larger than `T` is refused here.
pub fn control<T: IoctlArg>(file: &File, request: u32, arg: &mut T) -> Result<()> {
    assert_eq!(((request >> 16) & 0x3fff) as usize, size_of::<T>());
    // SAFETY: The request, which tells the size itself, reads and writes `arg` only.
    check(unsafe { ioctl(file.as_raw_fd(), request.into(), std::ptr::from_mut(arg)) }).map(drop)
}

/// A child process, killed and waited for when dropped.
pub struct Child {
    pid: c_int,
}

impl Child {
    /// Kills the process.
    pub fn kill(&self) -> Result<()> {
        // SAFETY: The process is a child that has not been waited for.
        check(unsafe { kill(self.pid, SIGKILL) }).map(drop)
    }

    /// Waits for the end of the process: whether it left with status 0.
    pub fn wait(self) -> Result<bool> {
        let status = self.reap()?;

        std::mem::forget(self);
        Ok(status == 0)
    }

    /// The number of the process.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    fn reap(&self) -> Result<c_int> {
        let mut status = 0;

        // SAFETY: Writes the status.
        check(unsafe { waitpid(self.pid, &mut status, 0) })?;
        Ok(status)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.kill();
        let _ = self.reap();
    }
}

/// Runs `main` in a child process that is a copy of this one.
pub fn spawn(main: impl FnOnce() -> bool) -> Result<Child> {
    // SAFETY: This process has one thread, so the child finds all locks free.
    match check(unsafe { fork() })? {
        0 => {
            let good = main();

            // SAFETY: Ends the process; what the parent has to clean up stays the parent's.
            unsafe { _exit(c_int::from(!good)) }
        }
        pid => Ok(Child { pid }),
    }
}

/// A pipe: the end to read from, and the end to write to.
pub fn make_pipe() -> Result<(File, File)> {
    let mut fds = [0; 2];

    // SAFETY: Writes two descriptors.
    check(unsafe { pipe(fds.as_mut_ptr()) })?;
    // SAFETY: Both are open, and ours.
    Ok(unsafe { (File::from_raw_fd(fds[0]), File::from_raw_fd(fds[1])) })
}
