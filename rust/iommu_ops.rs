// SPDX-License-Identifier: GPL-2.0

//! The C callbacks of an IOMMU driver written in Rust: from `struct iommu_ops` to [`Driver`].
//!
//! Those for paging domains are in [`super::iommu_paging_ops`].
//!
//! `dev->iommu->priv` of a probed device holds a reference on its [`Client`].

use crate::{
    bindings,
    group::IommuGroup,
    iommu_device::{
        Client,
        Driver,
        IommuDevice, //
    },
    iopf_queue::{
        FaultSource,
        PageResponse, //
    },
    resv_region::ResvList, //
};
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    device::Device,
    error::{
        from_err_ptr,
        from_result, //
    },
    mm::MmWithUser,
    prelude::*,
    sync::{
        aref::ARef,
        Arc,
        ArcBorrow, //
    },
    types::{
        ForeignOwnable,
        Opaque, //
    },
};

/// A domain as the core sees it, with the driver's part behind.
#[repr(C)]
pub(crate) struct Domain<D> {
    pub(crate) base: Opaque<bindings::iommu_domain>,
    pub(crate) data: D,
}

impl<D> Domain<D> {
    /// Gives the core a domain, which it frees, or the error. May sleep.
    pub(crate) fn give(made: Result<(bindings::iommu_domain, D)>) -> *mut bindings::iommu_domain {
        let domain = made.and_then(|(base, data)| {
            let base = Opaque::new(base);

            Ok(KBox::new(Self { base, data }, GFP_KERNEL)?)
        });

        match domain {
            // The base is the first field, so this is the domain's pointer too.
            Ok(domain) => KBox::into_raw(domain).cast(),
            Err(error) => error.to_ptr(),
        }
    }
}

/// The callbacks for driver `T`.
///
/// Their safety requirement: the IOMMU core calls them, for a device that an [`IommuDevice<T>`]
/// probed (or is asked to probe), and for a domain made here, with arguments valid for the call.
pub(crate) struct Ops<T>(PhantomData<T>);

type DeviceGroup = *mut bindings::iommu_group;

