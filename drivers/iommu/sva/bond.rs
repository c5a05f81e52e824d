// SPDX-License-Identifier: GPL-2.0

//! Bonds: a device may use the address space of a process.

use crate::{
    address_space::{AddressSpace, Inner},
    attachments::GroupAttachment,
    device::{Opened, SvaDevice},
    fault::Faults,
    features::{Feature, Features},
    hook::{Hooked, Running},
    owner::{AnyOwner, Hook},
    pin::Pins,
    rid, trace,
};
use kernel::{current, mm::MmWithUser, prelude::*, sync::Arc};
use kernel_ext::{
    counted::{Counted, Key},
    tree::Links,
};

/// A device bound to an address space.
///
/// It lives from bind until its last unbind, until the exit of its process if the driver has a
/// hook for that, or until its device is shut down. An `Arc` to it may live on, and then only
/// names it.
#[pin_data]
pub(crate) struct Bond {
    pub(crate) device: Arc<SvaDevice>,
    pub(crate) space: Arc<AddressSpace>,
    /// The group's; that of a bond without PASID is its own. Another may have taken over from it.
    pub(crate) attachment: Arc<GroupAttachment>,
    pub(crate) pasid: u32,
    pub(crate) flags: Features,
    pub(crate) scope: Scope,
    /// Whether the device came into a group that was bound (S16).
    pub(crate) joined: bool,
    /// The process that bound, for people who read debugfs.
    pub(crate) pid: i32,
    /// The driver's side.
    pub(crate) hooked: Hooked,
    /// Released after the device has been detached.
    pub(crate) pins: Pins,
    /// How often it was bound and not unbound: S2. At least 1 until it ends. Users whose bind or
    /// unbind only counts find it by itself, while it is linked; else they take the lock.
    #[pin]
    pub(crate) users: Counted,
    /// Among the bonds of its address space.
    pub(crate) of_space: Links,
    /// Among the bonds of its device.
    pub(crate) of_device: Links,
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
    owner: AnyOwner,
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
        F: FnOnce() -> Result<AnyOwner>,
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
            let running = match inner.bonds.of_device(device, request.flags) {
                Some(bond) => bond.hooked.running(&inner),
                None => Running::No,
            };

            match running {
                Running::No => {
                    let bond = Self::bind_locked(&opened, &space, &mut inner, mm, request);

                    Self::unlock(device, &space, inner);
                    return bond;
                }
                Running::Here => return Err(EBUSY),
                // It is ending. A shutdown need not wait for us meanwhile.
                Running::Elsewhere => {
                    drop(opened);
                    space.wait_for_hook(&mut inner);
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
        F: FnOnce() -> Result<AnyOwner>,
    {
        let device = opened.device();

        if let Some(bond) = inner.bonds.of_device(device, request.flags) {
            let owner = bond.hooked.owner(inner);
            let same = owner.is_some_and(|owner| owner.identity() == request.identity);

            if bond.flags != request.flags || !same {
                return Err(EEXIST);
            }
            bond.users.inc();
            trace::bind(&bond, bond.users.users());
            return Ok(bond.into());
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

        if terms.owner.hook(device) != Hook::None {
            inner.watch_exit(&device.core, space, mm)?;
        }
        let carved = inner.carve(device, mm, terms.scope)?;
        let prepared = if terms.flags.contains(Feature::Pasid) {
            inner.reach(device, mm)?;
            inner
                .attachments
                .prepare(device, mm, terms.flags, terms.scope)?
        } else {
            rid::prepare(device, mm, terms.flags)?
        };
        let (attachment, pasid) = (prepared.attachment.clone(), prepared.pasid);
        let users = i32::try_from(terms.refs).map_err(|_| EINVAL)?;
        let key = Key::new(
            device.endpoint.dev(),
            mm,
            terms.owner.identity(),
            terms.flags.into(),
        );
        let bond = Arc::pin_init(
            pin_init!(Self {
                device: device.clone(),
                space: space.clone(),
                attachment,
                pasid,
                flags: terms.flags,
                scope: terms.scope,
                joined: terms.joined,
                pid: terms.pid,
                hooked: Hooked::new(space, terms.owner),
                pins: Pins::new(),
                users <- Counted::new(key, *pasid, users),
                of_space: Links::new(),
                of_device: Links::new(),
            }),
            GFP_KERNEL,
        )?;

        // The last step that can fail.
        if terms.flags.contains(Feature::Pasid) {
            prepared.attach(device, mm)?;
        } else {
            rid::attach(&prepared, device, mm)?;
        }
        opened.add_bond(bond.clone());
        inner.commit(bond.clone(), carved);
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
        if !self.is_listed(&inner) {
            return Ok(());
        }
        // Without an owner it is ending.
        let Some(owner) = self.hooked.owner(&inner).cloned() else {
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

        if !self.is_listed(&inner) {
            return Ok(());
        }
        inner.watch_exit(&self.device.core, &self.space, &mm)
    }

    /// What is known of its group's page requests.
    pub(crate) fn faults(&self) -> &Faults {
        self.attachment.handler().faults()
    }

    /// How often the bond is bound; 0 if it has ended.
    pub(crate) fn refs(&self) -> usize {
        match self.space.lock() {
            Some(inner) if self.is_listed(&inner) => self.users.users(),
            _ => 0,
        }
    }

    /// Lets users that only count find the bond. One of several devices of a group is left out,
    /// since a device that joins the group must see its count stand still.
    pub(crate) fn let_be_found(&self) {
        if self.scope == Scope::Device {
            self.users.link();
        }
    }
}
