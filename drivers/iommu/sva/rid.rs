// SPDX-License-Identifier: GPL-2.0

//! Bonds without PASID (S6): what a device accesses without one goes to a process.
//!
//! A device's accesses without PASID, which the bus tells by its requester ID (RID), have one
//! domain. While a process is bound there, nothing else can use it: neither a second process nor
//! the DMA API, whose addresses mean nothing to the process; interrupts that are messages go there
//! as well. The unbind brings the former domain back. Bonds with PASIDs are not concerned.

use crate::{
    attachments::{Attached, GroupAttachment},
    device::SvaDevice,
    fault::FaultService,
    features::Features, //
};
use kernel::{mm::MmWithUser, prelude::*, sync::Arc};
use kernel_ext::{attachment::Attachment, domain::SvaDomain};

/// Attaches the address space `mm` to what `device` accesses without PASID. May sleep; takes
/// `mmap_lock` and the mutex of the device's group.
///
/// # Errors
///
/// - `EBUSY`: the domain is in use for something else than the DMA API: another process is bound.
///   Or the device's firmware needs memory mapped one to one there. Or the group has other
///   members: they would lose the memory that their drivers let them use.
/// - `EOPNOTSUPP`: the IOMMU driver cannot do that.
/// - `ENOMEM`, and what the IOMMU driver says.
pub(crate) fn attach(device: &SvaDevice, mm: &MmWithUser, flags: Features) -> Result<Attached> {
    let endpoint = &device.endpoint;
    let alone = || endpoint.group().len() == 1;

    if endpoint.needs_direct() || !alone() {
        return Err(EBUSY);
    }
    let service = FaultService::new(flags)?;
    let domain = Arc::new(SvaDomain::alloc(endpoint, mm)?, GFP_KERNEL)?;
    let attachment: GroupAttachment = KBox::try_pin_init(
        Attachment::without_pasid(endpoint.clone(), domain, mm, service)?,
        GFP_KERNEL,
    )?;

    // Who came in just before the attach shares the domain; who comes later gets no driver.
    if !alone() {
        return Err(EBUSY);
    }
    Ok(Attached::WithoutPasid(attachment))
}
