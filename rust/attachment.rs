// SPDX-License-Identifier: GPL-2.0

//! Attachments: a domain at work under one PASID of one IOMMU group.
//!
//! The core finds an attachment's handle by (group, PASID) for each page request, and the handle
//! leads straight to the attachment that it is embedded in: there is no second lookup.

use crate::{
    bindings,
    domain::SvaDomain,
    fault::FaultGroup,
    group::{Endpoint, IommuGroup},
    pasid::Pasid, //
};
use kernel::{
    error::to_result,
    mm::MmWithUser,
    new_spinlock,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{Acquire, AtomicFlag, Relaxed, Release},
        Arc, SpinLock,
    },
    types::Opaque,
};

/// What is done with the page requests that arrive at an [`Attachment`].
pub trait FaultHandler: Send + Sync + Sized + 'static {
    /// Takes a group of page requests, in the thread in which the IOMMU driver reports it.
    ///
    /// Must not wait for other page requests. What may take long goes to
    /// [`FaultGroup::defer`], which has [`Self::work`] called.
    fn report(&self, domain: &SvaDomain<Self>, group: FaultGroup<Self>);

    /// Takes a deferred group, in a worker of the device's page request queue. May sleep.
    fn work(&self, domain: &SvaDomain<Self>, group: FaultGroup<Self>);
}

/// A domain attached to one PASID of an IOMMU group, or to its accesses without; detached when
/// dropped.
///
/// Dropping may sleep. It takes the group's mutex and waits for the page requests in flight, so it
/// must happen neither in a page request's worker nor in an mmu notifier.
///
/// # Invariants
///
/// From the end of initialisation until drop, `domain` is attached to (`endpoint`'s group,
/// `pasid`) with `handle`, unless `replaced` is set; to the group's accesses without PASID, if
/// `pasid` is none. Nobody but the core uses `handle`.
#[pin_data(PinnedDrop)]
pub struct Attachment<T: FaultHandler> {
    #[pin]
    handle: Opaque<bindings::iommu_attach_handle>,
    /// A member of the group, through which to reach it.
    #[pin]
    endpoint: SpinLock<Arc<Endpoint>>,
    group: ARef<IommuGroup>,
    pasid: Arc<Pasid>,
    domain: Arc<SvaDomain<T>>,
    handler: T,
    /// Another attachment has taken over.
    replaced: AtomicFlag,
    /// Page requests have arrived, of which some may be in flight.
    reported: AtomicFlag,
}

// SAFETY: The handle is only used by the core, which does so under locks; the rest is `Send`.
unsafe impl<T: FaultHandler> Send for Attachment<T> {}
// SAFETY: As above, and all other fields are `Sync`.
unsafe impl<T: FaultHandler> Sync for Attachment<T> {}

impl<T: FaultHandler> Attachment<T> {
    /// Attaches `domain` to `pasid` of all members of `endpoint`'s group.
    ///
    /// `_alive` is the proof that the address space has users and keeps them: were its last
    /// reference dropped inside, the exit would detach under the mutex that the attach holds.
    ///
    /// May sleep; takes the group's mutex.
    ///
    /// # Errors
    ///
    /// - `EBUSY`: the PASID is attached already, or the group is being reset.
    /// - `EINVAL`: the PASID is too large for a member of the group, or the domain does not fit.
    /// - `EOPNOTSUPP`: the IOMMU driver attaches no PASIDs.
    /// - `ENOMEM`, or what the IOMMU driver says.
    pub fn new(
        endpoint: Arc<Endpoint>,
        pasid: Arc<Pasid>,
        domain: Arc<SvaDomain<T>>,
        _alive: &MmWithUser,
        handler: T,
    ) -> impl PinInit<Self, Error> {
        Self::with(endpoint, pasid, domain, handler, |this, endpoint| {
            // SAFETY: `with` gives a pinned attachment, whose handle stays valid until it is
            // detached in drop, and calls this as the last fallible step.
            to_result(unsafe {
                bindings::iommu_attach_device_pasid(
                    this.domain.as_raw(),
                    endpoint.as_raw(),
                    this.pasid.get(),
                    this.handle.get(),
                )
            })
        })
    }

