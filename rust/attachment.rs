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
    pasid::Pasid,
    translation::Translation,
    tree::{impl_tree_item, Links},
};
use kernel::{
    error::to_result,
    mm::{Mm, MmWithUser},
    new_spinlock,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{AtomicFlag, Full, Release},
        Arc, ArcBorrow, SpinLock,
    },
    types::Opaque,
};

/// What is done with the page requests that arrive at an [`Attachment`].
pub trait FaultHandler: Send + Sync + Sized + 'static {
    /// Takes a group of page requests for `mm`, in the thread in which the IOMMU driver reports
    /// it.
    ///
    /// May sleep for memory. Page requests of other processes come by the same thread, so what may
    /// take longer, as I/O does, must be done elsewhere.
    fn report(attachment: ArcBorrow<'_, Attachment<Self>>, mm: &Mm, group: FaultGroup<Self>);

    /// The domain has been detached, and [`Self::report`] is not called any more: sees to it that
    /// on return all groups have been answered. May sleep, but must not wait for pages.
    fn detached(&self);
}

/// The place where page requests for one PASID of an IOMMU group arrive, or those for accesses
/// without.
///
/// It is attached once, and detached by [`detach`](Self::detach). Whoever does not call that leaves
/// it attached for ever.
///
/// # Invariants
///
/// While `at_work` is filled, the domain named there is attached with `handle` to the PASID named
/// there of `group`. Nobody but the core uses `handle`, and the core only from the beginning of
/// [`attach`](Self::attach) until [`detach`](Self::detach) empties `at_work`.
#[pin_data]
pub struct Attachment<T: FaultHandler> {
    #[pin]
    handle: Opaque<bindings::iommu_attach_handle>,
    links: Links,
    group: ARef<IommuGroup>,
    #[pin]
    at_work: SpinLock<Option<AtWork<T>>>,
    /// The handle has been used, or is being.
    used: AtomicFlag,
    #[pin]
    handler: T,
}

impl_tree_item! {
    impl{T: FaultHandler} TreeItem<0> for Attachment<T> {
        self.links, key: usize = |attachment| attachment.group.key()
    }
}

/// What is attached, and how.
struct AtWork<T: FaultHandler> {
    /// The attachment itself, which the core's handle leads to.
    this: Arc<Attachment<T>>,
    /// A member of the group, through which to reach it.
    endpoint: Arc<Endpoint>,
    translation: Arc<Translation<T>>,
    /// What was at work before: page requests may still be served there.
    former: Option<KBox<AtWork<T>>>,
}

// SAFETY: The handle is only used by the core, which does so under locks; the rest is `Send`.
unsafe impl<T: FaultHandler> Send for Attachment<T> {}
// SAFETY: As above, and all other fields are `Sync`.
unsafe impl<T: FaultHandler> Sync for Attachment<T> {}

impl<T: FaultHandler> Attachment<T> {
    /// A place in `group` that nothing is attached to yet.
    pub fn new<E>(group: ARef<IommuGroup>, handler: impl PinInit<T, E>) -> impl PinInit<Self, Error>
    where
        Error: From<E>,
    {
        // INVARIANT: Not at work.
        try_pin_init!(Self {
            handle <- Opaque::zeroed(),
            links: Links::new(),
            group,
            at_work <- new_spinlock!(None, "sva_attachment"),
            used: AtomicFlag::new(false),
            handler <- handler,
        })
    }

    /// Attaches `translation` to its PASID of all members of `endpoint`'s group; or to their
    /// accesses without PASID, if it has none, in place of their default domain. That comes back
    /// with the detach, and the members' drivers must not do DMA in any other way until then.
    ///
    /// `_alive` is the proof that the address space has users and keeps them: were its last
    /// reference dropped inside, the exit would detach under the mutex that the attach holds.
    ///
    /// May sleep; takes the group's mutex. Page requests may arrive before it returns.
    ///
    /// # Errors
    ///
    /// Nothing is attached then, and it may be tried again.
    ///
    /// - `EBUSY`: the PASID is attached already, or another domain to the accesses without; or the
    ///   group is being reset; or this has been attached before.
    /// - `EINVAL`: the PASID is too large for a member of the group, or the domain does not fit, or
    ///   the device is in another group.
    /// - `EOPNOTSUPP`: the IOMMU driver attaches no PASIDs; or shares no address spaces without.
    /// - `ENOMEM`, or what the IOMMU driver says.
    pub fn attach(
        self: &Arc<Self>,
        endpoint: Arc<Endpoint>,
        translation: Arc<Translation<T>>,
        _alive: &MmWithUser,
    ) -> Result {
        let domain = translation.domain();

        if translation.pasid() == Pasid::NONE && !domain.attaches_without_pasid() {
            return Err(EOPNOTSUPP);
        }
        self.use_handle(&endpoint, |handle| {
            // SAFETY: `use_handle` gives a handle that stays valid until it is detached.
            to_result(unsafe {
                if translation.pasid() == Pasid::NONE {
                    attach_group_handle(domain.as_raw(), endpoint.group().as_raw(), handle)
                } else {
                    bindings::iommu_attach_device_pasid(
                        domain.as_raw(),
                        endpoint.as_raw(),
                        translation.pasid(),
                        handle,
                    )
                }
            })
        })?;
        self.begin(endpoint, translation, None);
        Ok(())
    }

