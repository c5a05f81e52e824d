// SPDX-License-Identifier: GPL-2.0

//! Address spaces: all that one process has here.

use crate::{
    bond::Bond,
    core::Core,
    device::SvaDevice,
    exit::ExitWatch,
    fault::{FaultService, Faults},
    features::{Feature, Features},
    reserved, //
};
use kernel::{
    mm::{Mm, MmWithUser},
    new_condvar, new_mutex,
    prelude::*,
    sync::{
        aref::ARef,
        lock::{mutex::MutexBackend, Guard},
        Arc, CondVar, Mutex,
    },
};
use kernel_ext::{
    attachment::Attachment,
    carve::Carved,
    domain::SvaDomain,
    group::IommuGroup,
    pasid::Pasid, //
};

/// The address space of a process that has bonds.
///
/// It retires with its last bond; a later bind makes a new one.
#[pin_data]
pub(crate) struct AddressSpace {
    mm: ARef<Mm>,
    #[pin]
    inner: Mutex<Inner>,
    /// A handler for the process's exit has returned.
    #[pin]
    exit_done: CondVar,
}

/// What an address space's lock protects.
pub(crate) struct Inner {
    /// No bond is left, and none will be made.
    retired: bool,
    attachments: KVec<GroupAttachment>,
    /// Attachments that others have taken over from, kept for page requests in flight.
    replaced: KVec<GroupAttachment>,
    bonds: KVec<BondEntry>,
    exit_watch: Option<ExitWatch>,
    /// What the process must not use as long as there are bonds.
    carved: KVec<Carved>,
}

/// The one attachment of (group, address space), which the bonds of the group's members share.
///
/// It stays as long as a bond of a device in its group does.
pub(crate) type GroupAttachment = Pin<KBox<Attachment<FaultService>>>;

/// What [`Inner::attach`] did.
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

/// A bond in its address space.
pub(crate) struct BondEntry {
    pub(crate) bond: Arc<Bond>,
    /// How often it was bound and not unbound: S2. At least 1.
    pub(crate) refs: usize,
    /// The task that runs the driver's handler for the process's exit.
    pub(crate) handler: Option<HandlerTask>,
    /// The attachment of a bond without PASID. One with a PASID uses its group's.
    without_pasid: Option<GroupAttachment>,
}

/// Names a task, and is compared only.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct HandlerTask(usize);

impl HandlerTask {
    pub(crate) fn current() -> Self {
        Self(kernel::task::Task::current_raw().addr())
    }
}

impl AddressSpace {
    pub(crate) fn new(mm: ARef<Mm>) -> impl PinInit<Self> {
        pin_init!(Self {
            mm,
            inner <- new_mutex!(
                Inner {
                    retired: false,
                    attachments: KVec::new(),
                    replaced: KVec::new(),
                    bonds: KVec::new(),
                    exit_watch: None,
                    carved: KVec::new(),
                },
                "sva_address_space"
            ),
            exit_done <- new_condvar!("sva_exit_done"),
        })
    }

    pub(crate) fn mm(&self) -> &Mm {
        &self.mm
    }

    /// Locks, unless the address space has retired.
    pub(crate) fn lock(&self) -> Option<Guard<'_, Inner, MutexBackend>> {
        let inner = self.inner.lock();

        (!inner.retired).then_some(inner)
    }

    /// Waits, without the lock, until some handler for the process's exit has returned.
    pub(crate) fn wait_for_handler(&self, inner: &mut Guard<'_, Inner, MutexBackend>) {
        self.exit_done.wait(inner);
    }

    /// A handler has returned, or its bond has ended.
    pub(crate) fn wake_handler_waiters(&self) {
        self.exit_done.notify_all();
    }
}

impl Inner {
    /// The bond of `device`, if it has one: that with a PASID, or that without, as `flags` say.
    pub(crate) fn entry_of(
        &mut self,
        device: &SvaDevice,
        flags: Features,
    ) -> Option<&mut BondEntry> {
        let same =
            |bond: &Bond| bond.flags.contains(Feature::Pasid) == flags.contains(Feature::Pasid);

        self.bonds
            .iter_mut()
            .find(|entry| ::core::ptr::eq(&*entry.bond.device, device) && same(&entry.bond))
    }

