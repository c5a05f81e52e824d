// SPDX-License-Identifier: GPL-2.0

//! Memory of a process that stays where it is, for a device that cannot wait for page faults.

use crate::{
    bindings,
    fault::{Access, AccessKind},
    mm_fault, //
};
use core::ops::Range;
use kernel::{
    alloc::flags::__GFP_NOWARN,
    mm::{Mm, MmWithUser},
    page::PAGE_SIZE,
    prelude::*,
    sync::aref::ARef,
};

/// How many pages the current process may have pinned, by its `RLIMIT_MEMLOCK`: all, if it has
/// `CAP_IPC_LOCK`.
pub fn own_limit() -> usize {
    // SAFETY: May be called by any task.
    unsafe { bindings::sva_own_pin_limit() }
}

/// How many pages are pinned and released at once: nothing is locked for longer.
pub const BATCH: usize = 512;

/// Pages counted as pinned in the address space of a process.
///
/// # Invariants
///
/// `pages` are counted in the `pinned_vm` of `mm`.
struct Charge {
    mm: ARef<Mm>,
    pages: usize,
}

impl Charge {
    /// Counts `pages` more, or `ENOMEM` if that is more than the process may pin.
    fn new(mm: &MmWithUser, pages: usize, limit: usize) -> Result<Self> {
        // SAFETY: The address space is live while it is borrowed. On failure nothing is counted.
        kernel::error::to_result(unsafe {
            bindings::sva_charge_pinned(mm.as_raw(), pages, limit)
        })?;
        // INVARIANT: Just counted.
        Ok(Self {
            mm: ARef::from(&**mm),
            pages,
        })
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        // SAFETY: Our reference keeps the `mm_struct`, even if it has no users any more; by the type
        // invariants the pages are counted there, and only this gives them back.
        unsafe { bindings::sva_uncharge_pinned(self.mm.as_raw(), self.pages) };
    }
}

/// A range of a process's address space whose pages are pinned; dropping it releases them.
///
/// As long as the process does not change its mappings there, the pages stay in its page table:
/// nobody swaps them out or moves them, and none is left to be copied on a write. When the process
/// forks it keeps them, and the child gets copies of those that are private. The drop may sleep.
///
/// # Invariants
///
/// Each of `pages` has one pin (`FOLL_PIN`) that is ours, and all of them are charged.
pub struct PinnedRange {
    pages: KVVec<*mut bindings::page>,
    write: bool,
    // Dropped after the pages are released.
    _charge: Charge,
}

// SAFETY: Pages and their pins belong to no thread.
unsafe impl Send for PinnedRange {}
// SAFETY: Nothing is accessible through a reference but a number.
unsafe impl Sync for PinnedRange {}

impl PinnedRange {
    /// Pins `range` of the address space `mm`: for reading, or for reading and writing.
    ///
    /// A page for reading that the process may write stays its own, as the device must see what
    /// it writes later. All pages are young, and dirty if pinned for writing, in the page table
    /// when this returns, so that an IOMMU that updates neither needs no fault.
    ///
    /// The pages count as pinned by the process (`VmPin`), each time that they are pinned. The
    /// limit is `RLIMIT_MEMLOCK` of the process that owns `mm`, where the kernel keeps track of
    /// that (memory control groups), else of the calling one; callers with `CAP_IPC_LOCK` have
    /// none. For kernel threads, which have it, `limit` is in force besides, in pages.
    ///
    /// May sleep, also for I/O; takes `mmap_lock`.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: not whole pages, or none.
    /// - `EFAULT`: part of the range is not mapped, is not memory, is not to be accessed so by the
    ///   process, or is a file of which a file system must know each write.
    /// - `EOPNOTSUPP`: a file that lies in memory itself (DAX).
    /// - `ENOMEM`: more than the process may pin, or no memory.
    /// - `EINTR`: the calling task is being killed.
    pub fn new(mm: &MmWithUser, range: Range<usize>, write: bool, limit: usize) -> Result<Self> {
        Self::check(&range)?;
        let count = range.len() / PAGE_SIZE;
        let charge = Charge::new(mm, count, limit)?;
        // INVARIANT: No pages yet.
        let mut pinned = Self {
            // A size too large for the allocator is the caller's, and no reason to warn.
            pages: KVVec::with_capacity(count, GFP_KERNEL_ACCOUNT | __GFP_NOWARN)?,
            write,
            _charge: charge,
        };

        while pinned.pages.len() < count {
            pinned.pin_some(mm, &range)?;
        }
        pinned.touch(mm, range)?;
        Ok(pinned)
    }

