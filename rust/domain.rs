// SPDX-License-Identifier: GPL-2.0

//! IOMMU domains that share a process's page tables.

use crate::{
    attachment::{self, FaultHandler},
    bindings, cpu,
    endpoint::{Endpoint, Held},
};
use core::{marker::PhantomData, ptr::NonNull};
use kernel::{
    error::from_err_ptr,
    mm::MmWithUser,
    prelude::*, //
};

/// An SVA domain: an `iommu_domain` of the device's own IOMMU driver, for one `mm_struct`.
///
/// Its page requests go to the [`FaultHandler`] `T` of the attachment they arrive at.
///
/// # Invariants
///
/// `ptr` is a domain that the IOMMU driver allocated for `domain->mm`, of which it holds a
/// reference. It is attached only through [`attachment::Attachment`]s of the same `T`.
pub struct SvaDomain<T: FaultHandler> {
    ptr: NonNull<bindings::iommu_domain>,
    _handler: PhantomData<fn() -> T>,
}

// SAFETY: A domain may be attached, detached and freed on any thread.
unsafe impl<T: FaultHandler> Send for SvaDomain<T> {}
// SAFETY: The fields read here never change after creation; the core locks the rest.
unsafe impl<T: FaultHandler> Sync for SvaDomain<T> {}

impl<T: FaultHandler> SvaDomain<T> {
    /// Has the driver of `held`'s IOMMU make a domain for `mm`. May sleep; takes `mmap_lock` if the
    /// driver registers an mmu notifier.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` if the driver has no such domains, or the CPUs have shadow stacks, which no IOMMU
    /// of this kernel tells from memory to write; else what the driver says.
    pub fn alloc(held: &Held, mm: &MmWithUser) -> Result<Self> {
        if cpu::shadow_stacks() {
            return Err(EOPNOTSUPP);
        }
        let ops = held.ops();
        // SAFETY: The device is held, so it stays behind its IOMMU, whose operations are valid.
        let alloc = unsafe { (*ops).domain_alloc_sva }.ok_or(EOPNOTSUPP)?;
        // SAFETY: As above, and `mm` is alive.
        let ptr = from_err_ptr(unsafe { alloc(held.as_raw(), mm.as_raw()) })?;
        let ptr = NonNull::new(ptr).ok_or(ENOMEM)?;

        // SAFETY: The domain is new, so nobody else reads it. The core's `iommu_domain_free`
        // drops the reference to the mm that is taken here.
        unsafe {
            let domain = &mut *ptr.as_ptr();

            domain.type_ = bindings::IOMMU_DOMAIN_SVA;
            domain.cookie_type = bindings::iommu_domain_cookie_type_IOMMU_COOKIE_SVA;
            domain.owner = ops;
            domain.iopf_handler = Some(attachment::report::<T>);
            bindings::mmgrab(mm.as_raw());
            domain.__bindgen_anon_1.__bindgen_anon_2.mm = mm.as_raw();
        }
        // INVARIANT: As just set up.
        Ok(Self {
            ptr,
            _handler: PhantomData,
        })
    }

    /// Whether the driver of `endpoint`'s IOMMU made this domain, so that it may fit there.
    pub fn fits(&self, endpoint: &Endpoint) -> bool {
        // SAFETY: By the type invariants the domain is valid.
        core::ptr::eq(unsafe { (*self.as_raw()).owner }, endpoint.ops())
    }

    /// Whether the IOMMU's driver can attach it to accesses without PASID.
    pub fn attaches_without_pasid(&self) -> bool {
        // SAFETY: By the type invariants the domain is valid, and a driver's domain has operations.
        unsafe { (*(*self.as_raw()).ops).attach_dev.is_some() }
    }

    /// Has devices that are attached to it, now or later, find the pages that are there without a page
    /// request from now on. With most IOMMUs they do in any case; but a driver may have them sleep
    /// until they ask, and says so by an operation that means nothing else here. Any context.
    pub fn keep_awake(&self) {
        // SAFETY: By the type invariants the domain is valid, and a driver's domain has operations.
        let Some(keep) = (unsafe { (*(*self.as_raw()).ops).iotlb_sync_map }) else {
            return;
        };
        // SAFETY: As above. It only makes hardware see what is in the page table.
        unsafe { keep(self.as_raw(), 0, usize::MAX) };
    }

    /// The raw domain, for C functions.
    pub(crate) fn as_raw(&self) -> *mut bindings::iommu_domain {
        self.ptr.as_ptr()
    }
}

impl<T: FaultHandler> Drop for SvaDomain<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants the domain is ours, and an attachment would own a
        // reference to the `Translation` that we are part of.
        unsafe { bindings::iommu_domain_free(self.as_raw()) };
    }
}