    /// Takes over from `old` with a new domain for the same address space, for all members of the
    /// group: also one that has come since, as `endpoint` may have. Translations do not fail
    /// meanwhile. Page requests that were reported before may still be served at `old`.
    ///
    /// Context and `_alive` as for [`Self::attach`].
    ///
    /// # Errors
    ///
    /// `EBUSY`: the group is being reset, or this has been attached before. `EINVAL`: `old` is not
    /// attached, or not by a PASID of the same group. `ENOMEM`, or what the IOMMU driver says.
    pub fn replace(
        self: &Arc<Self>,
        old: &Self,
        endpoint: Arc<Endpoint>,
        domain: SvaDomain<T>,
        _alive: &MmWithUser,
    ) -> Result {
        let before = old.translation().ok_or(EINVAL)?;
        let translation = Translation::with_pasid_of(&before, domain)?;
        let former = KBox::<AtWork<T>>::new_uninit(GFP_KERNEL)?;
        // Nobody else detaches it from here on.
        let work = old.at_work.lock().take().ok_or(EINVAL)?;

        let replaced = self.use_handle(&endpoint, |handle| {
            // SAFETY: As in `attach`.
            to_result(unsafe {
                replace_device_pasid(
                    translation.domain().as_raw(),
                    endpoint.as_raw(),
                    translation.pasid(),
                    handle,
                )
            })
        });
        if let Err(e) = replaced {
            *old.at_work.lock() = Some(work);
            return Err(e);
        }
        self.begin(endpoint, translation, Some(KBox::write(former, work)));
        Ok(())
    }

    /// Has `attach` use the handle, if nobody has done so before.
    fn use_handle(
        self: &Arc<Self>,
        endpoint: &Endpoint,
        attach: impl FnOnce(*mut bindings::iommu_attach_handle) -> Result,
    ) -> Result {
        if !core::ptr::eq(endpoint.group(), self.group()) {
            return Err(EINVAL);
        }
        if self.used.xchg(true, Full) {
            return Err(EBUSY);
        }
        attach(self.handle.get()).inspect_err(|_| self.used.store(false, Release))
    }

    /// Notes what has just been attached with the handle.
    fn begin(
        self: &Arc<Self>,
        endpoint: Arc<Endpoint>,
        translation: Arc<Translation<T>>,
        former: Option<KBox<AtWork<T>>>,
    ) {
        // INVARIANT: The caller has attached it. Only one caller ever does: see `used`.
        *self.at_work.lock() = Some(AtWork {
            this: self.clone(),
            endpoint,
            translation,
            former,
        });
    }

    /// Detaches, if it is attached; also what this took over from. On return all page requests
    /// have been answered.
    ///
    /// May sleep. It takes the group's mutex and waits for the page requests in flight, so it must
    /// be called neither in a page request's worker nor in an mmu notifier.
    pub fn detach(&self) {
        let Some(work) = self.at_work.lock().take() else {
            return;
        };
        let domain = work.translation.domain().as_raw();

        // SAFETY: By the type invariants this is attached.
        unsafe {
            match work.translation.pasid() {
                Pasid::NONE => detach_group_handle(domain, self.group.as_raw()),
                pasid => {
                    bindings::iommu_detach_device_pasid(domain, work.endpoint.as_raw(), pasid);
                }
            }
        }
        // The IOMMU driver reports no more requests for this PASID, and has drained its queue: no
        // `report` runs. What waits elsewhere names devices that may go now.
        let mut next = Some(&work);

        while let Some(work) = next {
            work.this.handler.detached();
            next = work.former.as_deref();
        }
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
        let mut work = self.at_work.lock();
        // The former endpoint is dropped without the lock.
        let former = match &mut *work {
            Some(work) => core::mem::replace(&mut work.endpoint, endpoint),
            None => endpoint,
        };

        drop(work);
        drop(former);
        Ok(())
    }

    /// What is attached, if anything is.
    pub fn translation(&self) -> Option<Arc<Translation<T>>> {
        let work = self.at_work.lock();

        work.as_ref().map(|work| work.translation.clone())
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
    /// not be used after [`FaultHandler::report`] has returned.
    unsafe fn of_group<'a>(group: *mut bindings::iopf_group) -> ArcBorrow<'a, Self> {
        // SAFETY: The core found the handle for this group; by the type invariants of
        // `SvaDomain`, it is embedded in an attachment of this type, in an `Arc`. The attachment
        // lives on: a reference is kept in it until the detach has had the IOMMU driver stop
        // reporting and drain its queue, and by the caller of `attach` until then.
        unsafe {
            let handle = (*group).attach_handle;

            ArcBorrow::from_raw(kernel::container_of!(
                Opaque::cast_from(handle),
                Self,
                handle
            ))
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

/// The page request handler of domains that serve attachments of `T`.
///
/// # Safety
///
/// To be called by the core alone, with a group for a domain made by [`SvaDomain::alloc`].
pub(crate) unsafe extern "C" fn report<T: FaultHandler>(group: *mut bindings::iopf_group) -> c_int {
    // SAFETY: The core passes a group that has just arrived, and the contract names the domain,
    // which is attached now and so holds a reference to its mm.
    let (attachment, mm) = unsafe {
        let domain = (*(*group).attach_handle).domain;

        (
            Attachment::<T>::of_group(group),
            Mm::from_raw((*domain).__bindgen_anon_1.__bindgen_anon_2.mm),
        )
    };
    // SAFETY: The core passes on the duty to answer the group.
    let group = unsafe { FaultGroup::from_raw(group) };

    T::report(attachment, mm, group);
    0
}
