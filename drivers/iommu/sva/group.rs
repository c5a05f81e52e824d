// SPDX-License-Identifier: GPL-2.0

//! Binding all members of an IOMMU group, or none (S12, S14, S15, S16, S19).

use crate::{
    bond::{Bond, Request, Scope},
    device::SvaDevice,
    owner::AnyOwner,
};
use kernel::{mm::MmWithUser, prelude::*, sync::Arc};
use kernel_ext::{devres, group::IommuGroup, pasid::Pasid};

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

/// What one bind of a group gave.
pub(crate) struct GroupBonds {
    /// Not empty. All have one PASID, address space and attachment.
    bonds: KVec<Arc<Bond>>,
    /// How many members have no bond.
    left_out: usize,
}

impl GroupBonds {
    /// The bonds; members that came later have others.
    pub(crate) fn bonds(&self) -> &[Arc<Bond>] {
        &self.bonds
    }

    /// The PASID.
    pub(crate) fn pasid(&self) -> u32 {
        self.bonds.first().map_or(Pasid::NONE, |bond| bond.pasid)
    }

    /// How many members were left out.
    pub(crate) fn left_out(&self) -> usize {
        self.left_out
    }

    /// Logs it, for those who are not told.
    pub(crate) fn log_left_out(&self, group: &IommuGroup) {
        if self.left_out > 0 {
            pr_info!(
                "group {}: PASID {} left out {} of {} devices, not initialised for SVA\n",
                group.id(),
                self.pasid(),
                self.left_out,
                self.bonds.len() + self.left_out
            );
        }
    }

    /// The bond of `device`.
    pub(crate) fn of_device(&self, device: &SvaDevice) -> Option<&Arc<Bond>> {
        self.bonds
            .iter()
            .find(|bond| ::core::ptr::eq(&*bond.device, device))
    }

    /// Undoes the bind, also for members that have joined since (S16). May sleep.
    ///
    /// Bonds that have ended meanwhile need no unbind.
    pub(crate) fn unbind(&self) {
        for bond in self.bonds.iter().rev() {
            let _ = bond.unbind();
        }
        let left = left(&self.bonds);
        let mut last = None;

        while let Some(bond) = self.joined_after(last) {
            follow(&bond, left);
            last = Some(address(&bond));
        }
    }

    /// Of the bonds that members got when they joined, the next by address.
    fn joined_after(&self, last: Option<usize>) -> Option<Arc<Bond>> {
        let first = self.bonds.first()?;
        let inner = first.space.lock()?;

        let next = inner
            .bonds
            .iter()
            // All bonds on one attachment count in one place. Those that had joined before the
            // bind are among its own.
            .filter(|bond| bond.joined && ::core::ptr::eq(bond.faults(), first.faults()))
            .filter(|bond| self.of_device(&bond.device).is_none())
            .filter(|bond| last < Some(address(bond)))
            .min_by_key(|bond| address(bond));

        next.map(Arc::from)
    }
}

fn address(bond: &Bond) -> usize {
    ::core::ptr::from_ref(bond).addr()
}

/// How often the members are bound that were bound together.
fn left(bonds: &[Arc<Bond>]) -> usize {
    bonds.iter().map(|bond| bond.refs()).min().unwrap_or(0)
}

/// Has the bond of a member that joined follow an unbind of the others, of which `left` are left.
///
/// It was made with as many binds as one of the others had then, before this unbind or after.
fn follow(joined: &Bond, left: usize) {
    if joined.refs() > left {
        let _ = joined.unbind();
    }
}

/// Binds `mm` to all members that are initialised for SVA and that `suits` means, under one PASID,
/// or to none.
///
/// May sleep; takes `mmap_lock` and the group's mutex.
///
/// # Errors
///
/// `ENODEV` if there is no such member, else as [`Bond::bind`].
pub(crate) fn bind<F>(
    group: &IommuGroup,
    mm: &MmWithUser,
    suits: impl Fn(&SvaDevice) -> bool,
    request: impl Fn() -> Request<F>,
) -> Result<GroupBonds>
where
    F: FnOnce() -> Result<AnyOwner>,
{
    let (devices, skipped) = members(group)?;
    let bonds = KVec::with_capacity(devices.len(), GFP_KERNEL)?;
    let mut bound = GroupBonds {
        bonds,
        left_out: skipped,
    };

    for device in &devices {
        if !suits(device) {
            bound.left_out += 1;
            continue;
        }
        match Bond::bind(device, mm, request()) {
            Ok(bond) => bound.bonds.push(bond, GFP_KERNEL)?,
            Err(e) => {
                bound.unbind();
                return Err(e);
            }
        }
    }
    if bound.bonds.is_empty() {
        return Err(ENODEV);
    }
    Ok(bound)
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

/// Undoes one [`bind`] of any driver: goes on past errors, logs each, and returns the first.
///
/// # Errors
///
/// `ESRCH` if no member has a bond under `pasid`, or one lost its bond meanwhile.
pub(crate) fn unbind(group: &IommuGroup, pasid: u32) -> Result {
    let (devices, _) = members(group)?;
    let mut bonds = KVec::with_capacity(devices.len(), GFP_KERNEL)?;
    let mut first = Ok(());

    for device in &devices {
        // A member that was initialised after the bind has no bond, and that is no error.
        let Some(bond) = device.bond(pasid) else {
            continue;
        };

        if let Err(e) = bond.unbind() {
            dev_warn!(
                device.endpoint.dev(),
                "cannot unbind PASID {pasid}: {}\n",
                e.to_errno()
            );
            first = first.and(Err(e));
        }
        bonds.push(bond, GFP_KERNEL)?;
    }
    if bonds.is_empty() {
        return Err(ESRCH);
    }
    // Some may have joined meanwhile. The unbind is done: no memory for a look is no error.
    let Ok((now, _)) = members(group) else {
        return first;
    };
    let new = |bond: &Arc<Bond>| bond.joined && !bonds.iter().any(|one| Arc::ptr_eq(one, bond));

    for bond in now.iter().filter_map(|device| device.bond(pasid)) {
        if new(&bond) {
            follow(&bond, left(&bonds));
        }
    }
    first
}
