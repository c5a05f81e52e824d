// SPDX-License-Identifier: GPL-2.0

//! Attachments: how an address space is reached by the devices of IOMMU groups.

use crate::{
    address_space::Inner,
    bond::Scope,
    device::SvaDevice,
    fault::FaultService,
    features::{Feature, Features},
};
use kernel::{
    mm::MmWithUser,
    prelude::*,
    sync::{Arc, ArcBorrow},
};
use kernel_ext::{
    attachment::Attachment,
    domain::SvaDomain,
    group::{Endpoint, IommuGroup},
    pasid::Pasid,
    translation::Translation,
    tree::Tree,
};

/// The one attachment of (group, address space), which the bonds of the group's members share.
///
/// It stays attached as long as a bond of a device in its group does.
pub(crate) type GroupAttachment = Attachment<FaultService>;

/// The attachments of one address space with PASIDs: one for each group.
pub(crate) struct Attachments(Tree<GroupAttachment>);

fn pasid_of(attachment: &GroupAttachment) -> u32 {
    let translation = attachment.translation();

    translation.map_or(Pasid::NONE, |there| there.pasid())
}

/// How a bond that is being made is attached.
pub(crate) struct Prepared {
    pub(crate) attachment: Arc<GroupAttachment>,
    pub(crate) pasid: u32,
    /// What is to be attached, unless the attachment is there.
    pub(crate) new: Option<Arc<Translation<FaultService>>>,
    /// Other groups are attached to it already.
    pub(crate) shared: bool,
}

