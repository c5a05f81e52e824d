// SPDX-License-Identifier: GPL-2.0

//! Memory of a process, read and written by somebody else: pages that are there.

use crate::bindings;
use core::ptr::NonNull;
use kernel::{
    error::to_result,
    mm::MmWithUser,
    page::{PAGE_SHIFT, PAGE_SIZE},
    prelude::*,
};

/// A page of a process, kept for a moment. Dropping it may sleep, if it was for writing.
///
/// # Invariants
///
/// `page` has one pin (`FOLL_PIN`) that is ours: for writing, if `write`.
pub struct TouchedPage {
    page: NonNull<bindings::page>,
    write: bool,
}

impl TouchedPage {
    /// The page of `mm` that `addr`, without a tag, lies in, if it is there for reading or for
    /// writing. Does not wait; takes `mmap_lock`, if that is free.
    ///
    /// # Errors
    ///
    /// - `EAGAIN`: the mappings are just being changed.
    /// - `EFAULT`: the page is not there, or not for that.
    pub fn get(mm: &MmWithUser, addr: usize, write: bool) -> Result<Self> {
        let mut page = core::ptr::null_mut();

        // SAFETY: The address space has users while it is borrowed, and there is room for a pointer.
        to_result(unsafe { bindings::sva_pin_present(mm.as_raw(), addr, write, &mut page) })?;
        // INVARIANT: Just pinned.
        Ok(Self {
            page: NonNull::new(page).ok_or(EFAULT)?,
            write,
        })
    }

    /// Writes `data` to the page, from `offset` on. Any context.
    ///
    /// # Errors
    ///
    /// `EINVAL`: the page ends before, or is for reading.
    pub fn write(&self, offset: usize, data: &[u8]) -> Result {
        if !self.write || offset > PAGE_SIZE || data.len() > PAGE_SIZE - offset {
            return Err(EINVAL);
        }
        // SAFETY: The page is pinned, so it stays; the bytes lie in it. That the process or a device
        // uses them too is a race between these, as with any memory of a process.
        unsafe {
            bindings::sva_copy_to_page(
                self.page.as_ptr(),
                offset,
                data.as_ptr().cast(),
                data.len(),
            );
        }
        Ok(())
    }

    /// Reads the page, from `offset` on. Any context.
    ///
    /// # Errors
    ///
    /// `EINVAL`: the page ends before.
    pub fn read(&self, offset: usize, to: &mut [u8]) -> Result {
        if offset > PAGE_SIZE || to.len() > PAGE_SIZE - offset {
            return Err(EINVAL);
        }
        // SAFETY: As for `write`.
        unsafe {
            bindings::sva_copy_from_page(
                to.as_mut_ptr().cast(),
                self.page.as_ptr(),
                offset,
                to.len(),
            );
        }
        Ok(())
    }
}

impl Drop for TouchedPage {
    fn drop(&mut self) {
        let mut page = self.page.as_ptr();

        // SAFETY: By the type invariants the pin is ours, and is given back only here.
        unsafe { bindings::unpin_user_pages_dirty_lock(&mut page, 1, self.write) };
    }
}

/// The first page after number `page` that is not in the same mapping of `mm`, or not in the same
/// hole; `None` if nothing is mapped above, or the mappings are just being changed. Does not wait.
pub fn mapping_end(mm: &MmWithUser, page: u64) -> Option<u64> {
    // CAST: Addresses have 64 bits where there is an SMMU.
    let addr = (page << PAGE_SHIFT) as usize;
    // SAFETY: The address space has users while it is borrowed.
    let end = unsafe { bindings::sva_mapping_end(mm.as_raw(), addr) };

    (end > addr).then_some(end as u64 >> PAGE_SHIFT)
}
