// SPDX-License-Identifier: GPL-2.0

//! Faulting pages into the address space of a process, on behalf of a device.
//!
//! Two ways: [`LockedVma`] has what can be had without waiting, and no more; [`fault_in`] waits for
//! whatever a fault of the process itself would wait for.

use crate::{
    bindings,
    fault::{Access, AccessKind},
    wake,
};
use core::{mem::ManuallyDrop, ops::Range};
use kernel::{
    error::to_result,
    mm::{
        virt::VmaRef,
        MmWithUser,
        VmaReadGuard, //
    },
    page::PAGE_SHIFT,
    prelude::*,
};

/// A mapping of a process, locked: it stays as it is, and others are not kept from theirs. Its pages
/// come from nowhere but memory: not from a file, nor from a `userfaultfd`.
///
/// Whoever wants to change the mapping waits until this is dropped. Pages are named by number: their
/// address divided by their size.
///
/// # Invariants
///
/// The mapping is anonymous and no `userfaultfd` is armed for it; only who has it locked for writing
/// could change that.
pub struct LockedVma<'a>(VmaReadGuard<'a>);

/// What the mapping and its page table say of an access to a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum PageState {
    /// Nothing is there yet.
    Absent = bindings::sva_page_state_SVA_PAGE_ABSENT,
    /// A page is there, but not for this access: it may have to be copied.
    Present = bindings::sva_page_state_SVA_PAGE_PRESENT,
    /// The process itself could do the access without a fault.
    Ready = bindings::sva_page_state_SVA_PAGE_READY,
    /// In swap, on its way elsewhere, or something else that may have to be waited for.
    Away = bindings::sva_page_state_SVA_PAGE_AWAY,
    /// The process may not do such accesses here, or it is not in the mapping.
    Forbidden,
}

impl<'a> LockedVma<'a> {
    /// Locks the mapping that `page` lies in. Does not sleep.
    ///
    /// `None` if there is none, if its pages may come from elsewhere than memory, or if it is just
    /// being changed, as far as a look tells.
    #[inline]
    pub fn lock(mm: &'a MmWithUser, page: u64) -> Option<Self> {
        let vma = mm.lock_vma_under_rcu(address(page))?;

        // INVARIANT: As asked, under the lock.
        // SAFETY: The mapping is valid, and locked.
        unsafe { bindings::sva_vma_is_plain(vma.as_ptr()) }.then_some(Self(vma))
    }

    /// Its pages.
    #[inline]
    pub fn pages(&self) -> Range<u64> {
        self.0.start() as u64 >> PAGE_SHIFT..self.0.end() as u64 >> PAGE_SHIFT
    }

    /// Whether the process says that it will not use the pages in order (`MADV_RANDOM`).
    pub fn is_random(&self) -> bool {
        // SAFETY: The mapping is valid, and locked.
        unsafe { bindings::sva_vma_is_random(self.0.as_ptr()) }
    }

    /// Looks at what is to be said of an access to the first of `pages`, and to those after it of which
    /// the same is. Does not sleep.
    #[inline]
    pub fn look(self, pages: Range<u64>, access: Access) -> Glimpse<'a> {
        let all = self.pages();
        let mut glimpse = Glimpse {
            pages: pages.start..pages.end.min(all.end),
            vma: self,
            access,
            state: PageState::Forbidden,
        };
        let inside = all.start <= pages.start && pages.start < glimpse.pages.end;

        if !inside || !allows(&glimpse.vma.0, access) {
            return glimpse;
        }
        // SAFETY: The mapping is valid, locked and anonymous, and the pages, at least one, are in it.
        let found = unsafe {
            bindings::sva_peek_pages(
                glimpse.vma.0.as_ptr(),
                address(pages.start),
                address(glimpse.pages.end),
                access.contains(AccessKind::Write),
                access.contains(AccessKind::Exec),
            )
        };

        // INVARIANT: They are some of those in the mapping, as C says, and this allows the access.
        glimpse.pages.end = pages.start + u64::from(found.pages);
        glimpse.state = match found.state {
            bindings::sva_page_state_SVA_PAGE_ABSENT => PageState::Absent,
            bindings::sva_page_state_SVA_PAGE_PRESENT => PageState::Present,
            // The process cannot do what needs privilege.
            bindings::sva_page_state_SVA_PAGE_READY if access.contains(AccessKind::Privileged) => {
                PageState::Present
            }
            bindings::sva_page_state_SVA_PAGE_READY => PageState::Ready,
            _ => PageState::Away,
        };
        glimpse
    }
}

/// What was to be said of an access to some pages of a mapping that is locked.
///
/// Pages that are ready stay so as long as memory is not short; others may change at any time.
///
/// # Invariants
///
/// Unless the state is [`PageState::Forbidden`], `pages`, at least one, lie in the mapping, and it
/// allows the access.
pub struct Glimpse<'a> {
    vma: LockedVma<'a>,
    pages: Range<u64>,
    access: Access,
    state: PageState,
}

impl<'a> Glimpse<'a> {
    /// What there was to say.
    #[inline]
    pub fn state(&self) -> PageState {
        self.state
    }

    /// Of which pages: of those that were looked at the first, and perhaps more.
    #[inline]
    pub fn pages(&self) -> Range<u64> {
        self.pages.clone()
    }

    /// Forgets all but the first page.
    #[inline]
    pub fn narrow(&mut self) {
        // INVARIANT: It has at least one, or is forbidden.
        self.pages.end = self.pages.start + 1;
    }

