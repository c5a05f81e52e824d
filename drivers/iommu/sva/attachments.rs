// SPDX-License-Identifier: GPL-2.0

//! Attachments: how an address space is reached by the devices of IOMMU groups.

use crate::{
    bond::Scope,
    core::Core,
    device::SvaDevice,
    fault::{FaultService, Faults},
    features::{Feature, Features},
};
use kernel::{
    mm::MmWithUser,
    prelude::*,
    rbtree::{RBTree, RBTreeNodeReservation},
    sync::Arc,
};
use kernel_ext::{
    attachment::Attachment,
    domain::SvaDomain,
    group::{Endpoint, IommuGroup},
    pasid::Pasid, //
};

/// The one attachment of (group, address space), which the bonds of the group's members share.
///
/// It stays as long as a bond of a device in its group does.
pub(crate) type GroupAttachment = Pin<KBox<Attachment<FaultService>>>;

/// What a bond that is being made is attached by.
pub(crate) enum Attached {
    /// Attached. Dropping it detaches.
    New(GroupAttachment),
    /// Another member of the group has the attachment already.
    Shared { pasid: u32, faults: Arc<Faults> },
    /// Attached to accesses without PASID, for one bond alone. Dropping it detaches.
    WithoutPasid(GroupAttachment),
}

impl Attached {
    /// The PASID.
    pub(crate) fn pasid(&self) -> u32 {
        match self {
            Self::New(attachment) | Self::WithoutPasid(attachment) => attachment.pasid().get(),
            Self::Shared { pasid, .. } => *pasid,
        }
    }

    /// Where its page requests are counted.
    pub(crate) fn faults(&self) -> &Arc<Faults> {
        match self {
            Self::New(attachment) | Self::WithoutPasid(attachment) => attachment.handler().faults(),
            Self::Shared { faults, .. } => faults,
        }
    }
}

/// The attachments of one address space with PASIDs: one for each group.
pub(crate) struct Attachments {
    /// By the address of the group, which an attachment keeps from being used anew.
    list: RBTree<usize, Listed>,
    /// Attachments that others have taken over from, kept for page requests in flight.
    replaced: KVec<GroupAttachment>,
}

/// An attachment, and who needs it.
pub(crate) struct Listed {
    attachment: GroupAttachment,
    /// How many bonds use it.
    bonds: usize,
    /// The last device that had been initialised when it was made. Those that came later may have
    /// come into the group after the attach, which reached its members then.
    newest: u64,
}

/// Room for one more attachment, made before that is.
pub(crate) struct AttachmentRoom {
    node: RBTreeNodeReservation<usize, Listed>,
    newest: u64,
}

fn key(group: &IommuGroup) -> usize {
    ::core::ptr::from_ref(group).addr()
}

impl Attachments {
    pub(crate) fn new() -> Self {
        Self {
            list: RBTree::new(),
            replaced: KVec::new(),
        }
    }

