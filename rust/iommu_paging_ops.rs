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

    const DIRTY: &'static bindings::iommu_dirty_ops = &bindings::iommu_dirty_ops {
        set_dirty_tracking: Some(Self::set_dirty_tracking),
        read_and_clear_dirty: Some(Self::read_and_clear_dirty),
    };

    /// # Safety
    ///
    /// `domain` must have the ops [`Self::PAGING`] and not be freed while `'a` lasts.
    unsafe fn paging<'a>(domain: *mut bindings::iommu_domain) -> &'a PagingDomain<T::Paging> {
        // SAFETY: By the function's requirement `give_paging` made it. Its data is never borrowed
        // mutably.
        unsafe { &(*domain.cast::<Paging<T>>()).data }
    }

    /// # Safety
    ///
    /// As for [`Self::paging`].
    unsafe fn paging_to_attach<'a>(
        raw: *mut bindings::iommu_domain,
    ) -> &'a PagingDomain<T::Paging> {
        // SAFETY: By this function's contract.
        let domain = unsafe { Self::paging(raw) };

        // SAFETY: As above. Who makes a domain that serves faults says so before it attaches it.
        domain.set_serves_faults(unsafe { (*raw).iopf_handler.is_some() });
        domain
    }

    /// # Safety
    ///
    /// See [`Ops`].
    pub(crate) unsafe extern "C" fn alloc_paging(
        dev: *mut bindings::device,
    ) -> *mut bindings::iommu_domain {
        // SAFETY: The device is probed.
        let client = unsafe { Self::client(dev) };

        Self::give_paging(client.driver().alloc_paging(&client))
    }

    /// # Safety
    ///
    /// See [`Ops`].
    pub(crate) unsafe extern "C" fn alloc_paging_flags(
        dev: *mut bindings::device,
        flags: u32,
        user_data: *const bindings::iommu_user_data,
    ) -> *mut bindings::iommu_domain {
        // Any domain can be attached to PASIDs, so that to ask for it changes nothing.
        const DIRTY: u32 = bindings::iommufd_hwpt_alloc_flags_IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
        const KNOWN: u32 = DIRTY | bindings::iommufd_hwpt_alloc_flags_IOMMU_HWPT_ALLOC_PASID;

        if flags & !KNOWN != 0 || !user_data.is_null() {
            return EOPNOTSUPP.to_ptr();
        }
        // SAFETY: The device is probed.
        let client = unsafe { Self::client(dev) };
        let driver = client.driver();

        Self::give_paging(if flags & DIRTY != 0 {
            driver.alloc_dirty_paging(&client)
        } else {
            driver.alloc_paging(&client)
        })
    }

    fn give_paging(made: Result<PagingDomain<T::Paging>>) -> *mut bindings::iommu_domain {
        Domain::give(made.map(|data| {
            let page_table = data.page_table();
            let mut base: bindings::iommu_domain = pin_init::zeroed();

            // What iommufd asks for it takes as it is; the core sets the type of all others.
            base.type_ = bindings::IOMMU_DOMAIN_UNMANAGED;
            base.ops = Self::PAGING;
            if page_table.tracks_dirty() {
                base.dirty_ops = Self::DIRTY;
            }
            base.pgsize_bitmap = page_table.page_sizes();
            base.geometry.aperture_end = (1 << page_table.input_bits()) - 1;
            base.geometry.force_aperture = true;
            (base, data)
        }))
    }

    /// # Safety
    ///
    /// See [`Ops`].
    unsafe extern "C" fn set_dirty_tracking(
        _domain: *mut bindings::iommu_domain,
        _enabled: bool,
    ) -> c_int {
        // The page table tells at all times.
        0
    }

    /// # Safety
    ///
    /// See [`Ops`].
    unsafe extern "C" fn read_and_clear_dirty(
        domain: *mut bindings::iommu_domain,
        iova: usize,
        size: usize,
        flags: usize,
        dirty: *mut bindings::iommu_dirty_bitmap,
    ) -> c_int {
        // SAFETY: As in `attach_paging`.
        let domain = unsafe { Self::paging(domain) };
        // SAFETY: Who asks passes a valid bitmap, sees to it that nobody maps or unmaps there
        // meanwhile, and synchronises what the bitmap gathered.
        unsafe { domain.read_and_clear_dirty(iova, size, flags, dirty) }
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
        let paging = unsafe { Self::paging_to_attach(domain) };
        // SAFETY: As above.
        unsafe {
            Self::attach_with_faults(&client, domain, None, || {
                client.driver().attach_paging(paging, &client, None)
            })
        }
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
        let paging = unsafe { Self::paging_to_attach(domain) };
        // SAFETY: As above.
        unsafe {
            Self::attach_with_faults(&client, domain, Some(pasid), || {
                client.driver().attach_paging(paging, &client, Some(pasid))
            })
        }
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
        // SAFETY: `give_paging` made this domain from a box, and the core frees it once.
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
        dev: *mut bindings::device,
        capability: bindings::iommu_cap,
    ) -> bool {
        match capability {
            // Accesses snoop the CPUs' caches; nothing is invalidated before a sync or a flush.
            bindings::iommu_cap_IOMMU_CAP_CACHE_COHERENCY
            | bindings::iommu_cap_IOMMU_CAP_NOEXEC
            | bindings::iommu_cap_IOMMU_CAP_DEFERRED_FLUSH => true,
            bindings::iommu_cap_IOMMU_CAP_DIRTY_TRACKING => {
                // SAFETY: The device is probed.
                let client = unsafe { Self::client(dev) };
                client.driver().tracks_dirty(&client)
            }
            _ => false,
        }
    }
}
