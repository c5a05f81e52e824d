// SPDX-License-Identifier: GPL-2.0

//! Address spaces for KUnit tests, which run in kernel threads.

use crate::bindings;
use core::ptr::NonNull;
use kernel::{
    error::from_err_ptr,
    mm::MmWithUser,
    page::PAGE_SIZE,
    prelude::*,
    types::NotThreadSafe,
    uaccess::{
        UserPtr,
        UserSlice, //
    },
};

/// How memory of a [`TestMm`] may be accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Reads only.
    Read,
    /// Reads and writes.
    ReadWrite,
}

/// An address space that the current kernel thread uses, as a process would.
///
/// Dropping it is the exit of that process: all its pages go, unless somebody else holds a user of
/// the address space.
///
/// # Invariants
///
/// `mm` is the current thread's, by `kthread_use_mm()`, and this object owns one user of it.
pub struct TestMm {
    mm: NonNull<bindings::mm_struct>,
    _not_send: NotThreadSafe,
}

impl TestMm {
    /// Makes an empty address space for the current thread. May sleep.
    ///
    /// # Errors
    ///
    /// `EBUSY` if the current task has an address space; `EINVAL` if it is no kernel thread;
    /// `ENOMEM`.
    pub fn new() -> Result<Self> {
        // SAFETY: May be called by any task.
        let mm = from_err_ptr(unsafe { bindings::sva_test_mm_enter() })?;
        Ok(Self {
            // INVARIANT: The helper made the address space, with one user, and uses it.
            mm: NonNull::new(mm).ok_or(ENOMEM)?,
            _not_send: NotThreadSafe,
        })
    }

    /// The address space.
    pub fn mm(&self) -> &MmWithUser {
        // SAFETY: By the type invariant there is a user as long as `self` lives.
        unsafe { MmWithUser::from_raw(self.mm.as_ptr()) }
    }

    /// Maps `pages` pages of anonymous memory, none of them present. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn map(&self, pages: usize, protection: Protection) -> Result<usize> {
        // SAFETY: By the type invariant the current address space is this one; where an anonymous
        // mapping goes is the kernel's choice, so it replaces nothing.
        let addr = unsafe {
            bindings::sva_test_mmap(0, pages * PAGE_SIZE, protection == Protection::ReadWrite)
        };
        // An error is one of the last addresses.
        if addr > usize::MAX - bindings::MAX_ERRNO as usize {
            return Err(ENOMEM);
        }
        Ok(addr)
    }

    /// Maps `pages` pages of anonymous memory at `addr`, readable and writable. May sleep.
    ///
    /// # Errors
    ///
    /// `EEXIST` if something is mapped there; `ENOMEM`.
    pub fn map_at(&self, addr: usize, pages: usize) -> Result {
        // SAFETY: As for `map`; nothing is replaced here either.
        let mapped = unsafe { bindings::sva_test_mmap(addr, pages * PAGE_SIZE, true) };
        if mapped == addr {
            return Ok(());
        }
        Err(EEXIST)
    }

    /// Unmaps `pages` pages at `addr`. May sleep.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the address is not one of a page; `ENOMEM`.
    pub fn unmap(&self, addr: usize, pages: usize) -> Result {
        // SAFETY: By the type invariant the current address space is this one, and no reference to
        // its memory exists outside user access functions.
        kernel::error::to_result(unsafe { bindings::vm_munmap(addr, pages * PAGE_SIZE) })
    }

    /// Writes `data` at `addr`, as the process would. May sleep.
    ///
    /// # Errors
    ///
    /// `EFAULT`.
    pub fn write(&self, addr: usize, data: &[u8]) -> Result {
        UserSlice::new(UserPtr::from_addr(addr), data.len())
            .writer()
            .write_slice(data)
    }

    /// Reads `data.len()` bytes at `addr`, as the process would. May sleep.
    ///
    /// # Errors
    ///
    /// `EFAULT`.
    pub fn read(&self, addr: usize, data: &mut [u8]) -> Result {
        UserSlice::new(UserPtr::from_addr(addr), data.len())
            .reader()
            .read_slice(data)
    }
}

impl Drop for TestMm {
    fn drop(&mut self) {
        // SAFETY: By the type invariants this thread uses the address space, and owns a user.
        unsafe { bindings::sva_test_mm_leave(self.mm.as_ptr()) };
    }
}

/// An empty address space that no task uses: for tests that need one more process.
///
/// Dropping it is the exit of that process, as for [`TestMm`].
///
/// # Invariants
///
/// `mm` is an address space of which this object owns one user.
pub struct IdleMm {
    mm: NonNull<bindings::mm_struct>,
}

impl IdleMm {
    /// Makes one. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new() -> Result<Self> {
        // SAFETY: May be called by any task.
        let mm = from_err_ptr(unsafe { bindings::sva_test_mm_alloc() })?;
        Ok(Self {
            // INVARIANT: The helper made the address space, with one user.
            mm: NonNull::new(mm).ok_or(ENOMEM)?,
        })
    }

    /// The address space.
    pub fn mm(&self) -> &MmWithUser {
        // SAFETY: By the type invariant there is a user as long as `self` lives.
        unsafe { MmWithUser::from_raw(self.mm.as_ptr()) }
    }
}

impl Drop for IdleMm {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the user is ours.
        unsafe { bindings::mmput(self.mm.as_ptr()) };
    }
}
