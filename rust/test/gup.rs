// SPDX-License-Identifier: GPL-2.0

//! What the kernel itself finds at an address of the current process, without faulting.
//!
//! C header: `include/linux/mm.h` (`get_user_pages_fast()`)

use crate::bindings;
use kernel::{
    mm::{
        virt::flags,
        MmWithUser, //
    },
    prelude::*,
};

/// A page of a process as it is mapped now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mapped {
    /// The physical address that the process reads at the address; `None` if a read faults.
    pub read: Option<u64>,
    /// The same for a write.
    pub write: Option<u64>,
    /// The same for the execution of an instruction.
    pub exec: Option<u64>,
    /// log2 of the pages in the folio that the page belongs to.
    pub order: u32,
}

/// What is mapped at `addr` in the address space of the current process; nothing for a kernel
/// thread.
///
/// Each of the three is asked for by itself, so a change of the mapping may come in between. No
/// page is faulted in. May sleep; takes `mmap_lock` for reading.
pub fn mapped(addr: usize) -> Mapped {
    let task = current!();
    let Some(mm) = task.mm() else {
        return Mapped::default();
    };
    let rights = Rights::at(mm, addr);
    let mut order = 0;
    let read = rights
        .read
        .then(|| find(addr, false, rights.hidden, &mut order))
        .flatten();
    let write = find(addr, true, false, &mut order);
    // Page table entries have a flag for it, but get_user_pages() does not look at that.
    let exec = rights
        .exec
        .then(|| find(addr, false, rights.hidden, &mut order))
        .flatten();

    Mapped {
        read,
        write,
        exec,
        order,
    }
}

/// What the mapping of an address allows the CPU.
#[derive(Default)]
struct Rights {
    read: bool,
    exec: bool,
    /// The process did not ask to read, and get_user_pages() insists on that.
    hidden: bool,
}

impl Rights {
    fn at(mm: &MmWithUser, addr: usize) -> Self {
        let mmap = mm.mmap_read_lock();
        let Some(vma) = mmap.vma_lookup(addr) else {
            return Self::default();
        };
        let has = |flag| vma.flags() & flag != 0;
        // SAFETY: Asks for a capability of the CPUs.
        let exec_implies_read = unsafe { bindings::sva_exec_implies_read() };
        // On arm64 memory cannot be writable alone; nor executable alone, on most CPUs.
        let implied = has(flags::WRITE) || (has(flags::EXEC) && exec_implies_read);

        Self {
            read: has(flags::READ) || implied,
            exec: has(flags::EXEC),
            hidden: !has(flags::READ),
        }
    }
}

/// The physical address that `addr` is mapped to; `force` asks no mapping for the right to read.
fn find(addr: usize, write: bool, force: bool, order: &mut u32) -> Option<u64> {
    // SAFETY: The current task has an address space, as `mapped()` has checked; any address is
    // allowed, and `order` is valid for a write.
    let phys = unsafe { bindings::sva_gup_phys(addr, write, force, order) };

    (phys != u64::MAX).then_some(phys)
}

#[kunit_tests(kernel_ext_gup)]
mod tests {
    use super::*;
    use crate::mm::{
        Protection,
        TestMm, //
    };

    #[test]
    fn mapped_as_touched() -> Result {
        let mm = TestMm::new()?;
        let addr = mm.map(2, Protection::ReadWrite)?;
        let untouched = mapped(addr);

        mm.read(addr, &mut [0])?;
        let zeros = mapped(addr);

        mm.write(addr, &[1])?;
        let own = mapped(addr + 5);

        mm.unmap(addr, 1)?;
        let gone = mapped(addr);

        drop(mm);
        assert_eq!(untouched, Mapped::default());
        // The page of zeros, which nobody may write.
        assert!(zeros.read.is_some() && zeros.write.is_none() && zeros.exec.is_none());
        assert!(own.read.is_some() && own.read == own.write && own.exec.is_none());
        assert_eq!(own.read.map(|phys| phys % 4096), Some(5));
        assert_eq!(gone, Mapped::default());
        assert_eq!(mapped(addr), Mapped::default());
        Ok(())
    }
}
