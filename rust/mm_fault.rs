// SPDX-License-Identifier: GPL-2.0

//! Faulting pages into the address space of a process, on behalf of a device.
//!
//! Two ways: [`LockedVma`] has what can be had without waiting, and no more; [`fault_in`] waits for
//! whatever a fault of the process itself would wait for.

use crate::{
    bindings,
    fault::{Access, AccessKind},
};
use core::{mem::ManuallyDrop, ops::Range};
use kernel::{
    mm::{
        virt::{self, VmaRef},
        MmWithUser,
        VmaReadGuard, //
    },
    page::{PAGE_SHIFT, PAGE_SIZE},
    prelude::*,
};

/// A mapping of a process, locked: it stays as it is, and others are not kept from theirs. Its pages
/// come from nowhere but memory: not from a file, nor from a `userfaultfd`.
///
/// Whoever wants to change the mapping waits until this is dropped.
///
/// # Invariants
///
/// The mapping is anonymous and no `userfaultfd` is armed for it; only who has it locked for writing
/// could change that.
pub struct LockedVma<'a>(VmaReadGuard<'a>);

/// What the mapping and its page table say of an access to a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageState {
    /// The process may not do such accesses here.
    Forbidden,
    /// Nothing is there yet.
    Absent,
    /// A page is there, but not for this access: it may have to be copied.
    Present,
    /// The process itself could do the access without a fault.
    Ready,
    /// In swap, on its way elsewhere, or something else that may have to be waited for.
    Away,
}

impl<'a> LockedVma<'a> {
    /// Locks the mapping at `addr`. Does not sleep.
    ///
    /// `None` if there is none, if its pages may come from elsewhere than memory, or if it is just
    /// being changed, as far as a look tells.
    #[inline]
    pub fn lock(mm: &'a MmWithUser, addr: u64) -> Option<Self> {
        let vma = mm.lock_vma_under_rcu(usize::try_from(addr).ok()?)?;

        // INVARIANT: As asked, under the lock.
        // SAFETY: The mapping is valid, and locked.
        unsafe { bindings::sva_vma_is_plain(vma.as_ptr()) }.then_some(Self(vma))
    }

    /// Its addresses.
    pub fn range(&self) -> Range<u64> {
        self.0.start() as u64..self.0.end() as u64
    }

    /// Whether the process says that it will not use the pages in order (`MADV_RANDOM`).
    pub fn is_random(&self) -> bool {
        // SAFETY: The mapping is valid, and locked.
        unsafe { bindings::sva_vma_is_random(self.0.as_ptr()) }
    }

    /// What is to be said of an access to the first of the pages at `addr`, and of how many of them
    /// in a row: at least one, perhaps not all. Does not sleep.
    ///
    /// Pages that are not in the mapping are [`PageState::Away`]. One that is ready stays so as long
    /// as memory is not short; the others may change at any time.
    #[inline]
    pub fn look(&self, mut addr: Range<u64>, access: Access) -> (PageState, u64) {
        let all = self.range();

        if !all.contains(&addr.start) {
            return (PageState::Away, 1);
        }
        addr.end = addr.end.min(all.end);
        if !allows(&self.0, access) {
            return (PageState::Forbidden, pages(&addr));
        }
        // SAFETY: The mapping is valid, locked and anonymous, and the addresses are in it.
        let found = unsafe {
            bindings::sva_peek_pages(
                self.0.as_ptr(),
                addr.start as usize,
                addr.end as usize,
                access.contains(AccessKind::Write),
                access.contains(AccessKind::Exec),
            )
        };
        let state = match found.state {
            bindings::sva_page_state_SVA_PAGE_ABSENT => PageState::Absent,
            bindings::sva_page_state_SVA_PAGE_PRESENT => PageState::Present,
            // The process cannot do what needs privilege.
            bindings::sva_page_state_SVA_PAGE_READY if access.contains(AccessKind::Privileged) => {
                PageState::Present
            }
            bindings::sva_page_state_SVA_PAGE_READY => PageState::Ready,
            _ => PageState::Away,
        };

        (state, u64::from(found.pages))
    }

    /// Makes pages at `addr` present for `access`, one after the other, as faults of the process
    /// itself would, until one cannot be had or the lock is lost. Gives how many; at least one. The
    /// lock is given back if it is still held.
    ///
    /// May sleep, for memory. If a page is neither [`PageState::Absent`] nor
    /// [`PageState::Present`], then also for I/O.
    ///
    /// # Errors
    ///
    /// For the first page:
    ///
    /// - `EAGAIN`: it takes more than the mapping's lock: see [`fault_in`].
    /// - `EFAULT`: it is not in the mapping, or that does not allow the access.
    /// - `ENOMEM`, `EIO`: the kernel has no page for it.
    #[inline(always)]
    pub fn fault_in(self, addr: Range<u64>, access: Access) -> (Option<Self>, Result<u64>) {
        let all = self.range();
        let (mut at, end) = (addr.start, addr.end.min(all.end));

        if !all.contains(&at) || !allows(&self.0, access) {
            return (Some(self), Err(EFAULT));
        }
        let flags = fault_flags(access) | bindings::FAULT_FLAG_VMA_LOCK;
        let vma = ManuallyDrop::new(self.0);
        let fault = loop {
            // SAFETY: The mapping's lock is held, as `flags` tell, and `at` lies in it.
            let fault = unsafe {
                bindings::handle_mm_fault(vma.as_ptr(), at as usize, flags, core::ptr::null_mut())
            };

            if fault & (bindings::VM_FAULT_RETRY | bindings::VM_FAULT_ERROR) != 0 {
                break fault;
            }
            at += PAGE_SIZE as u64;
            if fault & bindings::VM_FAULT_COMPLETED != 0 || at >= end {
                break fault;
            }
        };
        // With these bits set the fault handler has released the lock itself.
        let vma = match fault & (bindings::VM_FAULT_RETRY | bindings::VM_FAULT_COMPLETED) {
            // INVARIANT: The lock was held all the time.
            0 => Some(Self(ManuallyDrop::into_inner(vma))),
            _ => None,
        };
        let result = match pages(&(addr.start..at)) {
            0 if fault & bindings::VM_FAULT_RETRY != 0 => Err(EAGAIN),
            0 => outcome(fault).map(|()| 0),
            pages => Ok(pages),
        };

        (vma, result)
    }
}

