// SPDX-License-Identifier: GPL-2.0

//! Bonds: a device may use the address space of a process.

use crate::{
    address_space::{AddressSpace, Inner},
    bond_list::HandlerTask,
    device::{Opened, SvaDevice},
    fault::Faults,
    features::{Feature, Features},
    owner::{Hook, Owner},
    pin::Pins,
    rid, trace,
};
use kernel::{
    current,
    mm::MmWithUser,
    new_mutex,
    prelude::*,
    sync::{Arc, Mutex},
};
use kernel_ext::counted::{Counted, Key};

/// A device bound to an address space.
///
/// It lives from bind until its last unbind, until the exit of its process if the driver has a
/// hook for that, or until its device is shut down. An `Arc` to it may live on, and then only
/// names it.
#[pin_data]
pub(crate) struct Bond {
    pub(crate) device: Arc<SvaDevice>,
    pub(crate) space: Arc<AddressSpace>,
    pub(crate) pasid: u32,
    pub(crate) scope: Scope,
    pub(crate) flags: Features,
    pub(crate) faults: Arc<Faults>,
    /// Whether the device came into a group that was bound (S16).
    pub(crate) joined: bool,
    /// Whether the driver may start the device; held while it does.
    #[pin]
    pub(crate) startable: Mutex<bool>,
    /// Released after the device has been detached.
    #[pin]
    pub(crate) pins: Pins,
    /// How often it was bound and not unbound: S2. At least 1 until it ends. Users whose bind or
    /// unbind only counts find it by itself, while it is linked; else they take the lock.
    #[pin]
    pub(crate) users: Counted,
    /// The process that bound, for people who read debugfs.
    pub(crate) pid: i32,
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
    pub(crate) scope: Scope,
    pub(crate) flags: Features,
    /// That of the [`Owner`] that `owner` makes.
    pub(crate) identity: usize,
    /// Called only if there is no bond yet.
    pub(crate) owner: F,
}

/// What a bond that is being made is to be like.
struct Terms {
    scope: Scope,
    flags: Features,
    owner: Arc<dyn Owner>,
    refs: usize,
    joined: bool,
    pid: i32,
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
    /// - `EBUSY`: the device's group has other members (S14); without `PASID` see [`rid::attach`].
    /// - `EADDRINUSE`: the process uses addresses that the IOMMU cannot translate (S17).
    /// - `ENODEV`: the device has been shut down.
    /// - `ENOSPC`: no PASID is left that the device can send.
    /// - `ENOMEM`, and what the IOMMU driver says.
    pub(crate) fn bind<F>(
        device: &Arc<SvaDevice>,
        mm: &MmWithUser,
        request: Request<F>,
    ) -> Result<Arc<Self>>
    where
        F: FnOnce() -> Result<Arc<dyn Owner>>,
    {
        let flags = device.features.of_bond(request.flags).ok_or(EINVAL)?;
        let request = Request { flags, ..request };

        loop {
            let opened = device.keep_open()?;
            let space = device.core.space(mm)?;
            let Some(mut inner) = space.lock() else {
                // Its last bond has just ended: begin anew.
                device.core.forget_space(&space);
                continue;
            };
            let there = inner.bonds.of_device(device, request.flags);

            match there.and_then(|entry| entry.handler) {
                None => {
                    let bond = Self::bind_locked(&opened, &space, &mut inner, mm, request);

                    Self::unlock(device, &space, inner);
                    return bond;
                }
                Some(task) if task == HandlerTask::current() => return Err(EBUSY),
                // It is ending. A shutdown need not wait for us meanwhile.
                Some(_) => {
                    drop(opened);
                    space.wait_for_handler(&mut inner);
                }
            }
        }
    }

    fn bind_locked<F>(
        opened: &Opened<'_>,
        space: &Arc<AddressSpace>,
        inner: &mut Inner,
        mm: &MmWithUser,
        request: Request<F>,
    ) -> Result<Arc<Self>>
    where
        F: FnOnce() -> Result<Arc<dyn Owner>>,
    {
        let device = opened.device();

        if let Some(entry) = inner.bonds.of_device(device, request.flags) {
            let bond = &entry.bond;

            let same = |owner: &Arc<dyn Owner>| owner.identity() == request.identity;

            if bond.flags != request.flags || !entry.owner.as_ref().is_some_and(same) {
                return Err(EEXIST);
            }
            bond.users.inc();
            trace::bind(bond, bond.users.users());
            return Ok(bond.clone());
        }
        if request.scope == Scope::Device && device.endpoint.group().len() != 1 {
            return Err(EBUSY);
        }
        let owner = (request.owner)()?;

        let terms = Terms {
            // Without PASID no other member can share it.
            scope: if request.flags.contains(Feature::Pasid) {
                request.scope
            } else {
                Scope::Device
            },
            flags: request.flags,
            owner,
            refs: 1,
            joined: false,
            pid: current!().tgid(),
        };

        Self::make(opened, space, inner, mm, terms)
    }

