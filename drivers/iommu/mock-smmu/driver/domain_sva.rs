// SPDX-License-Identifier: GPL-2.0

//! SVA domains: a process's page table as the SMMU's.

use super::{
    address_space::AddressSpace,
    invalidate::Range,
    Smmu, //
};
use kernel::{
    mm::MmWithUser,
    prelude::*,
    sync::Arc, //
};
use kernel_ext::notifier::{
    Callbacks,
    MmNotifier, //
};

/// The part of a domain that the mmu notifier carries.
struct Notified(Arc<AddressSpace>);

#[vtable]
impl Callbacks for Notified {
    fn release(&self) {
        // The process has lost its pages: nothing may be translated any more.
        self.0.release();
    }

    fn arch_invalidate_secondary_tlbs(&self, start: usize, end: usize) {
        self.0.invalidate(Range::from_notifier(start, end));
    }
}

/// A domain that shares the address space of a process.
pub struct SharedSpace {
    space: Arc<AddressSpace>,
    // Dropped last: until its memory is freed it keeps the ASID from reuse.
    _notifier: MmNotifier<Notified>,
}

impl SharedSpace {
    /// The address space.
    pub fn space(&self) -> &Arc<AddressSpace> {
        &self.space
    }
}

impl Smmu {
    /// Makes a domain for `mm`. May sleep; takes `mmap_lock` for writing.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` if this SMMU cannot walk this machine's page tables; `ENOSPC` without a free
    /// ASID; `ENOMEM`; `EINTR`.
    pub(super) fn make_sva(self: &Arc<Self>, mm: &MmWithUser) -> Result<SharedSpace> {
        let asid = self.asids.take()?;
        let ttb = kernel_ext::cpu::page_table_root(mm);
        let cd = self.features.shared_cd(ttb, asid.value())?;

        let space = AddressSpace::new(self, asid, cd, true)?;
        Ok(SharedSpace {
            _notifier: MmNotifier::register(mm, Notified(space.clone()))?,
            space,
        })
    }
}
