// SPDX-License-Identifier: GPL-2.0

//! Binding the members of a group: all that are meant, or none (S12, S15).

use super::{
    core::Core,
    device::SvaDevice,
    group::{members, GroupBond},
    life::Called,
    owner::{AnyOwner, Identity},
    space::{AddressSpace, Inner, Locked},
    why::Refused,
    Bond, Scope, Terms,
};
use crate::{
    features::{Feature, Features},
    trace,
};
use kernel::{mm::MmWithUser, prelude::*, sync::Arc};
use kernel_ext::{
    dma_owner,
    group::IommuGroup,
    test_point::{self, TestPoint},
};

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
) -> Result<Bound, Refused>
where
    S: Fn(&SvaDevice) -> bool,
    O: Fn(&SvaDevice) -> Result<AnyOwner>,
{
    let (devices, _) = members(group)?;
    let first = devices.first().ok_or(ENODEV)?;
    let device = own.unwrap_or(first);
    let mut result = Err(EINVAL.into());

    for flags in device.features.candidates(request.flags) {
        let request = GroupRequest {
            flags,
            identity: request.identity,
            // Of members that could be anything, those that can be this.
            suits: |device: &SvaDevice| {
                let can = device.features.of_bond(flags).is_some();

                (request.suits)(device) && (can || !flags.contains(Feature::Any))
            },
            owner: &request.owner,
        };

        result = bind_with_flags(&device.core, group, own, mm, &request);
        // Then what comes next is tried, if anything does.
        if !matches!(&result, Err(e) if *e == EOPNOTSUPP) {
            break;
        }
    }
    result
}

fn bind_with_flags<S, O>(
    core: &Arc<Core>,
    group: &IommuGroup,
    own: Option<&Arc<SvaDevice>>,
    mm: &MmWithUser,
    request: &GroupRequest<S, O>,
) -> Result<Bound, Refused>
where
    S: Fn(&SvaDevice) -> bool,
    O: Fn(&SvaDevice) -> Result<AnyOwner>,
{
    loop {
        let space = core.space(mm)?;
        let Some(mut inner) = space.lock() else {
            // Its last bond has just ended: begin anew.
            core.forget_space(&space);
            continue;
        };
        // Now: of who has joined meanwhile, a driver may just be called.
        let (devices, _) = members(group)?;
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
            Some(Called::Here) => return Err(EBUSY.into()),
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
) -> Result<Bound, Refused>
where
    S: Fn(&SvaDevice) -> bool,
    O: Fn(&SvaDevice) -> Result<AnyOwner>,
{
    // One that is there already, whoever is still part of it.
    let mut bound = part_of_any(group, request, inner)?;
    let mut work = Work::default();

    let result = loop {
        // Again after each: a device that is initialised meanwhile either is among them, or finds
        // the bonds that are listed (S16).
        let next = match next_member(group, request, inner, bound.as_ref()) {
            Ok(next) => next,
            Err(e) => break Err(e.into()),
        };
        let Some(device) = next.device else {
            break Ok(next);
        };

        if let Err(e) = bind_member(&device, mm, request, space, inner, &mut bound, &mut work) {
            break Err(device.refuse_bind(e, request.flags));
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
            group.add_user(inner);
            for bond in &work.made {
                bond.announce(inner);
            }
            group.trace(inner, |bond| !work.has_made(bond), trace::bind);
            Ok(Bound {
                group,
                own: own_bond,
                left_out: all.left_out,
                members: all.there,
            })
        }
        (result, _) => {
            work.undo(inner);
            Err(result.err().unwrap_or(ENODEV.into()))
        }
    }
}

/// What a bind of a group has done so far.
#[derive(Default)]
struct Work {
    /// Bonds that it has made.
    made: KVec<Arc<Bond>>,
    /// Bonds that were there, and are parts of the group's bond now.
    joined: KVec<Arc<Bond>>,
}

impl Work {
    fn has_made(&self, bond: &Bond) -> bool {
        self.made.iter().any(|made| ::core::ptr::eq(&**made, bond))
    }

    /// Takes just that back: what was a part before may be somebody's to end.
    fn undo(&self, inner: &mut Inner) {
        // Nobody has seen those at work that were made.
        for bond in self.made.iter().rev() {
            bond.undo(inner);
        }
        for bond in &self.joined {
            drop(bond.set_group(inner, None));
        }
    }
}

/// The bond of the group that a member is part of which is meant, if one is.
fn part_of_any<S, O>(
    group: &IommuGroup,
    request: &GroupRequest<S, O>,
    inner: &Inner,
) -> Result<Option<Arc<GroupBond>>>
where
    S: Fn(&SvaDevice) -> bool,
{
    let (devices, _) = members(group)?;
    let part = devices
        .iter()
        .filter(|device| (request.suits)(device))
        .filter_map(|device| inner.bonds.of_device(device, request.flags))
        .filter(|bond| bond.is_of(inner, request.identity))
        .find_map(|bond| bond.group(inner).cloned());

    Ok(part)
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
    work: &mut Work,
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
            work.made.reserve(1, GFP_KERNEL)?;
            let held = device.endpoint.hold().ok_or(ENODEV)?;

            if flags.contains(Feature::Pasid)
                && device.endpoint.group().len() > 1
                && !dma_owner::may_come_back(&held)
            {
                return Err(EPERM);
            }
            let terms = Terms {
                scope: Scope::Group,
                flags,
                owner: (request.owner)(device)?,
                group: None,
            };
            let bond = Bond::make(device, held, space, inner, mm, terms)?;

            work.made.push(bond.clone(), GFP_KERNEL)?;
            bond
        }
    };
    let part = bond.group(inner).cloned();

    if part.is_none() && !work.has_made(&bond) {
        work.joined.push(bond.clone(), GFP_KERNEL)?;
    }
    let group = match (bound.take(), part) {
        // Both of one driver, in one group, under one identity.
        (Some(group), _) | (None, Some(group)) => group,
        (None, None) => GroupBond::new(space, &bond)?,
    };

    drop(bond.set_group(inner, Some(group.clone())));
    *bound = Some(group);
    Ok(())
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
}
