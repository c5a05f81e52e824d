// SPDX-License-Identifier: GPL-2.0

//! The C callbacks for paging domains of an IOMMU driver written in Rust.

use crate::{
    bindings,
    io_pgtable::{
        Invalidate,
        PagingDomain, //
    },
    iommu_device::Driver,
    iommu_ops::{
        Domain,
        Ops, //
    }, //
};
use kernel::{
    error::from_result,
    prelude::*, //
};

type Paging<T> = Domain<PagingDomain<<T as Driver>::Paging>>;

impl<T: Driver> Ops<T> {
    const PAGING: &'static bindings::iommu_domain_ops = &bindings::iommu_domain_ops {
        attach_dev: Some(Self::attach_paging),
        set_dev_pasid: Some(Self::attach_paging_pasid),
        map_pages: Some(Self::map_pages),
        unmap_pages: Some(Self::unmap_pages),
        flush_iotlb_all: Some(Self::flush_iotlb_all),
        iotlb_sync: Some(Self::iotlb_sync),
        iova_to_phys: Some(Self::iova_to_phys),
        free: Some(Self::free_paging),
        ..pin_init::zeroed()
    };

    /// # Safety
    ///
    /// `domain` must have the ops [`Self::PAGING`] and not be freed while `'a` lasts.
    unsafe fn paging<'a>(domain: *mut bindings::iommu_domain) -> &'a PagingDomain<T::Paging> {
        // SAFETY: By the function's requirement `alloc_paging` made it. Its data is never borrowed
        // mutably.
        unsafe { &(*domain.cast::<Paging<T>>()).data }
    }

    /// # Safety
    ///
    /// See [`Ops`].
    pub(crate) unsafe extern "C" fn alloc_paging(
        dev: *mut bindings::device,
    ) -> *mut bindings::iommu_domain {
        // SAFETY: The device is probed.
        let client = unsafe { Self::client(dev) };

        Domain::give(client.driver().alloc_paging(&client).map(|data| {
            let page_table = data.page_table();
            let mut base: bindings::iommu_domain = pin_init::zeroed();

            base.ops = Self::PAGING;
            base.pgsize_bitmap = page_table.page_sizes();
            base.geometry.aperture_end = (1 << page_table.input_bits()) - 1;
            base.geometry.force_aperture = true;
            (base, data)
        }))
    }

    /// # Safety
    ///
    /// See [`Ops`].
    unsafe extern "C" fn attach_paging(
        domain: *mut bindings::iommu_domain,
        dev: *mut bindings::device,
        _old: *mut bindings::iommu_domain,
    ) -> c_int {
        // SAFETY: The device is probed.
        let client = unsafe { Self::client(dev) };
        // SAFETY: The domain is one of these, and is not freed during the call.
        let domain = unsafe { Self::paging(domain) };
        from_result(|| {
            let driver = client.driver();
            driver.attach_paging(domain, &client, None).map(|()| 0)
        })
    }

    /// # Safety
    ///
    /// See [`Ops`].
    unsafe extern "C" fn attach_paging_pasid(
        domain: *mut bindings::iommu_domain,
        dev: *mut bindings::device,
        pasid: bindings::ioasid_t,
        _old: *mut bindings::iommu_domain,
    ) -> c_int {
        // SAFETY: The device is probed.
        let client = unsafe { Self::client(dev) };
        // SAFETY: As in `attach_paging`.
        let domain = unsafe { Self::paging(domain) };
        from_result(|| {
            let driver = client.driver();
            driver
                .attach_paging(domain, &client, Some(pasid))
                .map(|()| 0)
        })
    }

    /// # Safety
    ///
    /// See [`Ops`]; any context that `gfp` allows.
    unsafe extern "C" fn map_pages(
        domain: *mut bindings::iommu_domain,
        iova: usize,
        paddr: bindings::phys_addr_t,
        page_size: usize,
        count: usize,
        prot: c_int,
        gfp: bindings::gfp_t,
        mapped: *mut usize,
    ) -> c_int {
        // SAFETY: As in `attach_paging`.
        let domain = unsafe { Self::paging(domain) };
        // SAFETY: Who maps pages sees to it that nothing is mapped there, that nobody else is at
        // it, and that the device may access the memory.
        let (bytes, ret) = unsafe { domain.map(iova, paddr, page_size, count, prot, gfp) };
        // SAFETY: The core passes a valid pointer.
        unsafe { *mapped += bytes };
        ret
    }

    /// # Safety
    ///
    /// See [`Ops`]; any context.
    unsafe extern "C" fn unmap_pages(
        raw: *mut bindings::iommu_domain,
        iova: usize,
        page_size: usize,
        count: usize,
        gather: *mut bindings::iommu_iotlb_gather,
    ) -> usize {
        // SAFETY: As in `attach_paging`.
        let domain = unsafe { Self::paging(raw) };
        // SAFETY: Who unmaps pages has mapped them before, and nobody else is at it.
        let bytes = unsafe { domain.unmap(iova, page_size, count) };
        if bytes != 0 {
            // SAFETY: The core passes a valid gather, and synchronises it afterwards.
            unsafe { bindings::sva_iotlb_gather_add(raw, gather, iova, bytes) };
        }
        bytes
    }

    /// # Safety
    ///
    /// See [`Ops`]; any context.
    unsafe extern "C" fn flush_iotlb_all(domain: *mut bindings::iommu_domain) {
        // SAFETY: As in `attach_paging`.
        unsafe { Self::paging(domain) }.user().invalidate_all();
    }

    /// # Safety
    ///
    /// See [`Ops`]; any context.
    unsafe extern "C" fn iotlb_sync(
        domain: *mut bindings::iommu_domain,
        gather: *mut bindings::iommu_iotlb_gather,
    ) {
        // SAFETY: The core passes a valid gather.
        let (start, last) = unsafe { ((*gather).start, (*gather).end) };
        // SAFETY: As in `attach_paging`.
        let user = unsafe { Self::paging(domain) }.user();
        user.invalidate(start as u64, last as u64);
    }

    /// # Safety
    ///
    /// See [`Ops`]; any context.
    unsafe extern "C" fn iova_to_phys(
        domain: *mut bindings::iommu_domain,
        iova: bindings::dma_addr_t,
    ) -> bindings::phys_addr_t {
        // SAFETY: As in `attach_paging`.
        let domain = unsafe { Self::paging(domain) };
        // SAFETY: Who asks sees to it that the mapping does not change.
        unsafe { domain.translate(iova as usize) }
    }

    /// # Safety
    ///
    /// See [`Ops`].
    unsafe extern "C" fn free_paging(domain: *mut bindings::iommu_domain) {
        // SAFETY: `alloc_paging` made this domain from a box, and the core frees it once.
        drop(unsafe { KBox::from_raw(domain.cast::<Paging<T>>()) });
    }

    /// # Safety
    ///
    /// See [`Ops`].
    pub(crate) unsafe extern "C" fn def_domain_type(dev: *mut bindings::device) -> c_int {
        // SAFETY: The device is probed.
        let client = unsafe { Self::client(dev) };
        let domain = if !client.driver().translates_dma(&client) {
            bindings::IOMMU_DOMAIN_IDENTITY
        // SAFETY: No requirements.
        } else if unsafe { bindings::iommu_default_passthrough() } {
            bindings::IOMMU_DOMAIN_DMA
        } else {
            // The core's own choice: translated, with a flush queue or without.
            0
        };
        // CAST: A small constant.
        domain as c_int
    }

    /// # Safety
    ///
    /// See [`Ops`].
    pub(crate) unsafe extern "C" fn capable(
        _dev: *mut bindings::device,
        capability: bindings::iommu_cap,
    ) -> bool {
        // Accesses snoop the CPUs' caches; nothing is invalidated before a sync or a flush.
        matches!(
            capability,
            bindings::iommu_cap_IOMMU_CAP_CACHE_COHERENCY
                | bindings::iommu_cap_IOMMU_CAP_NOEXEC
                | bindings::iommu_cap_IOMMU_CAP_DEFERRED_FLUSH
        )
    }
}