    /// Attaches `domain` to the accesses without PASID of all members of `endpoint`'s group, in
    /// place of their default domain, which comes back when this is dropped.
    ///
    /// The members' drivers must not do DMA in any other way meanwhile. Context and `_alive` as for
    /// [`Self::new`].
    ///
    /// # Errors
    ///
    /// - `EBUSY`: another domain is attached there, or the group is being reset.
    /// - `EOPNOTSUPP`: the IOMMU driver cannot share address spaces without PASIDs.
    /// - `EINVAL`: the domain does not fit. `ENOMEM`, or what the IOMMU driver says.
    pub fn without_pasid(
        endpoint: Arc<Endpoint>,
        domain: Arc<SvaDomain<T>>,
        _alive: &MmWithUser,
        handler: T,
    ) -> Result<impl PinInit<Self, Error>> {
        let pasid = Arc::new(Pasid::none(), GFP_KERNEL)?;

        if !domain.attaches_without_pasid() {
            return Err(EOPNOTSUPP);
        }
        Ok(Self::with(
            endpoint,
            pasid,
            domain,
            handler,
            |this, endpoint| {
                // SAFETY: As in `new`; the endpoint keeps its group.
                to_result(unsafe {
                    attach_group_handle(
                        this.domain.as_raw(),
                        endpoint.group().as_raw(),
                        this.handle.get(),
                    )
                })
            },
        ))
    }

    /// Takes over from `old` with a new domain for the same address space, for all members of the
    /// group: also one that has come since, as `endpoint` may have. Translations do not fail
    /// meanwhile.
    ///
    /// `old` must live on until the result has been dropped: page requests that were reported
    /// before may still be served there.
    ///
    /// Context and `_alive` as for [`Self::new`].
    ///
    /// # Errors
    ///
    /// `EBUSY`: the group is being reset. `ENOMEM`, or what the IOMMU driver says.
    pub fn replace<'a>(
        old: &'a Self,
        endpoint: Arc<Endpoint>,
        domain: Arc<SvaDomain<T>>,
        _alive: &'a MmWithUser,
        handler: T,
    ) -> impl PinInit<Self, Error> + 'a {
        let pasid = old.pasid.clone();

        Self::with(endpoint, pasid, domain, handler, |this, endpoint| {
            // SAFETY: As in `new`.
            to_result(unsafe {
                replace_device_pasid(
                    this.domain.as_raw(),
                    endpoint.as_raw(),
                    this.pasid.get(),
                    this.handle.get(),
                )
            })?;
            old.replaced.store(true, Release);
            Ok(())
        })
    }

    /// An attachment that `attach` attaches.
    fn with<'a>(
        endpoint: Arc<Endpoint>,
        pasid: Arc<Pasid>,
        domain: Arc<SvaDomain<T>>,
        handler: T,
        attach: impl FnOnce(&Self, &Endpoint) -> Result + 'a,
    ) -> impl PinInit<Self, Error> + 'a {
        // Page requests may arrive before the attach returns, so it comes last.
        try_pin_init!(&this in Self {
            handle <- Opaque::zeroed(),
            group: ARef::from(endpoint.group()),
            endpoint <- new_spinlock!(endpoint, "sva_attachment"),
            pasid,
            domain,
            handler,
            replaced: AtomicFlag::new(false),
            reported: AtomicFlag::new(false),
            _: {
                // SAFETY: `this` is pinned, and all its fields have been initialised above.
                let this = unsafe { this.as_ref() };
                let endpoint = this.endpoint.lock().clone();

                attach(this, &endpoint)?;
            },
        })
    }

    /// The group.
    pub fn group(&self) -> &IommuGroup {
        &self.group
    }

    /// Reaches the group through `endpoint` from now on, since its former member leaves.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the device is in another group.
    pub fn set_endpoint(&self, endpoint: Arc<Endpoint>) -> Result {
        if !core::ptr::eq(endpoint.group(), self.group()) {
            return Err(EINVAL);
        }
        let former = core::mem::replace(&mut *self.endpoint.lock(), endpoint);

        drop(former);
        Ok(())
    }

    /// The PASID.
    pub fn pasid(&self) -> &Arc<Pasid> {
        &self.pasid
    }

    /// The domain.
    pub fn domain(&self) -> &Arc<SvaDomain<T>> {
        &self.domain
    }

    /// What handles the page requests.
    pub fn handler(&self) -> &T {
        &self.handler
    }

    /// The attachment at which a group of page requests arrived.
    ///
    /// # Safety
    ///
    /// `group` must be unanswered and have arrived at an attachment of this `T`. The result must
    /// not be used after `group` has been answered and the handler has returned.
    pub(crate) unsafe fn of_group<'a>(group: *mut bindings::iopf_group) -> &'a Self {
        // SAFETY: The core found the handle for this group; by the type invariants of
        // `SvaDomain`, it is embedded in an attachment of this type. The attachment lives on:
        // drop first has the IOMMU driver stop reporting and then flushes the queue.
        unsafe {
            let handle = (*group).attach_handle;

            &*kernel::container_of!(Opaque::cast_from(handle), Self, handle)
        }
    }
}

