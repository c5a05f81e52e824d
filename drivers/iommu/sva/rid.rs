// SPDX-License-Identifier: GPL-2.0

//! Bonds without PASID (S6): what a device accesses without one goes to a process.
//!
//! A device's accesses without PASID, which the bus tells by its requester ID (RID), have one
//! domain. While a process is bound there, nothing else can use it: neither a second process nor
//! the DMA API, whose addresses mean nothing to the process; interrupts that are messages go there
//! as well. The unbind brings the former domain back. Bonds with PASIDs are not concerned.

use crate::{
    attachments::Prepared,
    device::SvaDevice,
    fault::FaultService,
    features::Features, //
};
use kernel::{mm::MmWithUser, prelude::*, sync::Arc};
use kernel_ext::{
    attachment::Attachment,
    domain::SvaDomain,
    pasid::Pasid,
    translation::Translation, //
};

/// Whether `device` is the only member of its group.
fn is_alone(device: &SvaDevice) -> bool {
    device.endpoint.group().len() == 1
}

/// Makes what attaches the address space `mm` to what `device` accesses without PASID. May sleep;
/// takes `mmap_lock` and the mutex of the device's group.
///
/// # Errors
///
/// - `EBUSY`: the device's firmware needs memory mapped one to one there. Or the group has other
///   members: they would lose the memory that their drivers let them use.
/// - `ENOMEM`, and what the IOMMU driver says.
pub(crate) fn prepare(device: &SvaDevice, mm: &MmWithUser, flags: Features) -> Result<Prepared> {
    let endpoint = &device.endpoint;

    if endpoint.needs_direct() || !is_alone(device) {
        return Err(EBUSY);
    }
    let service = FaultService::new(&device.core, flags, device.number);
    let attachment = Arc::pin_init(
        Attachment::new(endpoint.group().into(), service),
        GFP_KERNEL,
    )?;

    Ok(Prepared {
        attachment,
        pasid: Pasid::NONE,
        new: Some(Translation::new(
            SvaDomain::alloc(endpoint, mm)?,
            Pasid::none(),
        )?),
        shared: false,
    })
}

/// Attaches what was prepared. Context as for [`prepare`].
///
/// # Errors
///
/// - `EBUSY`: the domain is in use for something else than the DMA API: another process is bound.
///   Or another device has come into the group.
/// - `EOPNOTSUPP`: the IOMMU driver cannot do that.
/// - `ENOMEM`, and what the IOMMU driver says.
pub(crate) fn attach(prepared: &Prepared, device: &SvaDevice, mm: &MmWithUser) -> Result {
    prepared.attach(device, mm)?;
    // Who came in just before the attach shares the domain; who comes later gets no driver.
    if is_alone(device) {
        return Ok(());
    }
    prepared.attachment.detach();
    Err(EBUSY)
}
