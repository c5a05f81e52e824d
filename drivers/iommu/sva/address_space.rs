// SPDX-License-Identifier: GPL-2.0

//! Address spaces: all that one process has here.

use crate::{
    bond::Bond,
    device::SvaDevice,
    exit::ExitWatch,
    fault::FaultService,
    stats::FaultStats, //
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
    domain::SvaDomain,
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
    bonds: KVec<BondEntry>,
    pub(crate) exit_watch: Option<ExitWatch>,
}

/// The one attachment of (group, address space), which the bonds of the group's members share.
struct GroupAttachment {
    attachment: Pin<KBox<Attachment<FaultService>>>,
    /// How many bonds use it.
    bonds: usize,
}

/// A bond in its address space.
pub(crate) struct BondEntry {
    pub(crate) bond: Arc<Bond>,
    /// How often it was bound and not unbound: S2. At least 1.
    pub(crate) refs: usize,
    /// The task that runs the driver's handler for the process's exit.
    pub(crate) handler: Option<HandlerTask>,
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
                    bonds: KVec::new(),
                    exit_watch: None,
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
    /// The bond of `device`, if it has one.
    pub(crate) fn entry_of(&mut self, device: &SvaDevice) -> Option<&mut BondEntry> {
        self.bonds
            .iter_mut()
            .find(|entry| core::ptr::eq(&*entry.bond.device, device))
    }

    /// The entry of `bond`, unless the bond has ended.
    pub(crate) fn entry(&mut self, bond: &Bond) -> Option<&mut BondEntry> {
        self.bonds
            .iter_mut()
            .find(|entry| core::ptr::eq(&*entry.bond, bond))
    }

    /// All bonds.
    pub(crate) fn entries(&mut self) -> impl Iterator<Item = &mut BondEntry> {
        self.bonds.iter_mut()
    }

    /// Makes room for one more bond, so that [`Self::commit`] cannot fail.
    pub(crate) fn reserve(&mut self) -> Result {
        self.bonds.reserve(1, GFP_KERNEL)?;
        self.attachments.reserve(1, GFP_KERNEL)?;
        Ok(())
    }

    /// Attaches the address space to the group of `device`, under a PASID that fits.
    ///
    /// A PASID and a domain that other attachments of this address space have are shared where
    /// they fit. The result does nothing for us until it is [committed](Self::commit).
    pub(crate) fn attach(
        &self,
        device: &SvaDevice,
        mm: &MmWithUser,
    ) -> Result<Pin<KBox<Attachment<FaultService>>>> {
        let endpoint = &device.endpoint;
        let there = self
            .attachments
            .iter()
            .map(|there| &there.attachment)
            .find(|there| {
                there.pasid().get() <= device.max_pasid
                    && !core::ptr::eq(there.endpoint().group(), endpoint.group())
            });
        let pasid = match there {
            Some(there) => there.pasid().clone(),
            None => Arc::new(Pasid::alloc(endpoint, device.max_pasid)?, GFP_KERNEL)?,
        };
        let domain = self
            .attachments
            .iter()
            .map(|there| there.attachment.domain())
            .find(|domain| domain.fits(endpoint));

        if let Some(domain) = domain {
            let shared = Self::attach_domain(device, mm, pasid.clone(), domain.clone());

            // A domain of another IOMMU of the same driver need not fit.
            if !matches!(shared, Err(e) if e == EINVAL) {
                return shared;
            }
        }
        let domain = Arc::new(SvaDomain::alloc(endpoint, mm)?, GFP_KERNEL)?;

        Self::attach_domain(device, mm, pasid, domain)
    }

    fn attach_domain(
        device: &SvaDevice,
        mm: &MmWithUser,
        pasid: Arc<Pasid>,
        domain: Arc<SvaDomain<FaultService>>,
    ) -> Result<Pin<KBox<Attachment<FaultService>>>> {
        let service = FaultService {
            stats: Arc::new(FaultStats::default(), GFP_KERNEL)?,
        };

        KBox::try_pin_init(
            Attachment::new(device.endpoint.clone(), pasid, domain, mm, service),
            GFP_KERNEL,
        )
    }

    /// Records a bond and its attachment. There is room: see [`Self::reserve`].
    pub(crate) fn commit(
        &mut self,
        bond: Arc<Bond>,
        attachment: Pin<KBox<Attachment<FaultService>>>,
    ) {
        let entry = BondEntry {
            bond,
            refs: 1,
            handler: None,
        };
        let attachment = GroupAttachment {
            attachment,
            bonds: 1,
        };
        let room = self.bonds.push_within_capacity(entry).is_ok()
            && self.attachments.push_within_capacity(attachment).is_ok();

        debug_assert!(room);
    }

    /// Removes a bond, and detaches if it was the last on its attachment. May sleep.
    ///
    /// `false` if the bond had ended before.
    pub(crate) fn remove(&mut self, bond: &Bond) -> bool {
        let Some(at) = self
            .bonds
            .iter()
            .position(|entry| core::ptr::eq(&*entry.bond, bond))
        else {
            return false;
        };
        // The caller has a reference, so this is not the bond's last.
        drop(self.bonds.remove(at));

        let used = self.attachments.iter().position(|there| {
            core::ptr::eq(
                there.attachment.endpoint().group(),
                bond.device.endpoint.group(),
            )
        });

        if let Some(at) = used {
            self.attachments[at].bonds -= 1;
            if self.attachments[at].bonds == 0 {
                drop(self.attachments.remove(at));
            }
        }
        true
    }

    /// Retires an address space without bonds; the caller then has the core forget it.
    ///
    /// What is returned is to be dropped without the lock.
    pub(crate) fn retire_if_unused(&mut self) -> Option<Option<ExitWatch>> {
        self.retired = self.bonds.is_empty();
        self.retired.then(|| self.exit_watch.take())
    }
}
