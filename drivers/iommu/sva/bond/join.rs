// SPDX-License-Identifier: GPL-2.0

//! Devices that come into a group which is bound (S16).

use super::{device::SvaDevice, Bond, Scope, Terms};
use kernel::{mm::MmWithUser, prelude::*, sync::Arc};

impl Bond {
    /// Gives `device`, which came into the group of this bond's device later, the same bond (S16).
    ///
    /// Nothing happens if it has one, if its driver is another that cannot have it, if this is no
    /// bond of a group, or if this one or its process has ended meanwhile. May sleep; takes
    /// `mmap_lock` and the group's mutex.
    ///
    /// # Errors
    ///
    /// As [`Self::bind`].
    fn extend_to(&self, device: &Arc<SvaDevice>) -> Result {
        let Some(mm) = self.space.mm().mmget_not_zero() else {
            return Ok(());
        };
        let mm = MmWithUser::into_mmput_async(mm);
        let held = device.endpoint.hold().ok_or(ENODEV)?;
        let Some(mut inner) = self.space.lock() else {
            return Ok(());
        };
        let group = self.group(&inner).cloned();
        // Without an owner it is ending.
        let (Some(group), Some(owner)) = (group, self.owner(&inner).cloned()) else {
            return Ok(());
        };

        if !self.is_live_in(&inner)
            || group.users(&inner) == 0
            || inner.bonds.of_device(device, self.flags).is_some()
        {
            return Ok(());
        }
        let flags = device.features.of_bond(self.flags).ok_or(EINVAL)?;
        let Some(owner) = owner.for_device(device) else {
            return Ok(());
        };
        let terms = Terms {
            scope: Scope::Group,
            flags,
            owner: owner?,
            group: Some(group),
        };

        let bond = Self::make(device, held, &self.space, &mut inner, &mm, terms)?;

        bond.announce(&mut inner);
        Ok(())
    }
}

/// Gives a device that has just been initialised the bonds of its group (S16).
///
/// A bond that it cannot have is left out, with a warning: the device works without it, as those
/// members do that are not initialised.
///
/// # Errors
///
/// `ENOMEM`.
pub(super) fn join(device: &Arc<SvaDevice>) -> Result {
    for other in others(device)? {
        extend_all(&other, device)?;
    }
    // One that came at the same time may have asked those who then left, and us too early.
    for other in others(device)? {
        extend_all(device, &other)?;
    }
    Ok(())
}

/// The other initialised members of its group.
fn others(device: &Arc<SvaDevice>) -> Result<KVec<Arc<SvaDevice>>> {
    let mut others = device.core.devices()?;

    others.retain(|other| {
        !Arc::ptr_eq(other, device)
            && ::core::ptr::eq(other.endpoint.group(), device.endpoint.group())
    });
    Ok(others)
}

/// Gives `to` the bonds of its group that `from` has.
fn extend_all(from: &SvaDevice, to: &Arc<SvaDevice>) -> Result {
    for bond in from.bonds()? {
        match bond.extend_to(to) {
            Err(e) if e == ENOMEM => return Err(e),
            Err(e) => dev_warn!(
                to.endpoint.dev(),
                "cannot join the bond of its group with PASID {}: {}\n",
                bond.pasid,
                e.to_errno()
            ),
            Ok(()) => (),
        }
    }
    Ok(())
}