    /// The entry of `bond`, unless the bond has ended.
    pub(crate) fn entry(&mut self, bond: &Bond) -> Option<&mut BondEntry> {
        self.bonds
            .iter_mut()
            .find(|entry| ::core::ptr::eq(&*entry.bond, bond))
    }

    /// All bonds.
    pub(crate) fn entries(&mut self) -> impl Iterator<Item = &mut BondEntry> {
        self.bonds.iter_mut()
    }

    /// Watches for the exit of the process, if nothing does yet. May sleep; takes `mmap_lock`.
    pub(crate) fn watch_exit(
        &mut self,
        core: &Arc<Core>,
        space: &Arc<AddressSpace>,
        mm: &MmWithUser,
    ) -> Result {
        if self.exit_watch.is_none() {
            self.exit_watch = Some(ExitWatch::new(core, space, mm)?);
        }
        Ok(())
    }

    /// Makes room for one more bond, so that [`Self::commit`] cannot fail.
    pub(crate) fn reserve(&mut self) -> Result {
        self.bonds.reserve(1, GFP_KERNEL)?;
        self.attachments.reserve(1, GFP_KERNEL)?;
        Ok(())
    }

    /// Where in the list the attachment to `group` is, which its members share.
    fn attachment_to(&self, group: &IommuGroup) -> Option<usize> {
        self.attachments
            .iter()
            .position(|there| ::core::ptr::eq(there.group(), group))
    }

    /// Attaches the address space to the group of `device`, under a PASID that fits all members;
    /// or finds that it is. The result changes nothing here until it is
    /// [committed](Self::commit).
    ///
    /// A PASID and a domain that other attachments of this address space have are shared where
    /// they fit.
    pub(crate) fn attach(
        &self,
        device: &SvaDevice,
        mm: &MmWithUser,
        flags: Features,
    ) -> Result<Attached> {
        let serves = flags.contains(Feature::Iopf);

        if let Some(at) = self.attachment_to(device.endpoint.group()) {
            let there = &self.attachments[at];

            // Page requests of all members arrive there.
            if there.handler().serves() != serves {
                return Err(EEXIST);
            }
            // The PASID was chosen to fit all members, but a driver may have set a lower limit.
            if there.pasid().get() > device.max_pasid {
                return Err(ENOSPC);
            }
            return Ok(Attached::Shared {
                pasid: there.pasid().get(),
                faults: there.handler().faults().clone(),
            });
        }
        let endpoint = &device.endpoint;
        let limit = device.max_pasid.min(endpoint.group().max_pasid());
        let attachments = &self.attachments;
        let pasid = match attachments
            .iter()
            .find(|there| there.pasid().get() <= limit)
        {
            Some(there) => there.pasid().clone(),
            None => Arc::new(Pasid::alloc(endpoint, limit)?, GFP_KERNEL)?,
        };

        if let Some(there) = attachments
            .iter()
            .find(|there| there.domain().fits(endpoint))
        {
            let shared =
                Self::attach_domain(device, mm, pasid.clone(), there.domain().clone(), serves);

            // A domain for another IOMMU of the same driver need not fit.
            if !matches!(shared, Err(e) if e == EINVAL) {
                return shared;
            }
        }
        let domain = Arc::new(SvaDomain::alloc(endpoint, mm)?, GFP_KERNEL)?;

        Self::attach_domain(device, mm, pasid, domain, serves)
    }

    fn attach_domain(
        device: &SvaDevice,
        mm: &MmWithUser,
        pasid: Arc<Pasid>,
        domain: Arc<SvaDomain<FaultService>>,
        serves: bool,
    ) -> Result<Attached> {
        let service = FaultService::new(&device.core, serves)?;

        Ok(Attached::New(KBox::try_pin_init(
            Attachment::new(device.endpoint.clone(), pasid, domain, mm, service),
            GFP_KERNEL,
        )?))
    }

