// SPDX-License-Identifier: GPL-2.0

//! Binding all members of an IOMMU group, or none (S12, S14, S15, S16, S19).

use crate::{
    bond::{Bond, Owner, Request, Scope},
    device::SvaDevice,
};
use kernel::{mm::MmWithUser, prelude::*, sync::Arc};
use kernel_ext::{devres, group::IommuGroup};

/// The members that are initialised for SVA, and how many are not.
fn members(group: &IommuGroup) -> Result<(KVec<Arc<SvaDevice>>, usize)> {
    let members = group.members()?;
    let mut devices = KVec::with_capacity(members.len(), GFP_KERNEL)?;

    for member in &members {
        if let Some(device) = devres::find::<SvaDevice>(member) {
            devices.push(device, GFP_KERNEL)?;
        }
    }
    let skipped = members.len() - devices.len();

    Ok((devices, skipped))
}

/// Binds `mm` to all members that are initialised for SVA, under one PASID, or to none.
///
/// Returns the PASID; how many members were left out goes to the log. May sleep; takes
/// `mmap_lock` and the group's mutex.
///
/// # Errors
///
/// `ENODEV` if no member is initialised, else as [`Bond::bind`].
pub(crate) fn bind<F>(
    group: &IommuGroup,
    mm: &MmWithUser,
    request: impl Fn() -> Request<F>,
) -> Result<u32>
where
    F: FnOnce() -> Result<Arc<dyn Owner>>,
{
    let (devices, skipped) = members(group)?;
    let mut bonds = KVec::<Arc<Bond>>::with_capacity(devices.len(), GFP_KERNEL)?;

    for device in &devices {
        match Bond::bind(device, mm, request()) {
            Ok(bond) => bonds.push(bond, GFP_KERNEL)?,
            Err(e) => {
                for bond in bonds.iter().rev() {
                    // A bond that has ended meanwhile needs no unbind.
                    let _ = bond.unbind();
                }
                return Err(e);
            }
        }
    }
    let pasid = bonds.first().ok_or(ENODEV)?.pasid;

    if skipped > 0 {
        pr_info!(
            "group {}: PASID {pasid} left out {skipped} of {} devices, not initialised for SVA\n",
            group.id(),
            devices.len() + skipped
        );
    }
    Ok(pasid)
}

/// Gives a device that has just been initialised the bonds of its group (S16).
///
/// A bond that it cannot have is left out, with a warning: the device works without it, as those
/// members do that are not initialised.
///
/// # Errors
///
/// `ENOMEM`.
pub(crate) fn join(device: &Arc<SvaDevice>) -> Result {
    for other in device.core.devices()? {
        if Arc::ptr_eq(&other, device)
            || !::core::ptr::eq(other.endpoint.group(), device.endpoint.group())
        {
            continue;
        }
        for bond in other.bonds()? {
            if bond.scope != Scope::Group {
                continue;
            }
            match bond.extend_to(device) {
                Err(e) if e == ENOMEM => return Err(e),
                Err(e) => dev_warn!(
                    device.endpoint.dev(),
                    "cannot join the bond of its group with PASID {}: {}\n",
                    bond.pasid,
                    e.to_errno()
                ),
                Ok(()) => (),
            }
        }
    }
    Ok(())
}

/// Undoes one [`bind`]: goes on past errors, logs each, and returns the first.
///
/// # Errors
///
/// `ESRCH` if no member has a bond under `pasid`, or one lost its bond meanwhile.
pub(crate) fn unbind(group: &IommuGroup, pasid: u32) -> Result {
    let (devices, _) = members(group)?;
    let mut found = false;
    let mut first = Ok(());

    for device in &devices {
        // A member that was initialised after the bind has no bond, and that is no error.
        let Some(bond) = device.bond(pasid) else {
            continue;
        };

        found = true;
        if let Err(e) = bond.unbind() {
            dev_warn!(
                device.endpoint.dev(),
                "cannot unbind PASID {pasid}: {}\n",
                e.to_errno()
            );
            first = first.and(Err(e));
        }
    }
    if found {
        first
    } else {
        Err(ESRCH)
    }
}
