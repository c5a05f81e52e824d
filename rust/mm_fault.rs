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
    prelude::*,
};

/// A mapping of a process, locked: it stays as it is, and others are not kept from theirs.
///
/// Whoever wants to change the mapping waits until this is dropped.
///
/// # Invariants
///
/// `plain` tells whether the pages come from nowhere but memory; only who has the mapping locked
/// for writing could change that.
pub struct LockedVma<'a> {
    vma: VmaReadGuard<'a>,
    plain: bool,
}

/// What the page table says of an access to a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageState {
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
    /// `None` if there is none, or if it is just being changed, as far as a look tells.
    pub fn lock(mm: &'a MmWithUser, addr: u64) -> Option<Self> {
        let vma = mm.lock_vma_under_rcu(usize::try_from(addr).ok()?)?;
        // SAFETY: The mapping is valid, and locked.
        let plain = unsafe { bindings::sva_vma_is_plain(vma.as_ptr()) };

        // INVARIANT: As just asked, under the lock.
        Some(Self { vma, plain })
    }

    /// Its addresses.
    pub fn range(&self) -> Range<u64> {
        self.vma.start() as u64..self.vma.end() as u64
    }

    /// Whether the process may do such accesses here.
    pub fn allows(&self, access: Access) -> bool {
        allows(&self.vma, access)
    }

    /// Whether the process says that it will not use the pages in order (`MADV_RANDOM`).
    pub fn is_random(&self) -> bool {
        // SAFETY: The mapping is valid, and locked.
        unsafe { bindings::sva_vma_is_random(self.vma.as_ptr()) }
    }

    /// What the page table says of an access at `addr`, which must be in a plain mapping, or it is
    /// [`PageState::Away`]. Does not sleep.
    ///
    /// A page that is ready stays so as long as memory is not short; the others may change at any
    /// time.
    pub fn page_state(&self, addr: u64, access: Access) -> PageState {
        if !self.plain || !self.range().contains(&addr) {
            return PageState::Away;
        }
        // SAFETY: The mapping is valid and locked, `addr` is in it, and a plain one is anonymous.
        let state = unsafe {
            bindings::sva_peek_page(
                self.vma.as_ptr(),
                addr as usize,
                access.contains(AccessKind::Write),
                access.contains(AccessKind::Exec),
            )
        };

        match state {
            bindings::sva_page_state_SVA_PAGE_ABSENT => PageState::Absent,
            bindings::sva_page_state_SVA_PAGE_PRESENT => PageState::Present,
            // The process cannot do what needs privilege.
            bindings::sva_page_state_SVA_PAGE_READY if access.contains(AccessKind::Privileged) => {
                PageState::Present
            }
            bindings::sva_page_state_SVA_PAGE_READY => PageState::Ready,
            _ => PageState::Away,
        }
    }

    /// Makes the page at `addr` present for `access`, as a fault of the process itself would. The
    /// lock is given back if it is still held.
    ///
    /// May sleep, for memory. If the page is neither [`PageState::Absent`] nor
    /// [`PageState::Present`], or the mapping not plain, then also for I/O.
    ///
    /// # Errors
    ///
    /// - `EAGAIN`: it takes more than the mapping's lock: see [`fault_in`].
    /// - `EFAULT`: the mapping does not allow the access.
    /// - `ENOMEM`, `EIO`: the kernel has no page for it.
    pub fn fault_in(self, addr: u64, access: Access) -> (Option<Self>, Result) {
        if !self.range().contains(&addr) {
            return (Some(self), Err(EFAULT));
        }
        let vma = ManuallyDrop::new(self.vma);
        let fault = handle(&vma, addr as usize, access, bindings::FAULT_FLAG_VMA_LOCK);
        // With these bits set the fault handler has released the lock itself.
        let released = bindings::VM_FAULT_RETRY | bindings::VM_FAULT_COMPLETED;
        let vma = match fault {
            Ok(fault) if fault & released != 0 => None,
            // INVARIANT: The lock was held all the time.
            _ => Some(Self {
                vma: ManuallyDrop::into_inner(vma),
                plain: self.plain,
            }),
        };
        let result = match fault {
            Ok(fault) if fault & bindings::VM_FAULT_RETRY != 0 => Err(EAGAIN),
            Ok(fault) => outcome(fault),
            Err(e) => Err(e),
        };

        (vma, result)
    }
}

/// Whether `pages` for `mm` can be had at once, without reclaiming any, and some to spare. Does not
/// sleep. As of now: others allocate as well.
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

/// Calls the fault handler for a mapping whose lock is held, if the mapping allows the access.
fn handle(vma: &VmaRef, addr: usize, access: Access, flags: u32) -> Result<u32> {
    let mut flags = bindings::FAULT_FLAG_REMOTE | flags;

    if access.contains(AccessKind::Write) {
        flags |= bindings::FAULT_FLAG_WRITE;
    }
    if access.contains(AccessKind::Exec) {
        flags |= bindings::FAULT_FLAG_INSTRUCTION;
    }
    if !access.contains(AccessKind::Privileged) {
        flags |= bindings::FAULT_FLAG_USER;
    }
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
