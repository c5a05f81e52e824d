// SPDX-License-Identifier: GPL-2.0

//! Binding all members of an IOMMU group, or none (S12, S14, S15, S16, S19).
//!
//! A group's bond has one count. Its members are the bonds of devices that name it: each is bound as
//! often as the group, and as often as the device was bound by itself. So a device that joins the
//! group, or leaves it, has nothing to count.

use super::{
    device::SvaDevice,
    life::Called,
    space::{AddressSpace, Inner},
    Bond,
};
use crate::trace;
use kernel::{
    prelude::*,
    sync::{Arc, LockedBy},
};
use kernel_ext::{
    devres,
    group::IommuGroup,
    test_point::{self, TestPoint},
};

/// An address space bound to a group, by one driver.
pub(crate) struct GroupBond {
    space: Arc<AddressSpace>,
    pub(crate) pasid: u32,
    /// How often it was bound and not unbound.
    users: LockedBy<u32, Inner>,
}

/// The members that are initialised for SVA now, and how many are not.
pub(super) fn members(group: &IommuGroup) -> Result<(KVec<Arc<SvaDevice>>, usize)> {
    let members = group.members()?;
    let mut devices = KVec::with_capacity(members.len(), GFP_KERNEL)?;

    for member in &members {
        match devres::find::<SvaDevice>(member) {
            Some(device) if device.is_open() => devices.push(device, GFP_KERNEL)?,
            _ => (),
        }
    }
    let skipped = members.len() - devices.len();

    Ok((devices, skipped))
}

/// Those that are parts of `group` have none in it any more, if it is not bound: they are bound by
/// themselves.
fn leave_unused(group: &Arc<GroupBond>, inner: &mut Inner) {
    while *group.users.access(inner) == 0 {
        let Some(bond) = group.member(inner, |_, _| true) else {
            return;
        };

        drop(bond.set_group(inner, None));
    }
}

impl GroupBond {
    /// A group's bond that is not bound, of which `bond` is the first member.
    pub(super) fn new(space: &Arc<AddressSpace>, bond: &Bond) -> Result<Arc<Self>> {
        Ok(Arc::new(
            Self {
                space: space.clone(),
                pasid: bond.pasid,
                users: space.locked_by(0),
            },
            GFP_KERNEL,
        )?)
    }

    /// It is bound once more.
    pub(super) fn add_user(&self, inner: &mut Inner) {
        *self.users.access_mut(inner) += 1;
    }

    /// How often it is bound.
    pub(super) fn users(&self, inner: &Inner) -> u32 {
        *self.users.access(inner)
    }

    /// A member that is `wanted`.
    fn member(&self, inner: &Inner, wanted: impl Fn(&Bond, &Inner) -> bool) -> Option<Arc<Bond>> {
        let mut bonds = inner.bonds.iter();

        bonds
            .find(|bond| self.has(bond, inner) && wanted(bond, inner))
            .map(Arc::from)
    }

    fn has(&self, bond: &Bond, inner: &Inner) -> bool {
        bond.group(inner)
            .is_some_and(|group| ::core::ptr::eq(&**group, self))
    }

    /// Tells of a bind or an unbind of each member that is `meant`.
    pub(super) fn trace(
        &self,
        inner: &Inner,
        meant: impl Fn(&Bond) -> bool,
        event: fn(trace::Traced<'_>, usize),
    ) {
        if !trace::counts() {
            return;
        }
        for bond in inner.bonds.iter() {
            if self.has(&bond, inner) && meant(&bond) {
                event(
                    bond.traced(),
                    usize::try_from(bond.refs_in(inner)).unwrap_or(0),
                );
            }
        }
    }

    /// The members that there are now. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn members(&self) -> Result<KVec<Arc<Bond>>> {
        let mut members = KVec::new();

        if let Some(inner) = self.space.lock() {
            for bond in inner.bonds.iter().filter(|bond| self.has(bond, &inner)) {
                members.push(bond.into(), GFP_KERNEL)?;
            }
        }
        Ok(members)
    }

    /// See [`Bond::is_callers`].
    pub(crate) fn is_callers(&self) -> bool {
        self.any_member().is_some_and(|bond| bond.is_callers())
    }

    /// One of the members that there are now. May sleep.
    pub(crate) fn any_member(&self) -> Option<Arc<Bond>> {
        self.member(&*self.space.lock()?, |_, _| true)
    }

    /// Takes back one bind: of each member, also of those that have joined since (S16). Goes on past
    /// members that have ended (S19). Context as for [`Bond::unbind`].
    ///
    /// # Errors
    ///
    /// `ESRCH`: all members have ended, or it was unbound as often as it was bound.
    pub(crate) fn unbind(self: &Arc<Self>) -> Result {
        let mut inner = self.space.lock().ok_or(ESRCH)?;

        // Drivers must not lose what they have for a bond while they are called for it. Who is called
        // for a member itself does not wait for others, which may wait for that.
        let here = self
            .member(&inner, |bond, inner| bond.called(inner) == Called::Here)
            .is_some();

        while !here
            && self
                .member(&inner, |bond, inner| {
                    bond.called(inner) == Called::Elsewhere
                })
                .is_some()
        {
            self.space.wait(&mut inner);
        }
        if self.member(&inner, |_, _| true).is_none() || self.users(&inner) == 0 {
            return Err(ESRCH);
        }
        *self.users.access_mut(&mut inner) -= 1;
        self.trace(&inner, |bond| bond.refs_in(&inner) > 0, trace::unbind);
        drop(inner);
        test_point::pass(TestPoint::GroupUnbound);
        // One after the other, since each may call a driver.
        while let Some(mut inner) = self.space.lock() {
            let unused = |bond: &Bond, inner: &Inner| {
                bond.refs_in(inner) <= 0
                    && match bond.called(inner) {
                        Called::No => true,
                        Called::Here => !bond.is_end_left_to_call(inner),
                        Called::Elsewhere => !here,
                    }
            };
            let Some(bond) = self.member(&inner, unused) else {
                leave_unused(self, &mut inner);
                break;
            };

            match bond.called(&inner) {
                // Somebody else ends it just now.
                Called::Elsewhere => self.space.wait(&mut inner),
                _ => bond.end_unless_bound(inner),
            }
        }
        Ok(())
    }
}

/// Undoes one [bind](super::members::bind) of any driver, of the bond that members have under `pasid`: of the group's if
/// they are parts of one, else of each. Goes on past errors, logs each, and returns the first.
///
/// # Errors
///
/// `ESRCH` if no member has a bond under `pasid`, or one lost its bond meanwhile.
pub(crate) fn unbind(group: &IommuGroup, pasid: u32) -> Result {
    let (devices, _) = members(group)?;
    let mut first = Err(ESRCH);
    let mut alone = true;

    for device in &devices {
        if device.bond(pasid).is_none() {
            device.pay(pasid);
        }
    }
    for bond in devices.iter().filter_map(|device| device.bond(pasid)) {
        let part = bond
            .space
            .lock()
            .and_then(|inner| bond.group(&inner).cloned());

        if let Some(part) = part {
            // It is all of them.
            return part.unbind();
        }
        let unbound = bond.unbind();

        if let Err(e) = unbound {
            dev_warn!(
                bond.device.endpoint.dev(),
                "cannot unbind PASID {pasid}: {}\n",
                e.to_errno()
            );
        }
        first = match alone {
            true => unbound,
            false => first.and(unbound),
        };
        alone = false;
    }
    first
}
