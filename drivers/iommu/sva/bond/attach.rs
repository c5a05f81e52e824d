// SPDX-License-Identifier: GPL-2.0

//! Attachments: how an address space is reached by the devices of IOMMU groups.

use super::{
    core::Core,
    device::SvaDevice,
    group,
    mapped::{self, Entered},
    rid, Bond, Scope,
};
use crate::{
    fault::{refusal::Reason, service::FaultService, GroupAttachment},
    features::{Feature, Features},
    module_parameters,
};
use core::ops::RangeInclusive;
use kernel::{
    device::Device,
    mm::MmWithUser,
    prelude::*,
    sync::{aref::ARef, Arc, ArcBorrow},
};
use kernel_ext::{
    attachment::Attachment,
    domain::SvaDomain,
    endpoint::{Endpoint, Held},
    group::IommuGroup,
    pasid::{Pasid, POOL},
    translation::Translation,
    tree::Tree,
};

/// The attachments of one address space with PASIDs: one for each group.
pub(crate) struct Attachments(Tree<GroupAttachment>);

/// A translation of a process's addresses, for the devices of one kind of IOMMU.
pub(super) type SpaceTranslation = Translation<FaultService>;

/// How a bond that is being made is attached.
pub(crate) struct Prepared {
    pub(super) attachment: Arc<GroupAttachment>,
    pub(super) pasid: u32,
    /// What is to be attached, unless the attachment is there.
    pub(super) new: Option<New>,
    /// Of a bond whose ranges are mapped.
    pub(super) entered: Option<Entered>,
}

/// What is to be attached. Its PASID is not free before this is dropped.
pub(crate) struct New {
    translation: Arc<SpaceTranslation>,
    /// Other groups are attached to it already.
    shared: bool,
    /// The members of the group, if it may have more than the device.
    members: KVec<ARef<Device>>,
}

/// The PASIDs that suit all members of the group of `device`, as far as these are initialised.
fn pasids_of_all(device: &SvaDevice) -> Result<RangeInclusive<u32>> {
    let group = device.endpoint.group();
    let (mut min, mut max) = (device.min_pasid, device.max_pasid.min(group.max_pasid()));

    for member in group::members(group)?.0 {
        if member.features.contains(Feature::Pasid) {
            min = min.max(member.min_pasid);
            max = max.min(member.max_pasid);
        }
    }
    Ok(min..=max)
}

/// A PASID of those `within`; of those too that are kept for late unbinds, if there is no other.
fn alloc_pasid(core: &Core, held: &Held, within: RangeInclusive<u32>) -> Result<Pasid> {
    let pool = POOL.get().ok_or(ENODEV)?;

    match pool.alloc(held, within.clone()) {
        Err(e) if e == ENOSPC => {
            for device in core.devices()? {
                device.forgive();
            }
            pool.alloc(held, within)
        }
        result => result,
    }
}

/// A new place for page requests of bonds of `device` with `flags`.
pub(super) fn new_attachment(device: &SvaDevice, flags: Features) -> Result<Arc<GroupAttachment>> {
    let read_ahead = match flags.contains(Feature::NoReadAhead) {
        true => 0,
        false => module_parameters::read_ahead.value(),
    };
    let serves = flags.contains(Feature::Iopf);
    let service = FaultService::new(&device.core.waits, serves, read_ahead);

    Arc::pin_init(
        Attachment::new(device.endpoint.group().into(), service),
        GFP_KERNEL,
    )
}

impl New {
    /// To attach `translation` to the one device of a group.
    pub(super) fn alone(translation: Arc<SpaceTranslation>) -> Self {
        Self {
            translation,
            shared: false,
            members: KVec::new(),
        }
    }

    /// Attaches it at `attachment`. May sleep; takes the group's mutex, and perhaps `mmap_lock`.
    ///
    /// # Errors
    ///
    /// `EBUSY`: somebody else has the place. `ENOMEM`, and what the IOMMU driver says.
    pub(crate) fn attach(
        &mut self,
        attachment: &Arc<GroupAttachment>,
        held: &Held,
        mm: &MmWithUser,
    ) -> Result {
        // Without `IOPF` no page request is served.
        let awake = !attachment.handler().serves;

        if awake {
            self.translation.domain().keep_awake();
        }
        match attachment.attach(held, &mut self.members, &self.translation, mm) {
            // A domain for another IOMMU of the same driver need not fit.
            Err(e) if e == EINVAL && self.shared => {
                let domain = SvaDomain::alloc(held, mm)?;

                if awake {
                    domain.keep_awake();
                }
                let translation = Translation::with_pasid_of(&self.translation, domain)?;

                attachment.attach(held, &mut self.members, &translation, mm)
            }
            result => result,
        }
    }
}

impl Attachments {
    pub(crate) fn new() -> Self {
        Self(Tree::new())
    }

