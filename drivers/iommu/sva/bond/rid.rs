// SPDX-License-Identifier: GPL-2.0

//! Bonds without PASID (S6): what a device accesses without one goes to a process.
//!
//! A device's accesses without PASID, which the bus tells by its requester ID (RID), have one
//! domain. While a process is bound there, nothing else can use it: neither a second process nor
//! the DMA API, whose addresses mean nothing to the process; interrupts that are messages go there
//! as well. The unbind brings the former domain back. Bonds with PASIDs are not concerned.

use super::{
    attach::{new_attachment, New, Prepared},
    device::SvaDevice, //
};
use crate::features::Features;
use kernel::{mm::MmWithUser, prelude::*};
use kernel_ext::{
    domain::SvaDomain,
    endpoint::Held,
    pasid::Pasid,
    translation::Translation, //
};

/// Makes what attaches the address space `mm` to what `device` accesses without PASID. May sleep;
/// takes `mmap_lock` and the mutex of the device's group.
///
/// # Errors
///
/// - `EBUSY`: the device's firmware needs memory mapped one to one there.
/// - `ENOMEM`, and what the IOMMU driver says.
pub(super) fn prepare(
    device: &SvaDevice,
    held: &Held,
    mm: &MmWithUser,
    flags: Features,
) -> Result<Prepared> {
    if held.needs_direct() {
        return Err(EBUSY);
    }
    Ok(Prepared {
        attachment: new_attachment(device, flags)?,
        pasid: Pasid::NONE,
        entered: None,
        new: Some(New::alone(Translation::new(
            SvaDomain::alloc(held, mm)?,
            Pasid::none(),
        )?)),
    })
}
