// SPDX-License-Identifier: GPL-2.0

//! Faulting pages into the address space of a process, on behalf of a device.

use crate::{
    bindings,
    fault::{Access, AccessKind},
};
use core::mem::ManuallyDrop;
use kernel::{
    mm::{virt::VmaRef, MmWithUser},
    prelude::*,
};

/// Makes the page at `addr` present for `access`, as a fault of the process itself would.
///
/// Takes the lock of the one mapping concerned where that is possible, else `mmap_lock` for
/// reading. May sleep, also for I/O.
///
/// # Errors
///
/// - `EFAULT`: nothing is mapped there, or the mapping does not allow the access.
/// - `ENOMEM`, `EIO`: the kernel has no page for it.
pub fn fault_in(mm: &MmWithUser, addr: u64, access: Access) -> Result {
    let addr = usize::try_from(addr).map_err(|_| EFAULT)?;

    if let Some(vma) = mm.lock_vma_under_rcu(addr) {
        let vma = ManuallyDrop::new(vma);
        let fault = handle(&vma, addr, access, bindings::FAULT_FLAG_VMA_LOCK);

        // With these bits set the fault handler has released the lock itself.
        if !matches!(fault, Ok(f) if f & (bindings::VM_FAULT_RETRY | bindings::VM_FAULT_COMPLETED) != 0)
        {
            drop(ManuallyDrop::into_inner(vma));
        }
        match fault? {
            f if f & bindings::VM_FAULT_RETRY != 0 => (),
            f => return outcome(f),
        }
    }
    let mmap = mm.mmap_read_lock();
    let vma = mmap.vma_lookup(addr).ok_or(EFAULT)?;

    // Without FAULT_FLAG_ALLOW_RETRY the lock stays held.
    outcome(handle(vma, addr, access, 0)?)
}

/// Calls the fault handler for a mapping whose lock is held, if the mapping allows the access.
fn handle(vma: &VmaRef, addr: usize, access: Access, lock_flag: u32) -> Result<u32> {
    let mut flags = bindings::FAULT_FLAG_REMOTE | lock_flag;
    let mut needed = 0;

    if access.contains(AccessKind::Read) {
        needed |= kernel::mm::virt::flags::READ;
    }
    if access.contains(AccessKind::Write) {
        needed |= kernel::mm::virt::flags::WRITE;
        flags |= bindings::FAULT_FLAG_WRITE;
    }
    if access.contains(AccessKind::Exec) {
        needed |= kernel::mm::virt::flags::EXEC;
        flags |= bindings::FAULT_FLAG_INSTRUCTION;
    }
    if !access.contains(AccessKind::Privileged) {
        flags |= bindings::FAULT_FLAG_USER;
    }
    if needed & !vma.flags() != 0 {
        return Err(EFAULT);
    }
    // SAFETY: The caller holds the lock of the mapping that `lock_flag` tells of: a `VmaRef` only
    // exists under one. `addr` lies in the mapping, as both kinds of lookup say.
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