    /// Attaches the group of `device` anew, so that a member which came after the attach gets it
    /// too (S16). The others' translations do not fail meanwhile.
    ///
    /// # Errors
    ///
    /// `ENOSPC` if the device cannot send the group's PASID. `ENOENT` if the group is not
    /// attached. `ENOMEM`, and what the IOMMU driver says.
    pub(crate) fn reattach(&mut self, device: &SvaDevice, mm: &MmWithUser) -> Result {
        let at = self.attachment_to(device.endpoint.group()).ok_or(ENOENT)?;
        let old = &self.attachments[at];

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
        let old = ::core::mem::replace(&mut self.attachments[at], new);
        let room = self.replaced.push_within_capacity(old).is_ok();

        debug_assert!(room);
        Ok(())
    }

    /// Records a bond and what was made for it. There is room: see [`Self::reserve`].
    pub(crate) fn commit(
        &mut self,
        bond: Arc<Bond>,
        refs: usize,
        attached: Attached,
        carved: KVec<Carved>,
    ) {
        let (room, without_pasid) = match attached {
            Attached::New(attachment) => {
                let pushed = self.attachments.push_within_capacity(attachment);

                (pushed.is_ok(), None)
            }
            Attached::Shared { .. } => (true, None),
            Attached::WithoutPasid(attachment) => (true, Some(attachment)),
        };
        let entry = BondEntry {
            bond,
            refs,
            handler: None,
            without_pasid,
        };
        let room = self.bonds.push_within_capacity(entry).is_ok() && room;
        let room = carved
            .into_iter()
            .all(|one| self.carved.push_within_capacity(one).is_ok())
            && room;

        debug_assert!(room);
    }

    /// Removes a bond, and detaches if it was the last on its attachment. May sleep.
    ///
    /// `false` if the bond had ended before.
    pub(crate) fn remove(&mut self, bond: &Bond) -> bool {
        let Some(at) = self
            .bonds
            .iter()
            .position(|entry| ::core::ptr::eq(&*entry.bond, bond))
        else {
            return false;
        };
        // The caller has a reference, so this is not the bond's last. A bond without PASID is
        // detached here, and is no user of the group's attachment.
        drop(self.bonds.remove(at));
        if !bond.flags.contains(Feature::Pasid) {
            return true;
        }

        let group = bond.device.endpoint.group();
        let Some(at) = self.attachment_to(group) else {
            return true;
        };
        let other = self.bonds.iter().find(|entry| {
            entry.without_pasid.is_none()
                && ::core::ptr::eq(entry.bond.device.endpoint.group(), group)
        });

        match other {
            // This device may leave now; the other stays as long as it has its bond.
            Some(other) => {
                let endpoint = other.bond.device.endpoint.clone();
                let moved = self.attachments[at].set_endpoint(endpoint);

                debug_assert!(moved.is_ok());
                // The group stays attached, but this device must not be waited with any more.
                self.attachments[at]
                    .handler()
                    .faults()
                    .abandon(Some(&bond.device.endpoint));
            }
            None => {
                drop(self.attachments.remove(at));
                self.replaced
                    .retain(|there| !::core::ptr::eq(there.group(), group));
            }
        }
        true
    }

    /// Carves out what the group of `device` cannot translate. Dropping the result undoes it;
    /// [committing](Self::commit) it keeps it until the last bond ends.
    pub(crate) fn carve(&mut self, device: &SvaDevice, mm: &MmWithUser) -> Result<KVec<Carved>> {
        let group = device.endpoint.group();
        let carved = reserved::carve(&device.core.queue, group, mm, &self.carved)?;

        self.carved.reserve(carved.len(), GFP_KERNEL)?;
        Ok(carved)
    }

    /// Retires an address space without bonds, and gives back what was carved out of it; the
    /// caller then has the core forget it. May sleep; takes `mmap_lock`.
    pub(crate) fn retire_if_unused(&mut self) -> Option<Remains> {
        self.retired = self.bonds.is_empty();
        self.retired.then(|| {
            // Still under the lock: a bind that comes next must not take ours for the process's.
            self.carved.clear();
            Remains {
                _exit_watch: self.exit_watch.take(),
            }
        })
    }
}

/// What is left of an address space that has retired: to be dropped without its lock.
pub(crate) struct Remains {
    _exit_watch: Option<ExitWatch>,
}
