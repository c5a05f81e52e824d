// SPDX-License-Identifier: GPL-2.0

//! Bonds: a device may use the address space of a process.

use crate::{
    fault::{hearers::Hearer, GroupAttachment},
    features::{Feature, Features},
    trace,
};
use kernel::{
    mm::MmWithUser,
    prelude::*,
    sync::{
        atomic::{ordering::Relaxed, Atomic},
        Arc,
    },
};
use kernel_ext::{
    endpoint::Held,
    test_point::{self, TestPoint},
    tree::Links,
};

mod attach;
mod copy;
pub(crate) mod core;
pub(crate) mod device;
mod exit;
mod exit_calls;
pub(crate) mod group;
mod join;
mod life;
mod list;
mod mapped;
pub(crate) mod members;
mod owed;
pub(crate) mod owner;
pub(crate) mod pin;
mod range;
mod reserved;
mod rid;
mod space;
pub(crate) mod why;

use self::{
    attach::Prepared,
    device::SvaDevice,
    group::GroupBond,
    life::{Called, Life},
    owner::{AnyOwner, Identity},
    pin::Pins,
    space::{AddressSpace, Inner},
    why::Refused,
};

/// A device bound to an address space.
///
/// It lives from bind until its last unbind, until the exit of its process if the driver wants to
/// hear of that, or until its device is shut down: see [`life`]. An `Arc` to it may live on, and then
/// only names it.
#[pin_data]
pub(crate) struct Bond {
    pub(crate) device: Arc<SvaDevice>,
    pub(crate) space: Arc<AddressSpace>,
    /// The group's; that of a bond without PASID is its own.
    pub(crate) attachment: Arc<GroupAttachment>,
    pub(crate) pasid: u32,
    pub(crate) flags: Features,
    /// Whether its device waits for pages: set once it is attached.
    asks: Atomic<bool>,
    life: Life,
    /// Released after the device has been detached.
    pub(crate) pins: Pins,
    /// How often the device was bound by itself (S2). Binds of its group count there. Only for who
    /// has the address space's lock, save one that is not the last to go.
    own: Count,
    /// Among the bonds of its address space.
    of_space: Links,
    /// Among the bonds of its device.
    pub(crate) of_device: Links,
}

/// How often something was bound, less how often it was unbound; may be less than none where a group
/// was bound as well.
struct Count(Atomic<i32>);

impl Count {
    fn get(&self) -> i32 {
        self.0.load(Relaxed)
    }

    fn add(&self) {
        self.0.add(1, Relaxed);
    }

    fn put(&self) {
        self.0.fetch_sub(1, Relaxed);
    }

    /// Counts one less, if others are left: whether it did. Any context.
    fn put_unless_last(&self) -> bool {
        let mut now = self.get();

        while now > 1 {
            match self.0.cmpxchg(now, now - 1, Relaxed) {
                Ok(_) => return true,
                Err(other) => now = other,
            }
        }
        false
    }
}

/// What is bound: see S14.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// One device, which must be alone in its group.
    Device,
    /// One of the members of a group that are all bound.
    Group,
}

/// What a driver asks for.
pub(crate) struct Request<F> {
    pub(crate) flags: Features,
    /// That of what `owner` makes.
    pub(crate) identity: Identity,
    /// Called only if there is no bond yet.
    pub(crate) owner: F,
}

/// What a bond that is being made is to be like.
struct Terms {
    scope: Scope,
    flags: Features,
    owner: AnyOwner,
    group: Option<Arc<GroupBond>>,
}

impl Bond {
    /// Binds `mm` to `device`, or counts one more user of the bond that there is (S1, S2).
    ///
    /// May sleep; takes `mmap_lock` and the mutex of the device's group.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: the device was not initialised with these flags (S4).
    /// - `EOPNOTSUPP`: the IOMMU driver cannot share this address space, or not without PASID.
    /// - `EEXIST`: there is a bond with other flags or another identity; or with other flags
    ///   another member of the device's group has one.
    /// - `EBUSY`: the device's group has other members (S14); or the call is made by a driver that is
    ///   told of the end of just this bond; without `PASID` also if something else has the place.
    /// - `EADDRINUSE`: the process uses addresses that the IOMMU cannot translate (S17).
    /// - `ENODEV`: the device has been shut down.
    /// - `ENOSPC`: no PASID is left that the device can send.
    /// - `ENOMEM`, and what the IOMMU driver says.
    pub(crate) fn bind<F>(
        device: &Arc<SvaDevice>,
        mm: &MmWithUser,
        request: Request<F>,
    ) -> Result<Arc<Self>, Refused>
    where
        F: Fn() -> Result<AnyOwner>,
    {
        let flags = request.flags;
        let mut result = Err(EINVAL);

        for candidate in device.features.candidates(flags) {
            result = Self::try_bind(device, mm, candidate, &request);
            // Then what comes next is tried, if anything does.
            if !result.as_ref().is_err_and(|&e| e == EOPNOTSUPP) {
                break;
            }
        }
        result.map_err(|e| device.refuse_bind(e, flags))
    }