/// The core's function, called from this crate alone, since its symbol namespace must be imported.
///
/// # Safety
///
/// As for the core's function: valid pointers, and a handle that stays valid until it is detached.
#[inline(never)]
unsafe fn replace_device_pasid(
    domain: *mut bindings::iommu_domain,
    dev: *mut bindings::device,
    pasid: u32,
    handle: *mut bindings::iommu_attach_handle,
) -> c_int {
    // SAFETY: By this function's contract.
    unsafe { bindings::iommu_replace_device_pasid(domain, dev, pasid, handle) }
}

/// As [`replace_device_pasid`].
///
/// # Safety
///
/// As for the core's function: valid pointers, and a handle that stays valid until it is detached.
#[inline(never)]
unsafe fn attach_group_handle(
    domain: *mut bindings::iommu_domain,
    group: *mut bindings::iommu_group,
    handle: *mut bindings::iommu_attach_handle,
) -> c_int {
    // SAFETY: By this function's contract.
    unsafe { bindings::iommu_attach_group_handle(domain, group, handle) }
}

/// As [`replace_device_pasid`].
///
/// # Safety
///
/// `domain` must be attached with [`attach_group_handle`].
#[inline(never)]
unsafe fn detach_group_handle(
    domain: *mut bindings::iommu_domain,
    group: *mut bindings::iommu_group,
) {
    // SAFETY: By this function's contract.
    unsafe { bindings::iommu_detach_group_handle(domain, group) }
}

#[pinned_drop]
impl<T: FaultHandler> PinnedDrop for Attachment<T> {
    fn drop(self: Pin<&mut Self>) {
        let endpoint = self.endpoint.lock().clone();

        if !self.replaced.load(Acquire) {
            // SAFETY: By the type invariants this is attached.
            unsafe {
                if self.pasid.is_some() {
                    bindings::iommu_detach_device_pasid(
                        self.domain.as_raw(),
                        endpoint.as_raw(),
                        self.pasid.get(),
                    );
                } else {
                    detach_group_handle(self.domain.as_raw(), self.group.as_raw());
                }
            }
        }
        // The IOMMU driver reports no more requests for this PASID; those that it did report
        // still use `self`. All members share their IOMMU's queue.
        //
        // Relaxed: whoever reports is done, and the IOMMU driver has waited for that.
        if self.reported.load(Relaxed) {
            endpoint.flush_page_requests();
        }
    }
}

/// The page request handler of domains that serve attachments of `T`.
///
/// # Safety
///
/// To be called by the core alone, with a group for a domain made by [`SvaDomain::alloc`].
pub(crate) unsafe extern "C" fn report<T: FaultHandler>(group: *mut bindings::iopf_group) -> c_int {
    // SAFETY: The core passes a group that has just arrived, and the contract names the domain.
    let attachment = unsafe { Attachment::<T>::of_group(group) };
    // SAFETY: The core passes on the duty to answer the group.
    let group = unsafe { FaultGroup::from_raw(group) };

    // Written once, so that reports do not fight for the cache line.
    if !attachment.reported.load(Relaxed) {
        attachment.reported.store(true, Relaxed);
    }
    attachment.handler.report(&attachment.domain, group);
    0
}

/// Runs [`FaultHandler::work`] for a deferred group.
///
/// # Safety
///
/// `work` must be that of a group which [`FaultGroup::defer`] queued.
pub(crate) unsafe extern "C" fn work<T: FaultHandler>(work: *mut bindings::work_struct) {
    // SAFETY: By this function's contract `work` is embedded in a group.
    let group = unsafe { kernel::container_of!(work, bindings::iopf_group, work) };
    // SAFETY: `defer` queues groups that arrived at attachments of this type, unanswered.
    let attachment = unsafe { Attachment::<T>::of_group(group) };
    // SAFETY: `defer` passed on the duty to answer the group.
    let group = unsafe { FaultGroup::from_raw(group) };

    attachment.handler.work(&attachment.domain, group);
}