impl<T: Driver> Ops<T> {
    const IDENTITY: &'static bindings::iommu_domain_ops = &bindings::iommu_domain_ops {
        attach_dev: Some(Self::attach_identity),
        ..pin_init::zeroed()
    };

    const BLOCKED: &'static bindings::iommu_domain_ops = &bindings::iommu_domain_ops {
        attach_dev: Some(Self::attach_blocked),
        set_dev_pasid: Some(Self::block_pasid),
        ..pin_init::zeroed()
    };

    const SVA: &'static bindings::iommu_domain_ops = &bindings::iommu_domain_ops {
        attach_dev: Some(Self::attach_sva_rid),
        set_dev_pasid: Some(Self::attach_sva),
        iotlb_sync_map: Some(Self::keep_awake),
        free: Some(Self::free_sva),
        ..pin_init::zeroed()
    };

    /// The ops of an instance, without the static domains, which are the instance's own.
    pub(crate) fn build(owner: *mut bindings::module) -> bindings::iommu_ops {
        bindings::iommu_ops {
            capable: Some(Self::capable),
            domain_alloc_paging: Some(Self::alloc_paging),
            domain_alloc_paging_flags: Some(Self::alloc_paging_flags),
            domain_alloc_sva: Some(Self::alloc_sva),
            probe_device: Some(Self::probe_device),
            release_device: Some(Self::release_device),
            probe_finalize: Some(Self::probe_finalize),
            device_group: Some(Self::device_group),
            get_resv_regions: Some(Self::get_resv_regions),
            page_response: Some(Self::page_response),
            def_domain_type: Some(Self::def_domain_type),
            owner,
            ..pin_init::zeroed()
        }
    }

    pub(crate) fn identity_domain() -> bindings::iommu_domain {
        bindings::iommu_domain {
            type_: bindings::IOMMU_DOMAIN_IDENTITY,
            ops: Self::IDENTITY,
            ..pin_init::zeroed()
        }
    }

    pub(crate) fn blocked_domain() -> bindings::iommu_domain {
        bindings::iommu_domain {
            type_: bindings::IOMMU_DOMAIN_BLOCKED,
            ops: Self::BLOCKED,
            ..pin_init::zeroed()
        }
    }

    /// The record of a probed device.
    ///
    /// # Safety
    ///
    /// `dev` must have been probed by an `IommuDevice<T>` and not be released while `'a` lasts.
    pub(crate) unsafe fn client<'a>(dev: *mut bindings::device) -> ArcBorrow<'a, Client<T>> {
        // SAFETY: By the function's requirement `priv` holds what `probe_device` put there.
        unsafe { <Arc<Client<T>> as ForeignOwnable>::borrow((*(*dev).iommu).priv_) }
    }

    /// # Safety
    ///
    /// See [`Ops`].
    unsafe extern "C" fn probe_device(dev: *mut bindings::device) -> *mut bindings::iommu_device {
        // SAFETY: The core offers only devices that have a specification, and does not change or
        // free it during the call.
        let spec = unsafe { (*(*dev).iommu).fwspec };
        // SAFETY: The device is live during the call.
        let hwdev = unsafe {
            bindings::bus_find_device(
                &raw const bindings::platform_bus_type,
                core::ptr::null_mut(),
                (*spec).iommu_fwnode.cast(),
                Some(bindings::device_match_fwnode),
            )
        };
        if hwdev.is_null() {
            return ENODEV.to_ptr();
        }
        // SAFETY: The core chose these ops by the node of the specification, so an `IommuDevice<T>`
        // is registered with that node, and the one device that has it is its hardware device. The
        // instance lives longer than this call: `PlatformDevice::new()` was given a reference.
        let iommu = unsafe { IommuDevice::<T>::from_hardware(hwdev) };
        // SAFETY: The specification holds that many IDs.
        let ids = unsafe { (*spec).ids.as_slice((*spec).num_ids as usize) };
        // SAFETY: The device is live during the call.
        let device = unsafe { Device::from_raw(dev) };

        let client = iommu
            .driver()
            .probe_device(device, ids)
            .and_then(|data| Client::new(device.into(), iommu.driver().clone(), data));
        // SAFETY: `bus_find_device()` took this reference.
        unsafe { bindings::put_device(hwdev) };

        match client {
            Ok(client) => {
                // SAFETY: The core calls with the lock held that this function asks for.
                unsafe { bindings::dev_iommu_priv_set(dev, client.into_foreign()) };
                iommu.as_raw()
            }
            Err(error) => error.to_ptr(),
        }
    }

    /// # Safety
    ///
    /// See [`Ops`].
    unsafe extern "C" fn device_group(dev: *mut bindings::device) -> DeviceGroup {
        // SAFETY: The device is probed.
        let client = unsafe { Self::client(dev) };
        let other = client.driver().shares_group_with(&client);

        let group = match other.as_ref().and_then(|other| other.group.as_ref()) {
            Some(group) => Ok(group.clone()),
            // SAFETY: The device is live. The function gives a reference to us.
            None => from_err_ptr(unsafe { Self::own_group(dev) }).map(|group| {
                // SAFETY: The group is valid while we own the reference.
                let group = unsafe { IommuGroup::from_raw(group) };
                // SAFETY: The reference that the function gave becomes this one.
                unsafe { ARef::from_raw(NonNull::from(group)) }
            }),
        };
        match group {
            Ok(group) => {
                client.group.populate(group.clone());
                ARef::into_raw(group).as_ptr().cast()
            }
            Err(error) => error.to_ptr(),
        }
    }

    /// A new group; on PCI the one of those that can reach each other beside the IOMMU.
    ///
    /// # Safety
    ///
    /// `dev` must be live.
    unsafe fn own_group(dev: *mut bindings::device) -> DeviceGroup {
        #[cfg(CONFIG_PCI)]
        // SAFETY: By this function's contract.
        if unsafe { bindings::dev_is_pci(dev) } {
            // SAFETY: As above.
            return unsafe { bindings::pci_device_group(dev) };
        }
        // SAFETY: By this function's contract.
        unsafe { bindings::generic_device_group(dev) }
    }

    /// # Safety
    ///
    /// See [`Ops`].
    unsafe extern "C" fn probe_finalize(dev: *mut bindings::device) {
        // SAFETY: The device is probed.
        let client = unsafe { Self::client(dev) };

        if crate::pci_function::pasid_is_off(client.device()) {
            // The core counts what the device could send. It attaches to each member that has some.
            // SAFETY: As above; no driver has the device.
            unsafe { (*(*dev).iommu).max_pasids = 0 };
        }

        client.driver().probe_finalize(client);
    }

    /// # Safety
    ///
    /// See [`Ops`].
    unsafe extern "C" fn release_device(dev: *mut bindings::device) {
        // SAFETY: The device is probed.
        let client = unsafe { Self::client(dev) };
        client.driver().release_device(client);
        client.faults().close();
        client.driver().device_released(client);
        // SAFETY: `priv` holds what `probe_device` put there, and after this call the core does not
        // use it any more.
        drop(unsafe { <Arc<Client<T>> as ForeignOwnable>::from_foreign((*(*dev).iommu).priv_) });
    }

    /// # Safety
    ///
    /// See [`Ops`].
    unsafe extern "C" fn get_resv_regions(
        dev: *mut bindings::device,
        list: *mut bindings::list_head,
    ) {
        // SAFETY: The device is probed.
        let client = unsafe { Self::client(dev) };
        // SAFETY: The core passes a list, which is valid during the call.
        let mut list = unsafe { ResvList::from_raw(list) };

        if let Err(error) = client.driver().resv_regions(&client, &mut list) {
            // The core cannot be told.
            dev_err!(client.device(), "reserved regions are missing: {error:?}\n");
        }
    }

    /// # Safety
    ///
    /// See [`Ops`].
    unsafe extern "C" fn attach_identity(
        domain: *mut bindings::iommu_domain,
        dev: *mut bindings::device,
        _old: *mut bindings::iommu_domain,
    ) -> c_int {
        // SAFETY: The device is probed.
        let client = unsafe { Self::client(dev) };
        // SAFETY: As above, and the domain is valid.
        unsafe {
            Self::attach_with_faults(&client, domain, None, || {
                client.driver().attach_identity(&client)
            })
        }
    }

    /// # Safety
    ///
    /// See [`Ops`].
    unsafe extern "C" fn attach_blocked(
        domain: *mut bindings::iommu_domain,
        dev: *mut bindings::device,
        _old: *mut bindings::iommu_domain,
    ) -> c_int {
        // SAFETY: The device is probed.
        let client = unsafe { Self::client(dev) };
        // SAFETY: As above, and the domain is valid.
        unsafe {
            Self::attach_with_faults(&client, domain, None, || {
                client.driver().attach_blocked(&client)
            })
        }
    }

    /// Attaches `domain` to `pasid`, or without. The device has page requests if it handles them.
    ///
    /// # Safety
    ///
    /// The device of `client` must be probed, and `domain` valid.
    pub(crate) unsafe fn attach_with_faults(
        client: &Client<T>,
        domain: *const bindings::iommu_domain,
        pasid: Option<u32>,
        attach: impl FnOnce() -> Result,
    ) -> c_int {
        let faults = client.faults();
        let pasid = pasid.unwrap_or(FaultSource::NO_PASID);
        // SAFETY: By this function's contract.
        let handles = unsafe { (*domain).iopf_handler }.is_some();

        from_result(|| {
            let queue = client.driver().fault_queue(client).filter(|_| handles);
            let new = match &queue {
                // SAFETY: The device is probed until `release_device`, which closes it.
                Some(queue) => unsafe { faults.begin(queue, pasid)? },
                None => false,
            };

            let attached = attach();
            if new && attached.is_err() || attached.is_ok() && !handles {
                // What was attached before has been drained by the driver.
                faults.end(pasid);
            }
            attached.map(|()| 0)
        })
    }

    /// # Safety
    ///
    /// See [`Ops`].
    unsafe extern "C" fn block_pasid(
        _domain: *mut bindings::iommu_domain,
        dev: *mut bindings::device,
        pasid: bindings::ioasid_t,
        _old: *mut bindings::iommu_domain,
    ) -> c_int {
        // SAFETY: The device is probed.
        let client = unsafe { Self::client(dev) };
        client.driver().block_pasid(&client, pasid);
        // Whoever was attached may go now, and workers may still be at its requests.
        // SAFETY: The device is probed, and the caller holds the group's mutex.
        unsafe { client.faults().flush() };
        client.faults().end(pasid);
        0
    }

    /// # Safety
    ///
    /// See [`Ops`].
    unsafe extern "C" fn alloc_sva(
        dev: *mut bindings::device,
        mm: *mut bindings::mm_struct,
    ) -> *mut bindings::iommu_domain {
        // SAFETY: The device is probed.
        let client = unsafe { Self::client(dev) };
        // SAFETY: Who makes an SVA domain must hold a user of the address space meanwhile.
        let mm = unsafe { MmWithUser::from_raw(mm) };

        Domain::give(client.driver().alloc_sva(&client, mm).map(|data| {
            let base = bindings::iommu_domain {
                type_: bindings::IOMMU_DOMAIN_SVA,
                ops: Self::SVA,
                pgsize_bitmap: kernel::page::PAGE_SIZE,
                ..pin_init::zeroed()
            };

            (base, data)
        }))
    }

    /// # Safety
    ///
    /// See [`Ops`].
    unsafe extern "C" fn attach_sva(
        domain: *mut bindings::iommu_domain,
        dev: *mut bindings::device,
        pasid: bindings::ioasid_t,
        _old: *mut bindings::iommu_domain,
    ) -> c_int {
        // SAFETY: The device is probed.
        let client = unsafe { Self::client(dev) };
        // SAFETY: The domain has the ops `SVA`, so `alloc_sva` made it, and it is not freed during
        // the call. Its data is never borrowed mutably.
        let data = unsafe { &(*domain.cast::<Domain<T::SvaData>>()).data };
        // SAFETY: As above.
        unsafe {
            Self::attach_with_faults(&client, domain, Some(pasid), || {
                client.driver().attach_sva(data, &client, pasid)
            })
        }
    }

    /// # Safety
    ///
    /// See [`Ops`].
    unsafe extern "C" fn attach_sva_rid(
        domain: *mut bindings::iommu_domain,
        dev: *mut bindings::device,
        _old: *mut bindings::iommu_domain,
    ) -> c_int {
        // SAFETY: The device is probed.
        let client = unsafe { Self::client(dev) };
        // SAFETY: As in `attach_sva`.
        let data = unsafe { &(*domain.cast::<Domain<T::SvaData>>()).data };
        // SAFETY: As above.
        unsafe {
            Self::attach_with_faults(&client, domain, None, || {
                client.driver().attach_sva_rid(data, &client)
            })
        }
    }

    /// # Safety
    ///
    /// See [`Ops`].
    unsafe extern "C" fn keep_awake(
        domain: *mut bindings::iommu_domain,
        _iova: usize,
        _size: usize,
    ) -> c_int {
        // SAFETY: As in `attach_sva`.
        T::keep_awake(unsafe { &(*domain.cast::<Domain<T::SvaData>>()).data });
        0
    }

    /// # Safety
    ///
    /// See [`Ops`].
    unsafe extern "C" fn free_sva(domain: *mut bindings::iommu_domain) {
        // SAFETY: `alloc_sva` made this domain from a box, and the core frees it once.
        drop(unsafe { KBox::from_raw(domain.cast::<Domain<T::SvaData>>()) });
    }

    /// # Safety
    ///
    /// See [`Ops`].
    unsafe extern "C" fn page_response(
        dev: *mut bindings::device,
        fault: *mut bindings::iopf_fault,
        response: *mut bindings::iommu_page_response,
    ) {
        // SAFETY: The fault is valid during the call.
        let flags = unsafe { (*fault).fault.prm.flags };

        // The core answers each request that nobody handles; but the device awaits one answer for
        // a group, and has the index back with it.
        if flags & bindings::IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE == 0 {
            return;
        }
        // SAFETY: The device is probed.
        let client = unsafe { Self::client(dev) };
        // SAFETY: Both arguments are valid during the call.
        let response = unsafe { PageResponse::from_raw(fault, response) };
        client.driver().page_response(&client, response);
    }
}
