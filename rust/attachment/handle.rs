// SPDX-License-Identifier: GPL-2.0

//! The handle by which the IOMMU core knows an [`Attachment`], and the way back from it.

use super::{Attachment, FaultHandler, LEAVING};
use crate::{bindings, fault::FaultGroup};
use kernel::{
    mm::Mm,
    prelude::*,
    sync::{
        atomic::{Relaxed, Release},
        ArcBorrow,
    },
    types::Opaque,
};

/// The core's function, called from this crate alone, since its symbol namespace must be imported.
///
/// # Safety
///
/// As for the core's function: valid pointers, and a handle that stays valid until it is detached.
#[inline(never)]
pub(super) unsafe fn attach_group_handle(
    domain: *mut bindings::iommu_domain,
    group: *mut bindings::iommu_group,
    handle: *mut bindings::iommu_attach_handle,
) -> c_int {
    // SAFETY: By this function's contract.
    unsafe { bindings::iommu_attach_group_handle(domain, group, handle) }
}

/// As [`attach_group_handle`].
///
/// # Safety
///
/// `domain` must be attached with [`attach_group_handle`].
#[inline(never)]
pub(super) unsafe fn detach_group_handle(
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
///
/// [`SvaDomain::alloc`]: crate::domain::SvaDomain::alloc
pub(crate) unsafe extern "C" fn report<T: FaultHandler>(group: *mut bindings::iopf_group) -> c_int {
    // SAFETY: The core passes a group that has just arrived. The IOMMU's driver reports nothing to a
    // PASID once a detach has returned, so the attachment is there until we have counted ourselves.
    let attachment = unsafe { Attachment::<T>::of_group(group) };
    let ended = &attachment.ended;

    let leaving = attachment.begun.fetch_add(1, Relaxed) & LEAVING != 0;
    // SAFETY: As above: the handle names the domain that is attached, or has been until just now;
    // it holds a reference to its mm, and is not freed as long as we are counted.
    let mm = unsafe {
        let domain = (*(*group).attach_handle).domain;

        Mm::from_raw((*domain).__bindgen_anon_1.__bindgen_anon_2.mm)
    };
    // SAFETY: The core passes on the duty to answer the group, whose device the IOMMU's driver keeps
    // until this returns.
    let group = unsafe { FaultGroup::from_raw(group) };

    if leaving {
        T::refuse(attachment, group);
    } else {
        T::report(attachment, mm, group);
    }
    // All that was done with the attachment comes before: pairs with `detach`.
    ended.fetch_add(1, Release);
    0
}

impl<T: FaultHandler> Attachment<T> {
    /// The attachment at which a group of page requests arrived.
    ///
    /// # Safety
    ///
    /// `group` must be unanswered and have arrived at an attachment of this `T`. The result must
    /// not be used after the report's end has been counted.
    unsafe fn of_group<'a>(group: *mut bindings::iopf_group) -> ArcBorrow<'a, Self> {
        // SAFETY: The core found the handle for this group; by the type invariants of
        // `SvaDomain`, it is embedded in an attachment of this type, in an `Arc`. The attachment
        // lives on: it keeps a reference to itself until the detach has seen that no report is
        // under way, and the caller of `attach` has one until that returns.
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