impl Prepared {
    /// Attaches, if that is to be done. May sleep; takes the group's mutex, and perhaps `mmap_lock`.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, and what the IOMMU driver says.
    pub(crate) fn attach(&self, device: &SvaDevice, mm: &MmWithUser) -> Result {
        let endpoint = &device.endpoint;
        let Some(translation) = &self.new else {
            return Ok(());
        };
        let attach = |translation| self.attachment.attach(endpoint.clone(), translation, mm);

        match attach(translation.clone()) {
            // A domain for another IOMMU of the same driver need not fit.
            Err(e) if e == EINVAL && self.shared => {
                let domain = SvaDomain::alloc(endpoint, mm)?;

                attach(Translation::with_pasid_of(translation, domain)?)
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

    /// Finds the attachment to the group of `device`; or makes one that is to be attached, under a
    /// PASID that fits all members. It changes nothing here until it is [shared](Inner::share).
    ///
    /// A PASID and a domain that other attachments of this address space have are shared where
    /// they fit.
    ///
    /// # Errors
    ///
    /// - `EEXIST`: the group is attached with another `IOPF` in its flags.
    /// - `ENOSPC`: no PASID is left that the device can send.
    /// - `ENOMEM`, and what the IOMMU driver says.
    pub(crate) fn prepare(
        &self,
        device: &SvaDevice,
        mm: &MmWithUser,
        flags: Features,
        scope: Scope,
    ) -> Result<Prepared> {
        let endpoint = &device.endpoint;
        let group = endpoint.group();

        if let Some(there) = self.to(group) {
            return Self::join(there.into(), device, flags);
        }
        let limit = match scope {
            Scope::Device => device.max_pasid,
            Scope::Group => device.max_pasid.min(group.max_pasid()),
        };
        let (translation, shared) = self.translation(endpoint, mm, limit)?;
        // Before the attach: who comes later may not be reached by it.
        let newest = device.core.newest_device();
        let service = FaultService::new(&device.core, flags, newest);

        Ok(Prepared {
            attachment: Arc::pin_init(Attachment::new(group.into(), service), GFP_KERNEL)?,
            pasid: translation.pasid(),
            new: Some(translation),
            shared,
        })
    }

    fn join(there: Arc<GroupAttachment>, device: &SvaDevice, flags: Features) -> Result<Prepared> {
        let pasid = pasid_of(&there);

        // Page requests of all members arrive there.
        if there.handler().serves != FaultService::serves(flags) {
            return Err(EEXIST);
        }
        // The PASID was chosen to fit all members, but a driver may have set a lower limit.
        if pasid > device.max_pasid {
            return Err(ENOSPC);
        }
        if flags.contains(Feature::NoReadAhead) {
            there.handler().faults().streams.turn_off();
        }
        Ok(Prepared {
            attachment: there,
            pasid,
            new: None,
            shared: true,
        })
    }

    /// A domain for the IOMMU of `endpoint` under a PASID up to `limit`: one that is there, or one
    /// with a PASID that is there, or a new one. Whether the domain was there.
    fn translation(
        &self,
        endpoint: &Endpoint,
        mm: &MmWithUser,
        limit: u32,
    ) -> Result<(Arc<Translation<FaultService>>, bool)> {
        let all = || self.0.iter().filter_map(|there| there.translation());
        let mut within = all().filter(|there| there.pasid() <= limit).peekable();
        let first = within.peek().cloned();

        if let Some(there) = within.find(|there| there.domain().fits(endpoint)) {
            return Ok((there, true));
        }
        let new = match first {
            Some(there) => Translation::with_pasid_of(&there, SvaDomain::alloc(endpoint, mm)?)?,
            None => {
                let pasid = Pasid::alloc(endpoint, limit)?;

                Translation::new(SvaDomain::alloc(endpoint, mm)?, pasid)?
            }
        };

        Ok((new, false))
    }

    /// Lets `leaving` go, whose group stays attached for the sake of `staying`. May sleep.
    ///
    /// On return no page request of `leaving` is in flight.
    pub(crate) fn hand_over(&self, leaving: &Endpoint, staying: &Arc<Endpoint>) {
        if let Some(there) = self.to(leaving.group()) {
            let moved = there.set_endpoint(staying.clone());

            debug_assert!(moved.is_ok());
            // Without a detach nothing else sees to this device's requests.
            there.handler().faults().abandon(Some(leaving));
        }
    }

    /// Detaches `group`, if it is attached. May sleep; its page requests have been answered then.
    pub(crate) fn detach(&mut self, group: &IommuGroup) {
        if let Some(there) = self.0.remove(&group.key()) {
            there.detach();
        }
    }
}

impl Inner {
    /// If the group of `device` is attached, but perhaps since before the device came into it:
    /// attaches the group anew, so that the device gets it too (S16). The others' translations do
    /// not fail meanwhile.
    ///
    /// # Errors
    ///
    /// `ENOSPC` if the device cannot send the group's PASID. `ENOMEM`, and what the IOMMU driver
    /// says.
    pub(crate) fn reach(&mut self, device: &SvaDevice, mm: &MmWithUser) -> Result {
        let endpoint = &device.endpoint;
        let newest = device.core.newest_device();
        let Some(old) = self.attachments.to(endpoint.group()) else {
            return Ok(());
        };
        let old: Arc<GroupAttachment> = old.into();

        if device.number <= old.handler().newest {
            return Ok(());
        }
        if pasid_of(&old) > device.max_pasid {
            return Err(ENOSPC);
        }
        // The core would re-attach nothing for the domain that it has.
        let domain = SvaDomain::alloc(endpoint, mm)?;
        let service = FaultService::successor(&old, newest);
        let new = Arc::pin_init(
            Attachment::new(endpoint.group().into(), service),
            GFP_KERNEL,
        )?;

        new.replace(&old, endpoint.clone(), domain, mm)?;
        drop(self.attachments.0.remove(&endpoint.group().key()));

        let listed = self.attachments.0.insert(new);

        debug_assert!(listed.is_ok());
        Ok(())
    }

    /// One more bond uses `attachment`, which is attached.
    pub(crate) fn share(&mut self, attachment: &Arc<GroupAttachment>) {
        let users = attachment.handler().users() + 1;

        attachment.handler().set_users(users);
        if users == 1 {
            let listed = self.attachments.0.insert(attachment.clone());

            debug_assert!(listed.is_ok());
        }
    }

    /// One bond less uses the attachment to `group`: whether others do.
    pub(crate) fn leave(&mut self, group: &IommuGroup) -> bool {
        let Some(there) = self.attachments.to(group) else {
            return false;
        };
        let users = there.handler().users() - 1;

        there.handler().set_users(users);
        users > 0
    }
}