    /// The attachment to `group`, which its members share.
    fn to(&self, group: &IommuGroup) -> Option<ArcBorrow<'_, GroupAttachment>> {
        self.0.get(&group.key())
    }

    /// What they translate by.
    pub(super) fn translations(&self) -> impl Iterator<Item = Arc<SpaceTranslation>> + '_ {
        self.0.iter().filter_map(|there| there.translation())
    }

    /// Finds the attachment to the group of `device`; or makes one that is to be attached, under a
    /// PASID that fits all members. It changes nothing here until it is [used](Self::begin_use).
    ///
    /// A PASID and a domain that other attachments of this address space have are shared where
    /// they fit. One that is there already is attached to the device, if it is not (S16).
    ///
    /// # Errors
    ///
    /// - `EBUSY`: without PASID, see [`rid::prepare`], [`mapped::prepare`].
    /// - `EEXIST`: the group is attached with another `IOPF` in its flags.
    /// - `ENOSPC`: no PASID is left that the device can send.
    /// - `ENOMEM`, and what the IOMMU driver says.
    pub(crate) fn prepare(
        &self,
        device: &Arc<SvaDevice>,
        held: &Held,
        mm: &MmWithUser,
        flags: Features,
        scope: Scope,
    ) -> Result<Prepared> {
        if flags.contains(Feature::Mapped) {
            return mapped::prepare(device, held, flags);
        }
        if !flags.contains(Feature::Pasid) {
            return rid::prepare(device, held, mm, flags);
        }
        let group = device.endpoint.group();

        if let Some(there) = self.to(group) {
            return Self::join(there.into(), device, held, mm, flags);
        }
        let within = match scope {
            Scope::Device => device.min_pasid..=device.max_pasid,
            Scope::Group => pasids_of_all(device)?,
        };
        let (translation, shared) = self.translation(&device.core, held, mm, within)?;

        Ok(Prepared {
            attachment: new_attachment(device, flags)?,
            pasid: translation.pasid(),
            entered: None,
            new: Some(New {
                translation,
                shared,
                // Before the attach: who comes later may not be reached by it.
                members: match scope {
                    Scope::Device => KVec::new(),
                    Scope::Group => group.members()?,
                },
            }),
        })
    }

    fn join(
        there: Arc<GroupAttachment>,
        device: &SvaDevice,
        held: &Held,
        mm: &MmWithUser,
        flags: Features,
    ) -> Result<Prepared> {
        let service = there.handler();
        let translation = there.translation();
        let pasid = translation.map_or(Pasid::NONE, |there| there.pasid());

        // Page requests of all members arrive there.
        if service.serves != flags.contains(Feature::Iopf) {
            return Err(EEXIST);
        }
        // The PASID was chosen to fit all members, but a driver may have set a lower limit.
        if !(device.min_pasid..=device.max_pasid).contains(&pasid) {
            return Err(ENOSPC);
        }
        // It may have come into the group since.
        there.extend(held, mm)?;
        if flags.contains(Feature::NoReadAhead) {
            service.read_nothing_ahead();
        }
        Ok(Prepared {
            attachment: there,
            pasid,
            new: None,
            entered: None,
        })
    }

    /// A domain for the IOMMU of `held` under one of the PASIDs `within`: one that is there, or one with
    /// a PASID that is there, or a new one. Whether the domain was there.
    fn translation(
        &self,
        core: &Core,
        held: &Held,
        mm: &MmWithUser,
        within: RangeInclusive<u32>,
    ) -> Result<(Arc<SpaceTranslation>, bool)> {
        let endpoint: &Endpoint = held;
        let all = || self.0.iter().filter_map(|there| there.translation());
        let mut fitting = all()
            .filter(|there| within.contains(&there.pasid()))
            .peekable();
        let first = fitting.peek().cloned();

        if let Some(there) = fitting.find(|there| there.domain().fits(endpoint)) {
            return Ok((there, true));
        }
        let new = match first {
            Some(there) => Translation::with_pasid_of(&there, SvaDomain::alloc(held, mm)?)?,
            None => {
                let pasid = alloc_pasid(core, held, within)?;

                Translation::new(SvaDomain::alloc(held, mm)?, pasid)?
            }
        };

        Ok((new, false))
    }

    /// One more bond uses `attachment`, which is attached.
    ///
    /// # Errors
    ///
    /// `EEXIST`: its group has another.
    pub(crate) fn begin_use(&mut self, attachment: &Arc<GroupAttachment>) -> Result {
        let service = attachment.handler();
        let users = service.users() + 1;

        if users == 1 {
            self.0.insert(attachment.clone()).map_err(|_| EEXIST)?;
        }
        service.set_users(users);
        Ok(())
    }
}

impl super::space::Inner {
    /// `bond` uses its attachment no more. Detaches it if that was the last; on return no page
    /// request of the bond's device is in flight then, nor one that waits. May sleep.
    ///
    /// Gives what was attached: the PASID is free when that is dropped.
    pub(crate) fn end_use(&mut self, bond: &Bond, held: &Held) -> Option<Arc<SpaceTranslation>> {
        let attachment = &bond.attachment;

        if bond.flags.contains(Feature::Mapped) {
            // Unmapped, and with the last bond of the device detached.
            bond.pins.end();
            bond.abandon_waits(attachment);
            return None;
        }
        if !bond.flags.contains(Feature::Pasid) {
            return attachment.detach();
        }
        let service = attachment.handler();
        let users = service.users() - 1;

        service.set_users(users);
        if users == 0 {
            drop(self.attachments.0.remove(&attachment.group().key()));
            return attachment.detach();
        }
        // Another device, which may not leave as long as it has its bond.
        let other = self.bonds.iter().find_map(|there| {
            let same = Arc::ptr_eq(&there.attachment, attachment);

            (same && !::core::ptr::eq(&*there, bond)).then(|| there.held(self).cloned())?
        });

        if let Some(other) = other {
            // It has been reached when its bond was made.
            let _ = attachment.pass_on(held, &other);
        }
        // Without a detach nothing else sees to this device's requests.
        bond.abandon_waits(attachment);
        None
    }
}

impl Bond {
    /// Gives up the page requests of its device at `attachment` that wait. May sleep, for no page.
    pub(super) fn abandon_waits(&self, attachment: &GroupAttachment) {
        let dev = self.device.endpoint.dev();

        self.device.core.waits.abandon(|there| {
            (there.is_at(attachment) && there.is_of(dev)).then_some(Reason::Ending)
        });
    }
}