    fn try_bind<F>(
        device: &Arc<SvaDevice>,
        mm: &MmWithUser,
        flags: Features,
        request: &Request<F>,
    ) -> Result<Arc<Self>>
    where
        F: Fn() -> Result<AnyOwner>,
    {
        loop {
            let space = device.core.space(mm)?;
            let Some(mut inner) = space.lock() else {
                // Its last bond has just ended: begin anew.
                device.core.forget_space(&space);
                continue;
            };
            let Some(bond) = inner.bonds.of_device(device, flags).map(Arc::from) else {
                let bond = Self::make_alone(device, &space, &mut inner, mm, flags, request);

                space.unlock(&device.core, inner);
                return bond;
            };

            match bond.called(&inner) {
                Called::No => {
                    bond.check_same(&inner, flags, request.identity)?;
                    bond.own.add();
                    trace::bind(bond.traced(), bond.refs_in(&inner) as usize);
                    return Ok(bond);
                }
                Called::Here => return Err(EBUSY),
                // It is ending.
                Called::Elsewhere => space.wait(&mut inner),
            }
        }
    }

    /// Whether a bind with `flags` of `identity` may count as this bond, or `EEXIST`.
    fn check_same(&self, inner: &Inner, flags: Features, identity: Identity) -> Result {
        if self.flags.is_same(flags) && self.is_of(inner, identity) {
            Ok(())
        } else {
            Err(EEXIST)
        }
    }

    /// Makes a bond of a device that is alone in its group.
    fn make_alone<F>(
        device: &Arc<SvaDevice>,
        space: &Arc<AddressSpace>,
        inner: &mut Inner,
        mm: &MmWithUser,
        flags: Features,
        request: &Request<F>,
    ) -> Result<Arc<Self>>
    where
        F: Fn() -> Result<AnyOwner>,
    {
        let held = device.endpoint.hold().ok_or(ENODEV)?;

        if device.endpoint.group().len() != 1 {
            return Err(EBUSY);
        }
        let terms = Terms {
            scope: Scope::Device,
            flags,
            owner: (request.owner)()?,
            group: None,
        };
        let bond = Self::make(device, held, space, inner, mm, terms)?;

        bond.own.add();
        bond.announce(inner);
        Ok(bond)
    }

    /// Makes a bond, which is attached then, but not live, nor counted.
    fn make(
        device: &Arc<SvaDevice>,
        held: Held,
        space: &Arc<AddressSpace>,
        inner: &mut Inner,
        mm: &MmWithUser,
        terms: Terms,
    ) -> Result<Arc<Self>> {
        let carved = inner.carve(device, mm, terms.scope)?;
        let Prepared {
            attachment,
            pasid,
            mut new,
            entered,
        } = inner
            .attachments
            .prepare(device, &held, mm, terms.flags, terms.scope)?;
        let bond = Arc::pin_init(
            try_pin_init!(Self {
                device: device.clone(),
                space: space.clone(),
                attachment,
                pasid,
                flags: terms.flags,
                asks: Atomic::new(false),
                life: Life::new(space, terms.owner, terms.group, held),
                pins: Pins::new(entered)?,
                own: Count(Atomic::new(0)),
                of_space: Links::new(),
                of_device: Links::new(),
            }? Error),
            GFP_KERNEL,
        )?;
        let alone = terms.scope == Scope::Device || !terms.flags.contains(Feature::Pasid);
        let mut make = || {
            // First of all, so that its PASID, or the place without, is nobody else's.
            device.list(bond.clone())?;
            trace::bond_state(bond.traced(), trace::State::Making);
            inner.bonds.add(bond.clone())?;
            // Now: a handler that is registered from here on finds the bond in the list.
            if bond.is_exit_heard(inner) {
                inner.watch_exit(&device.core, space, mm)?;
            }
            test_point::pass(TestPoint::Listed);
            if let Some(hear) = bond.owner(inner).and_then(|owner| owner.hear(device)) {
                bond.attachment
                    .handler()
                    .hearers
                    .add(device.endpoint.dev(), hear?)?;
            }
            if let Some(new) = &mut new {
                let held = bond.held(inner).ok_or(ENODEV)?;

                new.attach(&bond.attachment, held, mm)?;
            }
            let asks = terms.flags.contains(Feature::Iopf)
                && !terms.flags.contains(Feature::Mapped)
                && bond.held(inner).is_some_and(Held::has_page_requests);

            bond.asks.store(asks, Relaxed);
            // It will need some.
            let room = match terms.flags.contains(Feature::Any) && !asks {
                true => bond.pins.make_limited_room(),
                false => Ok(()),
            };
            let used = room.and_then(|()| {
                // Who came into the group just before the attach was reached by it.
                if alone && device.endpoint.group().len() != 1 {
                    Err(EBUSY)
                } else if terms.flags.contains(Feature::Pasid) {
                    inner.attachments.begin_use(&bond.attachment)
                } else {
                    Ok(())
                }
            });

            used.inspect_err(|_| {
                if new.is_some() {
                    drop(bond.attachment.detach());
                }
            })
        };

        if let Err(e) = make() {
            bond.discard(inner);
            return Err(e);
        }
        // What could not be kept is given back, and nothing else is lost.
        let _ = inner.keep_carved(carved);
        Ok(bond)
    }

    /// The driver hears of no refused page request from now on: it is not just being called, either.
    /// May sleep.
    fn stop_hearing(&self) -> Option<Hearer> {
        let hearers = &self.attachment.handler().hearers;

        hearers.remove(self.device.endpoint.dev())
    }

    /// Making → live; the bond has been counted.
    fn announce(&self, inner: &mut Inner) {
        self.go_live(inner);
        self.device.count(|totals| totals.binds.add(1));
        trace::bind(self.traced(), self.refs_in(inner) as usize);
    }

    /// What trace events say of it.
    fn traced(&self) -> trace::Traced<'_> {
        trace::Traced {
            dev: self.device.endpoint.dev(),
            pasid: self.pasid,
            pid: self.space.pid,
            flags: self.shown().into(),
        }
    }
}