    /// The mapping.
    #[inline]
    pub fn into_vma(self) -> LockedVma<'a> {
        self.vma
    }

    /// Makes the pages present for the access, one after the other, as faults of the process itself
    /// would, until one cannot be had or the lock is lost. Gives how many; at least one. The lock is
    /// given back if it is still held.
    ///
    /// May sleep, for memory. If the pages are neither [`PageState::Absent`] nor
    /// [`PageState::Present`], then also for I/O.
    ///
    /// # Errors
    ///
    /// For the first page:
    ///
    /// - `EAGAIN`: it takes more than the mapping's lock: see [`fault_in`].
    /// - `EACCES`: it is [`PageState::Forbidden`].
    /// - `ENOMEM`, `EIO`: the kernel has no page for it.
    #[inline(always)]
    pub fn fault_in(self) -> (Option<LockedVma<'a>>, Result<u64>) {
        if self.state == PageState::Forbidden {
            return (Some(self.vma), Err(EACCES));
        }
        let flags = fault_flags(self.access) | bindings::FAULT_FLAG_VMA_LOCK;
        let vma = ManuallyDrop::new(self.vma.0);
        let mut next = self.pages.start;
        let fault = loop {
            // SAFETY: The mapping's lock is held, as `flags` tell. By the type invariants the page
            // lies in the mapping, which allows the access.
            let fault = unsafe {
                bindings::handle_mm_fault(vma.as_ptr(), address(next), flags, core::ptr::null_mut())
            };

            if fault & (bindings::VM_FAULT_RETRY | bindings::VM_FAULT_ERROR) != 0 {
                break fault;
            }
            next += 1;
            if fault & bindings::VM_FAULT_COMPLETED != 0 || next == self.pages.end {
                break fault;
            }
        };
        // With these bits set the fault handler has released the lock itself.
        let vma = match fault & (bindings::VM_FAULT_RETRY | bindings::VM_FAULT_COMPLETED) {
            // INVARIANT: The lock was held all the time.
            0 => Some(LockedVma(ManuallyDrop::into_inner(vma))),
            _ => None,
        };
        let result = match next - self.pages.start {
            0 if fault & bindings::VM_FAULT_RETRY != 0 => Err(EAGAIN),
            0 => outcome(fault).map(|()| 0),
            there => Ok(there),
        };

        (vma, result)
    }
}

/// The address of a page.
#[inline]
fn address(page: u64) -> usize {
    // CAST: Addresses have 64 bits where there is an SMMU.
    (page << PAGE_SHIFT) as usize
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
/// Takes the lock of the one mapping concerned where that is possible, else `mmap_lock` for reading.
/// Sleeps as long as it takes: for I/O, or until somebody answers at a `userfaultfd`; without a lock
/// then, as far as the kernel can. It ends early if the task is being killed, or is a kernel thread
/// whose job [ends early](crate::wake::EarlyEnd).
///
/// # Errors
///
/// - `EFAULT`: nothing is mapped there.
/// - `EACCES`: the mapping does not allow the access.
/// - `EINTR`: it ended early.
/// - `ENOMEM`, `EIO`: the kernel has no page for it.
pub fn fault_in(mm: &MmWithUser, addr: u64, access: Access) -> Result {
    const PATIENT: u32 = bindings::FAULT_FLAG_ALLOW_RETRY | bindings::FAULT_FLAG_KILLABLE;

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
        // What the handler waited for, it did not wait to the end.
        if wake::is_ending() {
            return Err(EINTR);
        }
        let mmap = ManuallyDrop::new(MmapLock::new(mm)?);
        let fault = match mmap.lookup(addr) {
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

/// `mmap_lock` of a process, held for reading.
///
/// # Invariants
///
/// The current task holds it.
struct MmapLock<'a>(&'a MmWithUser);

impl<'a> MmapLock<'a> {
    /// Waits for the lock; `EINTR` if the task is being killed.
    fn new(mm: &'a MmWithUser) -> Result<Self> {
        // SAFETY: `mm` is valid.
        to_result(unsafe { bindings::sva_mmap_read_lock_killable(mm.as_raw()) })?;
        // INVARIANT: Just taken.
        Ok(Self(mm))
    }

    /// The mapping that `addr` lies in.
    fn lookup(&self, addr: usize) -> Option<&VmaRef> {
        // SAFETY: The lock is held by the type invariants.
        let vma = unsafe { bindings::vma_lookup(self.0.as_raw(), addr) };

        // SAFETY: A mapping that is found stays as long as the lock is held, which the borrow keeps.
        (!vma.is_null()).then(|| unsafe { VmaRef::from_raw(vma) })
    }
}

impl Drop for MmapLock<'_> {
    fn drop(&mut self) {
        // SAFETY: Held by the type invariants.
        unsafe { bindings::mmap_read_unlock(self.0.as_raw()) };
    }
}

/// Whether the process may do such accesses in `vma`: the one rule, whoever serves the device.
#[inline]
fn allows(vma: &VmaRef, access: Access) -> bool {
    // SAFETY: The mapping is valid, and locked: a `VmaRef` only exists under a lock.
    unsafe { bindings::sva_vma_allows(vma.as_ptr(), access.into()) }
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
        return Err(EACCES);
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
        Err(EACCES)
    } else {
        Err(EIO)
    }
}