    fn make(
        opened: &Opened<'_>,
        space: &Arc<AddressSpace>,
        inner: &mut Inner,
        mm: &MmWithUser,
        terms: Terms,
    ) -> Result<Arc<Self>> {
        let device = opened.device();

        let room = Inner::reserve(&device.core)?;
        if terms.owner.hook(device) != Hook::None {
            inner.watch_exit(&device.core, space, mm)?;
        }
        let carved = inner.carve(device, mm, terms.scope)?;
        let attached = if terms.flags.contains(Feature::Pasid) {
            inner.attachments.reach(device, mm)?;
            inner
                .attachments
                .attach(device, mm, terms.flags, terms.scope)?
        } else {
            rid::attach(device, mm, terms.flags)?
        };
        let made_for = &attached;
        let users = i32::try_from(terms.refs).map_err(|_| EINVAL)?;
        let identity = terms.owner.identity();
        let bond = Arc::pin_init(
            pin_init!(Self {
                device: device.clone(),
                space: space.clone(),
                pasid: made_for.pasid(),
                scope: terms.scope,
                flags: terms.flags,
                faults: made_for.faults().clone(),
                joined: terms.joined,
                startable <- new_mutex!(true, "sva_bond_startable"),
                pins <- Pins::new(),
                users <- Counted::new(
                    Key::new(
                        device.endpoint.dev(),
                        mm,
                        identity,
                        terms.flags.into(),
                    ),
                    made_for.pasid(),
                    users,
                ),
                pid: terms.pid,
            }),
            GFP_KERNEL,
        )?;

        opened.add_bond(bond.clone())?;
        inner.commit(room, bond.clone(), terms.owner, attached, carved);
        trace::bind(&bond, bond.users.users());
        bond.let_be_found();
        device.count(|totals| totals.binds.add(1));
        Ok(bond)
    }

    /// Gives `device`, which came into the group of this bond's device later, the same bond (S16).
    ///
    /// Nothing happens if it has one, if its driver is another that cannot have it, or if this one
    /// or its process has ended meanwhile. May sleep; takes `mmap_lock` and the group's mutex.
    ///
    /// # Errors
    ///
    /// As [`Self::bind`].
    pub(crate) fn extend_to(&self, device: &Arc<SvaDevice>) -> Result {
        let flags = device.features.of_bond(self.flags).ok_or(EINVAL)?;
        let Some(mm) = self.space.mm().mmget_not_zero() else {
            return Ok(());
        };
        let mm = MmWithUser::into_mmput_async(mm);
        let opened = device.keep_open()?;
        let Some(mut inner) = self.space.lock() else {
            return Ok(());
        };
        let Some(entry) = inner.bonds.entry(self) else {
            return Ok(());
        };
        // Without an owner it is ending.
        let Some(owner) = entry.owner.clone() else {
            return Ok(());
        };
        let refs = self.users.users();

        if !owner.suits(device) || inner.bonds.of_device(device, self.flags).is_some() {
            return Ok(());
        }
        let terms = Terms {
            scope: self.scope,
            flags,
            owner,
            refs,
            joined: true,
            pid: self.pid,
        };

        Self::make(&opened, &self.space, &mut inner, &mm, terms)?;
        Ok(())
    }

    /// Sees to it that the driver hears of the process's exit, if it has not begun.
    pub(crate) fn watch_exit(&self) -> Result {
        let Some(mm) = self.space.mm().mmget_not_zero() else {
            return Ok(());
        };
        let mm = MmWithUser::into_mmput_async(mm);
        let Some(mut inner) = self.space.lock() else {
            return Ok(());
        };

        if inner.bonds.entry(self).is_none() {
            return Ok(());
        }
        inner.watch_exit(&self.device.core, &self.space, &mm)
    }

    /// Calls `start` with the PASID, unless the bond is ending; the driver's hook is not called
    /// before `start` has returned. May sleep.
    ///
    /// # Errors
    ///
    /// `ESRCH`: the bond has ended, or is about to.
    pub(crate) fn start<R>(&self, start: impl FnOnce(u32) -> R) -> Result<R> {
        let startable = self.startable.lock();

        if *startable {
            Ok(start(self.pasid))
        } else {
            Err(ESRCH)
        }
    }

    /// Whether it has not ended, and nothing has begun to end it.
    pub(crate) fn is_live(&self) -> bool {
        self.space.lock().is_some_and(|mut inner| {
            let entry = inner.bonds.entry(self);

            entry.is_some_and(|entry| entry.handler.is_none())
        })
    }

    /// How often the bond is bound; 0 if it has ended.
    pub(crate) fn refs(&self) -> usize {
        self.space
            .lock()
            .and_then(|mut inner| inner.bonds.entry(self).map(|_| self.users.users()))
            .unwrap_or(0)
    }

    /// Lets users that only count find the bond. One of several devices of a group is left out,
    /// since a device that joins the group must see its count stand still.
    pub(crate) fn let_be_found(&self) {
        if self.scope == Scope::Device {
            self.users.link();
        }
    }
}