/// How many pages there are at `addr`.
fn pages(addr: &Range<u64>) -> u64 {
    (addr.end - addr.start) >> PAGE_SHIFT
}

/// Whether `pages` for `mm` can be had at once, without reclaiming any, and some to spare. Does not
/// sleep. As of now: others allocate as well.
#[inline]
pub fn memory_at_hand(mm: &MmWithUser, pages: usize) -> bool {
    // SAFETY: `mm` is valid.
    unsafe { bindings::sva_memory_at_hand(mm.as_raw(), pages) }
}

/// Makes the page at `addr` present for `access`, as a fault of the process itself would.
///
/// For workers, which get no signals. Takes the lock of the one mapping concerned where that is
/// possible, else `mmap_lock` for reading. Sleeps as long as it takes: for I/O, or until somebody
/// answers at a `userfaultfd`; without a lock then, as far as the kernel can.
///
/// # Errors
///
/// - `EFAULT`: nothing is mapped there, or the mapping does not allow the access.
/// - `ENOMEM`, `EIO`: the kernel has no page for it.
pub fn fault_in(mm: &MmWithUser, addr: u64, access: Access) -> Result {
    const PATIENT: u32 = bindings::FAULT_FLAG_ALLOW_RETRY
        | bindings::FAULT_FLAG_KILLABLE
        | bindings::FAULT_FLAG_INTERRUPTIBLE;

    let mut flags = PATIENT;
    let addr = usize::try_from(addr).map_err(|_| EFAULT)?;

    if let Some(vma) = mm.lock_vma_under_rcu(addr) {
        let vma = ManuallyDrop::new(vma);
        let fault = handle(&vma, addr, access, PATIENT | bindings::FAULT_FLAG_VMA_LOCK);

        match fault {
            // With these bits set the fault handler has released the lock itself.
            Ok(fault) if fault & bindings::VM_FAULT_COMPLETED != 0 => return Ok(()),
            Ok(fault) if fault & bindings::VM_FAULT_RETRY != 0 => {
                flags |= bindings::FAULT_FLAG_TRIED;
            }
            _ => {
                drop(ManuallyDrop::into_inner(vma));
                return fault.and_then(outcome);
            }
        }
    }
    loop {
        let mmap = ManuallyDrop::new(mm.mmap_read_lock());
        let fault = match mmap.vma_lookup(addr) {
            Some(vma) => handle(vma, addr, access, flags),
            None => Err(EFAULT),
        };

        match fault {
            // As above.
            Ok(fault) if fault & bindings::VM_FAULT_COMPLETED != 0 => return Ok(()),
            Ok(fault) if fault & bindings::VM_FAULT_RETRY != 0 => {
                flags |= bindings::FAULT_FLAG_TRIED;
            }
            _ => {
                drop(ManuallyDrop::into_inner(mmap));
                return fault.and_then(outcome);
            }
        }
    }
}

/// Whether the process may do such accesses in `vma`.
fn allows(vma: &VmaRef, access: Access) -> bool {
    let mut needed = 0;

    if access.contains(AccessKind::Read) {
        needed |= virt::flags::READ;
    }
    if access.contains(AccessKind::Write) {
        needed |= virt::flags::WRITE;
    }
    if access.contains(AccessKind::Exec) {
        needed |= virt::flags::EXEC;
    }
    needed & !vma.flags() == 0
}

/// How to tell the fault handler of an access.
fn fault_flags(access: Access) -> u32 {
    let flag = |kind, flag| if access.contains(kind) { flag } else { 0 };

    (bindings::FAULT_FLAG_REMOTE | bindings::FAULT_FLAG_USER)
        ^ flag(AccessKind::Privileged, bindings::FAULT_FLAG_USER)
        | flag(AccessKind::Write, bindings::FAULT_FLAG_WRITE)
        | flag(AccessKind::Exec, bindings::FAULT_FLAG_INSTRUCTION)
}

/// Calls the fault handler for a mapping whose lock is held, if the mapping allows the access.
fn handle(vma: &VmaRef, addr: usize, access: Access, flags: u32) -> Result<u32> {
    let flags = fault_flags(access) | flags;

    if !allows(vma, access) {
        return Err(EFAULT);
    }
    // SAFETY: The caller holds the lock of the mapping that `flags` tell of: a `VmaRef` only
    // exists under one. `addr` lies in the mapping, as all callers have looked up.
    Ok(unsafe { bindings::handle_mm_fault(vma.as_ptr(), addr, flags, core::ptr::null_mut()) })
}

/// What a `vm_fault_t` means for the page request.
fn outcome(fault: u32) -> Result {
    if fault & bindings::VM_FAULT_ERROR == 0 {
        Ok(())
    } else if fault & bindings::vm_fault_reason_VM_FAULT_OOM != 0 {
        Err(ENOMEM)
    } else if fault & bindings::vm_fault_reason_VM_FAULT_SIGSEGV != 0 {
        Err(EFAULT)
    } else {
        Err(EIO)
    }
}