    /// Makes room for one more, so that [`Self::add`] cannot fail.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn reserve(core: &Core) -> Result<AttachmentRoom> {
        Ok(AttachmentRoom {
            node: RBTreeNodeReservation::new(GFP_KERNEL)?,
            newest: core.newest_device(),
        })
    }

    /// The attachment to `group`, which its members share.
    fn to(&self, group: &IommuGroup) -> Option<&GroupAttachment> {
        self.list.get(&key(group)).map(|there| &there.attachment)
    }

    fn all(&self) -> impl Iterator<Item = &GroupAttachment> {
        self.list.values().map(|there| &there.attachment)
    }

    /// Attaches the address space to the group of `device`, under a PASID that fits all members;
    /// or finds that it is. The result changes nothing here until it is [added](Self::add).
    ///
    /// A PASID and a domain that other attachments of this address space have are shared where
    /// they fit.
    ///
    /// # Errors
    ///
    /// - `EEXIST`: the group is attached with another `IOPF` in its flags.
    /// - `ENOSPC`: no PASID is left that the device can send.
    /// - `ENOMEM`, and what the IOMMU driver says.
    pub(crate) fn attach(
        &self,
        device: &SvaDevice,
        mm: &MmWithUser,
        flags: Features,
        scope: Scope,
    ) -> Result<Attached> {
        if let Some(there) = self.to(device.endpoint.group()) {
            // Page requests of all members arrive there.
            if there.handler().serves != FaultService::serves(flags) {
                return Err(EEXIST);
            }
            // The PASID was chosen to fit all members, but a driver may have set a lower limit.
            if there.pasid().get() > device.max_pasid {
                return Err(ENOSPC);
            }
            if flags.contains(Feature::NoReadAhead) {
                there.handler().faults().streams.turn_off();
            }
            return Ok(Attached::Shared {
                pasid: there.pasid().get(),
                faults: there.handler().faults().clone(),
            });
        }
        let endpoint = &device.endpoint;
        let limit = match scope {
            Scope::Device => device.max_pasid,
            Scope::Group => device.max_pasid.min(endpoint.group().max_pasid()),
        };
        let pasid = match self.all().find(|there| there.pasid().get() <= limit) {
            Some(there) => there.pasid().clone(),
            None => Arc::new(Pasid::alloc(endpoint, limit)?, GFP_KERNEL)?,
        };

        if let Some(there) = self.all().find(|there| there.domain().fits(endpoint)) {
            let shared =
                Self::attach_domain(device, mm, pasid.clone(), there.domain().clone(), flags);

            // A domain for another IOMMU of the same driver need not fit.
            if !matches!(shared, Err(e) if e == EINVAL) {
                return shared;
            }
        }
        let domain = Arc::new(SvaDomain::alloc(endpoint, mm)?, GFP_KERNEL)?;

        Self::attach_domain(device, mm, pasid, domain, flags)
    }

    fn attach_domain(
        device: &SvaDevice,
        mm: &MmWithUser,
        pasid: Arc<Pasid>,
        domain: Arc<SvaDomain<FaultService>>,
        flags: Features,
    ) -> Result<Attached> {
        let service = FaultService::new(&device.core, flags)?;

        Ok(Attached::New(KBox::try_pin_init(
            Attachment::new(device.endpoint.clone(), pasid, domain, mm, service),
            GFP_KERNEL,
        )?))
    }

    /// If the group of `device` is attached, but perhaps since before the device came into it:
    /// attaches the group anew, so that the device gets it too (S16). The others' translations do
    /// not fail meanwhile.
    ///
    /// # Errors
    ///
    /// `ENOSPC` if the device cannot send the group's PASID. `ENOMEM`, and what the IOMMU driver
    /// says.
    pub(crate) fn reach(&mut self, device: &SvaDevice, mm: &MmWithUser) -> Result {
        let newest = device.core.newest_device();
        let Some(there) = self.list.get_mut(&key(device.endpoint.group())) else {
            return Ok(());
        };

        if device.number <= there.newest {
            return Ok(());
        }
        let old = &there.attachment;

        if old.pasid().get() > device.max_pasid {
            return Err(ENOSPC);
        }
        self.replaced.reserve(1, GFP_KERNEL)?;

        // The core would re-attach nothing for the domain that it has.
        let domain = Arc::new(SvaDomain::alloc(&device.endpoint, mm)?, GFP_KERNEL)?;
        let service = old.handler().successor();
        let endpoint = device.endpoint.clone();
        let new = KBox::try_pin_init(
            Attachment::replace(old, endpoint, domain, mm, service),
            GFP_KERNEL,
        )?;
        let old = ::core::mem::replace(&mut there.attachment, new);

        there.newest = newest;
        let room = self.replaced.push_within_capacity(old).is_ok();

        debug_assert!(room);
        Ok(())
    }

    /// Lists a new attachment, which one bond uses.
    pub(crate) fn add(&mut self, room: AttachmentRoom, attachment: GroupAttachment) {
        let key = key(attachment.group());
        let listed = Listed {
            attachment,
            bonds: 1,
            newest: room.newest,
        };

        self.list.insert(room.node.into_node(key, listed));
    }

    /// One more bond uses the attachment to `group`.
    pub(crate) fn share(&mut self, group: &IommuGroup) {
        if let Some(there) = self.list.get_mut(&key(group)) {
            there.bonds += 1;
        }
    }

    /// One bond less uses the attachment to `group`: whether others do.
    pub(crate) fn leave(&mut self, group: &IommuGroup) -> bool {
        self.list.get_mut(&key(group)).is_some_and(|there| {
            there.bonds -= 1;
            there.bonds > 0
        })
    }

    /// Lets `leaving` go, whose group stays attached for the sake of `staying`. May sleep.
    ///
    /// On return no page request of `leaving` is in flight.
    pub(crate) fn hand_over(&mut self, leaving: &Endpoint, staying: &Arc<Endpoint>) {
        if let Some(there) = self.to(leaving.group()) {
            let moved = there.set_endpoint(staying.clone());

            debug_assert!(moved.is_ok());
            // Without a detach nothing else sees to this device's requests.
            there.handler().faults().abandon(Some(leaving));
        }
    }

    /// Detaches `group`, if it is attached. May sleep; its page requests have been answered then.
    pub(crate) fn detach(&mut self, group: &IommuGroup) {
        if let Some(there) = self.list.remove(&key(group)) {
            drop(there);
            self.replaced
                .retain(|there| !::core::ptr::eq(there.group(), group));
        }
    }
}
