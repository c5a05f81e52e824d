// SPDX-License-Identifier: GPL-2.0

//! Binding all members of an IOMMU group, or none (S12, S14, S15, S16, S19).
//!
//! A group's bond has one count. Its members are the bonds of devices that name it: each is bound as
//! often as the group, and as often as the device was bound by itself. So a device that joins the
//! group, or leaves it, has nothing to count.

use super::{
    device::SvaDevice,
    life::Called,
    owner::{AnyOwner, Identity},
    space::{AddressSpace, Inner, Locked},
    Bond, Scope, Terms,
};
use crate::{
    features::{Feature, Features},
    trace,
};
use kernel::{
    mm::MmWithUser,
    prelude::*,
    sync::{Arc, LockedBy},
};
use kernel_ext::{
    devres, dma_owner,
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

/// What a driver asks for.
pub(crate) struct GroupRequest<S, O> {
    pub(crate) flags: Features,
    pub(crate) identity: Identity,
    /// Which members are meant.
    pub(crate) suits: S,
    /// Makes the driver's side of a bond of a device.
    pub(crate) owner: O,
}

/// What one bind of a group gave.
pub(crate) struct Bound {
    pub(crate) group: Arc<GroupBond>,
    /// The bond of the device that was asked, if one was.
    pub(crate) own: Option<Arc<Bond>>,
    /// How many members have no bond.
    pub(crate) left_out: usize,
    /// How many have.
    pub(crate) members: usize,
}

impl Bound {
    /// Logs how many were left out, for those who are not told.
    pub(crate) fn log_left_out(&self, group: &IommuGroup) {
        if self.left_out > 0 {
            pr_info!(
                "group {}: PASID {} left out {} of {} devices, not initialised for SVA\n",
                group.id(),
                self.group.pasid,
                self.left_out,
                self.members + self.left_out
            );
        }
    }
}

/// The members that are initialised for SVA now, and how many are not.
fn members(group: &IommuGroup) -> Result<(KVec<Arc<SvaDevice>>, usize)> {
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

/// Binds `mm` to all members that are initialised for SVA and that the request means, under one PASID,
/// or to none. `own` is the device whose bond is wanted, or any.
///
/// May sleep; takes `mmap_lock` and the group's mutex.
///
/// # Errors
///
/// `ENODEV` if there is no such member; `EPERM` if a member could not come back after it has left; else
/// as [`Bond::bind`].
pub(crate) fn bind<S, O>(
    group: &IommuGroup,
    own: Option<&Arc<SvaDevice>>,
    mm: &MmWithUser,
    request: &GroupRequest<S, O>,
) -> Result<Bound>
where
    S: Fn(&SvaDevice) -> bool,
    O: Fn(&SvaDevice) -> Result<AnyOwner>,
{
    let (devices, _) = members(group)?;
    let core = &devices.first().ok_or(ENODEV)?.core;

    loop {
        let space = core.space(mm)?;
        let Some(mut inner) = space.lock() else {
            // Its last bond has just ended: begin anew.
            core.forget_space(&space);
            continue;
        };
        let ending = |device: &Arc<SvaDevice>| {
            let there = inner.bonds.of_device(device, request.flags);

            there.map_or(Called::No, |bond| bond.called(&inner))
        };

        match devices
            .iter()
            .map(ending)
            .find(|&called| called != Called::No)
        {
            None => {
                let bound = bind_locked(group, own, mm, request, &space, &mut inner);

                space.unlock(core, inner);
                return bound;
            }
            Some(Called::Here) => return Err(EBUSY),
            Some(_) => space.wait(&mut inner),
        }
    }
}

fn bind_locked<S, O>(
    group: &IommuGroup,
    own: Option<&Arc<SvaDevice>>,
    mm: &MmWithUser,
    request: &GroupRequest<S, O>,
    space: &Arc<AddressSpace>,
    inner: &mut Locked<'_>,
) -> Result<Bound>
where
    S: Fn(&SvaDevice) -> bool,
    O: Fn(&SvaDevice) -> Result<AnyOwner>,
{
    let mut bound = None;
    let mut made = KVec::<Arc<Bond>>::new();

    let result = loop {
        // Again after each: a device that is initialised meanwhile either is among them, or finds
        // the bonds that are listed (S16).
        let next = match next_member(group, request, inner, bound.as_ref()) {
            Ok(next) => next,
            Err(e) => break Err(e),
        };
        let Some(device) = next.device else {
            break Ok(next);
        };

        if let Err(e) = bind_member(&device, mm, request, space, inner, &mut bound, &mut made) {
            device.tell_refused(e);
            break Err(e);
        }
        test_point::pass(TestPoint::FirstMember);
    };
    let own_bond = own.and_then(|own| {
        let bond: Arc<Bond> = inner.bonds.of_device(own, request.flags)?.into();
        let part = bond.group(inner)?;

        bound
            .as_ref()
            .is_some_and(|bound| Arc::ptr_eq(bound, part))
            .then_some(bond)
    });

    match (result, bound) {
        (Ok(all), Some(group)) if own.is_none() || own_bond.is_some() => {
            *group.users.access_mut(inner) += 1;
            for bond in &made {
                bond.announce(inner);
            }
            group.trace(
                inner,
                |bond| !made.iter().any(|one| ::core::ptr::eq(&**one, bond)),
                trace::bind,
            );
            Ok(Bound {
                group,
                own: own_bond,
                left_out: all.left_out,
                members: all.there,
            })
        }
        (result, bound) => {
            // Nobody has seen those at work that were made.
            for bond in made.iter().rev() {
                bond.undo(inner);
            }
            if let Some(group) = bound {
                leave_unused(&group, inner);
            }
            Err(result.err().unwrap_or(ENODEV))
        }
    }
}

/// What is still to be done.
struct Next {
    /// A member that has no part yet.
    device: Option<Arc<SvaDevice>>,
    there: usize,
    left_out: usize,
}

fn next_member<S, O>(
    group: &IommuGroup,
    request: &GroupRequest<S, O>,
    inner: &Inner,
    bound: Option<&Arc<GroupBond>>,
) -> Result<Next>
where
    S: Fn(&SvaDevice) -> bool,
{
    let (devices, skipped) = members(group)?;
    let mut next = Next {
        device: None,
        there: 0,
        left_out: skipped,
    };

    for device in devices {
        let bond = inner.bonds.of_device(&device, request.flags);
        let part = bond.and_then(|bond| bond.group(inner).cloned());

        if !(request.suits)(&device) {
            next.left_out += 1;
        } else if part.is_some_and(|part| bound.is_some_and(|bound| Arc::ptr_eq(bound, &part))) {
            next.there += 1;
        } else if next.device.is_none() {
            next.device = Some(device);
        }
    }
    Ok(next)
}

/// Makes the bond of one member a part of what is `bound`, or that which it is a part of `bound`.
fn bind_member<S, O>(
    device: &Arc<SvaDevice>,
    mm: &MmWithUser,
    request: &GroupRequest<S, O>,
    space: &Arc<AddressSpace>,
    inner: &mut Locked<'_>,
    bound: &mut Option<Arc<GroupBond>>,
    made: &mut KVec<Arc<Bond>>,
) -> Result
where
    O: Fn(&SvaDevice) -> Result<AnyOwner>,
{
    let flags = device.features.of_bond(request.flags).ok_or(EINVAL)?;
    let bond: Arc<Bond> = match inner.bonds.of_device(device, flags).map(Arc::from) {
        Some(there) => {
            let bond: Arc<Bond> = there;

            bond.check_same(inner, flags, request.identity)?;
            bond
        }
        None => {
            // Without PASID no other member can share it.
            if !flags.contains(Feature::Pasid) && device.endpoint.group().len() != 1 {
                return Err(EBUSY);
            }
            made.reserve(1, GFP_KERNEL)?;
            let held = device.endpoint.hold().ok_or(ENODEV)?;

            if flags.contains(Feature::Pasid)
                && device.endpoint.group().len() > 1
                && !dma_owner::may_come_back(&held)
            {
                return Err(EPERM);
            }
            let terms = Terms::new(Scope::Group, flags, (request.owner)(device)?, None);
            let bond = Bond::make(device, held, space, inner, mm, terms)?;

            made.push(bond.clone(), GFP_KERNEL)?;
            bond
        }
    };
    let part = bond.group(inner).cloned();
    let group = match (bound.take(), part) {
        // Both of one driver, in one group, under one identity.
        (Some(group), _) | (None, Some(group)) => group,
        (None, None) => Arc::new(
            GroupBond {
                space: space.clone(),
                pasid: bond.pasid,
                users: space.locked_by(0),
            },
            GFP_KERNEL,
        )?,
    };

    drop(bond.set_group(inner, Some(group.clone())));
    *bound = Some(group);
    Ok(())
}

/// Those that are parts of `group` have none in it any more, if it is not bound.
fn leave_unused(group: &Arc<GroupBond>, inner: &mut Inner) {
    while *group.users.access(inner) == 0 {
        let Some(bond) = group.member(inner, |_, _| true) else {
            return;
        };

        drop(bond.set_group(inner, None));
    }
}

impl GroupBond {
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
    fn trace(
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

    /// Takes back one bind: of each member, also of those that have joined since (S16). Goes on past
    /// members that have ended (S19). Context as for [`Bond::unbind`].
    ///
    /// # Errors
    ///
    /// `ESRCH`: all members have ended, or it was unbound as often as it was bound.
    pub(crate) fn unbind(self: &Arc<Self>) -> Result {
        let mut inner = self.space.lock().ok_or(ESRCH)?;

        // Drivers must not lose what they have for a bond while they are called for it.
        while self
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
        // One after the other, since each may call a driver.
        while let Some(mut inner) = self.space.lock() {
            let unused = |bond: &Bond, inner: &Inner| {
                bond.refs_in(inner) <= 0 && !bond.is_end_left_to_call(inner)
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

impl Bond {
    /// Takes back what has just been made, and is not live.
    fn undo(&self, inner: &mut Inner) {
        let attached = self
            .held(inner)
            .cloned()
            .and_then(|held| inner.end_use(self, &held));

        self.discard(inner);
        drop(attached);
    }

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
            pid: self.pid,
            comm: self.comm,
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
    for other in device.core.devices()? {
        if Arc::ptr_eq(&other, device)
            || !::core::ptr::eq(other.endpoint.group(), device.endpoint.group())
        {
            continue;
        }
        for bond in other.bonds()? {
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

/// Undoes one [`bind`] of any driver, of the bond that members have under `pasid`: of the group's if
/// they are parts of one, else of each. Goes on past errors, logs each, and returns the first.
///
/// # Errors
///
/// `ESRCH` if no member has a bond under `pasid`, or one lost its bond meanwhile.
pub(crate) fn unbind(group: &IommuGroup, pasid: u32) -> Result {
    let (devices, _) = members(group)?;
    let mut first = Err(ESRCH);
    let mut alone = true;

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