    /// Whether `range` can be pinned at all.
    ///
    /// # Errors
    ///
    /// `EINVAL`: not whole pages, or none.
    pub fn check(range: &Range<usize>) -> Result {
        let whole = range.start % PAGE_SIZE == 0 && range.end % PAGE_SIZE == 0;

        if whole && !range.is_empty() {
            Ok(())
        } else {
            Err(EINVAL)
        }
    }

    /// Pins some more pages of `range`.
    fn pin_some(&mut self, mm: &MmWithUser, range: &Range<usize>) -> Result {
        let done = self.pages.len();
        let room = self.pages.spare_capacity_mut();
        let wanted = room.len().min(range.len() / PAGE_SIZE - done).min(BATCH);
        // SAFETY: The address space has users while it is borrowed, and there is room for `wanted`
        // pointers. The pages that are pinned are those that the result counts; on failure none.
        let got = unsafe {
            bindings::sva_pin_user_pages(
                mm.as_raw(),
                range.start + done * PAGE_SIZE,
                wanted,
                self.write,
                room.as_mut_ptr().cast(),
            )
        };
        let got = match usize::try_from(got) {
            Ok(0) => return Err(EFAULT),
            Ok(got) => got,
            Err(_) => return Err(Error::from_errno(got as c_int)),
        };

        // INVARIANT: These are pinned now.
        // SAFETY: So many pointers have been written to the room, of which there is enough.
        unsafe { self.pages.inc_len(got) };
        Ok(())
    }

    /// Has the page table's entries be as after an access by the CPU. The pages are there.
    fn touch(&self, mm: &MmWithUser, range: Range<usize>) -> Result {
        let access = if self.write {
            AccessKind::Read | AccessKind::Write
        } else {
            AccessKind::Read.into()
        };

        for addr in range.step_by(PAGE_SIZE) {
            touch_page(mm, addr, access)?;
        }
        Ok(())
    }

    /// How many pages are pinned.
    pub fn pages(&self) -> usize {
        self.pages.len()
    }

    /// The pages, which stay pinned while this is borrowed.
    pub(crate) fn raw_pages(&self) -> &[*mut bindings::page] {
        &self.pages
    }

    /// Whether a device may write to them.
    pub(crate) fn is_writable(&self) -> bool {
        self.write
    }
}

/// Fails only if the process has just changed its mapping, or the task is being killed.
fn touch_page(mm: &MmWithUser, addr: usize, access: Access) -> Result {
    mm_fault::fault_in(mm, addr as u64, access).map_err(|e| match e {
        e if e == ENOMEM || e == EINTR => e,
        _ => EFAULT,
    })
}

impl Drop for PinnedRange {
    fn drop(&mut self) {
        for batch in self.pages.chunks_mut(BATCH) {
            // SAFETY: By the type invariants these pins are ours, and given back only here. The
            // kernel does not write to the array.
            unsafe {
                bindings::sva_unpin_user_pages(batch.as_mut_ptr(), batch.len(), self.write);
            }
        }
    }
}

#[kunit_tests(kernel_ext_pin)]
mod tests {
    use super::*;

    #[test]
    fn s7_only_whole_pages() {
        assert!(PinnedRange::check(&(0..PAGE_SIZE)).is_ok());
        assert!(PinnedRange::check(&(PAGE_SIZE..4 * PAGE_SIZE)).is_ok());
        assert_eq!(PinnedRange::check(&(0..0)), Err(EINVAL));
        assert_eq!(PinnedRange::check(&(1..PAGE_SIZE)), Err(EINVAL));
        assert_eq!(PinnedRange::check(&(0..PAGE_SIZE + 1)), Err(EINVAL));

        let backwards = Range {
            start: 4 * PAGE_SIZE,
            end: PAGE_SIZE,
        };
        assert_eq!(PinnedRange::check(&backwards), Err(EINVAL));
    }
}
