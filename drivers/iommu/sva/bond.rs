// SPDX-License-Identifier: GPL-2.0

//! Bonds: a device may use the address space of a process.

use crate::{
    address_space::{AddressSpace, Inner},
    bond_list::HandlerTask,
    device::{Opened, SvaDevice},
    features::{Feature, Features},
    pin::Pins,
    rid,
    stats::FaultStats,
    trace,
};
use kernel::{
    current,
    mm::MmWithUser,
    prelude::*,
    sync::{
        lock::{mutex::MutexBackend, Guard},
        Arc,
    },
};
use kernel_ext::counted::{Counted, Key};

/// The driver's side of a bond.
pub(crate) trait Owner: Send + Sync {
    /// Tells the driver's data of one bond from that of another.
    fn identity(&self) -> usize;

    /// Whether the driver wants to know of the process's exit.
    fn wants_exit(&self, device: &SvaDevice) -> bool;

    /// The process is gone: stop the device for `pasid`. May sleep.
    fn mm_exit(&self, device: &SvaDevice, pasid: u32);
}

/// A device bound to an address space.
///
/// It lives from bind until its last unbind, until the exit of its process if the driver handles
/// that, or until its device is shut down. An `Arc` to it may live on, and then only names it.
#[pin_data]
pub(crate) struct Bond {
    pub(crate) device: Arc<SvaDevice>,
    pub(crate) space: Arc<AddressSpace>,
    pub(crate) pasid: u32,
    pub(crate) scope: Scope,
    pub(crate) flags: Features,
    pub(crate) owner: Arc<dyn Owner>,
    pub(crate) stats: Arc<FaultStats>,
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
        if !request.flags.is_subset_of(device.features) {
            return Err(EINVAL);
        }
        let opened = device.keep_open()?;

        loop {
            let space = device.core.space(mm)?;

            if let Some(mut inner) = space.lock() {
                let bond = Self::bind_locked(&opened, &space, &mut inner, mm, request);

                Self::unlock(device, &space, inner);
                return bond;
            }
            // Its last bond has just ended: begin anew.
            device.core.forget_space(&space);
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

            if bond.flags != request.flags || bond.owner.identity() != request.identity {
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
        let owner = &terms.owner;

        let room = Inner::reserve()?;
        if owner.wants_exit(device) {
            inner.watch_exit(&device.core, space, mm)?;
        }
        let carved = inner.carve(device, mm, terms.scope)?;
        let attached = if terms.flags.contains(Feature::Pasid) {
            inner
                .attachments
                .attach(device, mm, terms.flags, terms.scope)?
        } else {
            rid::attach(device, mm, terms.flags)?
        };
        let made_for = &attached;
        let users = i32::try_from(terms.refs).map_err(|_| EINVAL)?;
        let bond = Arc::pin_init(
            pin_init!(Self {
                device: device.clone(),
                space: space.clone(),
                pasid: made_for.pasid(),
                scope: terms.scope,
                flags: terms.flags,
                owner: terms.owner,
                stats: made_for.stats().clone(),
                pins <- Pins::new(),
                users <- Counted::new(
                    Key::new(
                        device.endpoint.dev(),
                        mm,
                        owner.identity(),
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
        inner.commit(room, bond.clone(), attached, carved);
        trace::bind(&bond, bond.users.users());
        bond.let_be_found();
        device.count(|totals| totals.binds.add(1));
        Ok(bond)
    }

    /// Gives `device`, which came into the group of this bond's device later, the same bond (S16).
    ///
    /// Nothing happens if it has one, or if this one or its process has ended meanwhile. May
    /// sleep; takes `mmap_lock` and the group's mutex.
    ///
    /// # Errors
    ///
    /// As [`Self::bind`].
    pub(crate) fn extend_to(&self, device: &Arc<SvaDevice>) -> Result {
        if !self.flags.is_subset_of(device.features) {
            return Err(EINVAL);
        }
        let Some(mm) = self.space.mm().mmget_not_zero() else {
            return Ok(());
        };
        let mm = MmWithUser::into_mmput_async(mm);
        let opened = device.keep_open()?;
        let Some(mut inner) = self.space.lock() else {
            return Ok(());
        };
        if inner.bonds.entry(self).is_none() {
            return Ok(());
        }
        let refs = self.users.users();

        if inner.bonds.of_device(device, self.flags).is_some() {
            return Ok(());
        }
        let terms = Terms {
            scope: self.scope,
            flags: self.flags,
            owner: self.owner.clone(),
            refs,
            pid: self.pid,
        };

        inner.attachments.reattach(device, &mm)?;
        Self::make(&opened, &self.space, &mut inner, &mm, terms)?;
        Ok(())
    }

    /// Takes back one bind; the last ends the bond.
    ///
    /// On return no page request of an ended bond is in flight. May sleep: waits for page requests
    /// in flight, and for the driver's handler if the process is just exiting, unless called from
    /// that.
    ///
    /// # Errors
    ///
    /// `ESRCH`: the bond has ended.
    pub(crate) fn unbind(&self) -> Result {
        let mut inner = self.lock_without_handler().ok_or(ESRCH)?;
        let entry = inner.bonds.entry(self).ok_or(ESRCH)?;
        let exiting = entry.handler.is_some();
        let left = self.users.unlink_and_dec();

        if left == 0 {
            self.finish(inner);
        } else {
            trace::unbind(self, left);
            if !exiting {
                self.let_be_found();
            }
        }
        Ok(())
    }

    /// Ends the bond, however often it was bound; `false` if it had ended. As [`Self::unbind`].
    pub(crate) fn end(&self) -> bool {
        self.lock_without_handler()
            .is_some_and(|inner| self.finish(inner))
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

    /// How often the bond is bound; 0 if it has ended.
    pub(crate) fn refs(&self) -> usize {
        self.space
            .lock()
            .and_then(|mut inner| inner.bonds.entry(self).map(|_| self.users.users()))
            .unwrap_or(0)
    }

    /// Lets users that only count find the bond. One of several devices of a group is left out,
    /// since a device that joins the group must see its count stand still.
    fn let_be_found(&self) {
        if self.scope == Scope::Device {
            self.users.link();
        }
    }

    /// Locks the address space at a time when no other task runs the handler of this bond.
    fn lock_without_handler(&self) -> Option<Guard<'_, Inner, MutexBackend>> {
        let mut inner = self.space.lock()?;

        while let Some(entry) = inner.bonds.entry(self) {
            match entry.handler {
                Some(task) if task != HandlerTask::current() => {
                    self.space.wait_for_handler(&mut inner);
                }
                _ => return Some(inner),
            }
        }
        None
    }

    /// Removes the bond from where it is listed, detaching first.
    fn finish(&self, mut inner: Guard<'_, Inner, MutexBackend>) -> bool {
        self.users.unlink();

        let found = inner.remove(self);

        if found {
            self.device.forget_bond(self);
            self.device.count(|totals| {
                totals.unbinds.add(1);
                totals.ended.absorb(&self.stats);
            });
            self.space.wake_handler_waiters();
            trace::unbind(self, 0);
        }
        Self::unlock(&self.device, &self.space, inner);
        if found {
            self.pins.end();
        }
        found
    }

    /// Unlocks, and lets an address space go that has no bond.
    fn unlock(
        device: &SvaDevice,
        space: &Arc<AddressSpace>,
        mut inner: Guard<'_, Inner, MutexBackend>,
    ) {
        let retired = inner.retire_if_unused();

        drop(inner);
        if let Some(remains) = retired {
            device.core.forget_space(space);
            drop(remains);
        }
    }
}
