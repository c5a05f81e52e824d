// SPDX-License-Identifier: GPL-2.0

//! Address spaces: all that one process has here.

use crate::{
    attachments::{Attached, AttachmentRoom, Attachments},
    bond::{Bond, Scope},
    bond_list::{BondEntry, BondList, BondRoom},
    core::Core,
    device::SvaDevice,
    exit::ExitWatch,
    features::Feature,
    owner::Owner,
    reserved::{self, Carved},
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

/// The address space of a process that has bonds.
///
/// It retires with its last bond; a later bind makes a new one.
#[pin_data]
pub(crate) struct AddressSpace {
    mm: ARef<Mm>,
    #[pin]
    inner: Mutex<Inner>,
    /// A driver's hook has returned.
    #[pin]
    exit_done: CondVar,
}

/// What an address space's lock protects.
pub(crate) struct Inner {
    /// No bond is left, and none will be made.
    retired: bool,
    pub(crate) attachments: Attachments,
    pub(crate) bonds: BondList,
    exit_watch: Option<ExitWatch>,
    /// What the process must not use as long as there are bonds.
    carved: KVec<Carved>,
}

impl AddressSpace {
    pub(crate) fn new(mm: ARef<Mm>) -> impl PinInit<Self> {
        pin_init!(Self {
            mm,
            inner <- new_mutex!(
                Inner {
                    retired: false,
                    attachments: Attachments::new(),
                    bonds: BondList::new(),
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

    /// Waits, without the lock, until some driver's hook has returned.
    pub(crate) fn wait_for_handler(&self, inner: &mut Guard<'_, Inner, MutexBackend>) {
        self.exit_done.wait(inner);
    }

    /// A bond has ended.
    pub(crate) fn wake_handler_waiters(&self) {
        self.exit_done.notify_all();
    }
}

impl Inner {
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
    pub(crate) fn reserve(core: &Core) -> Result<Room> {
        Ok(Room {
            bond: BondList::reserve()?,
            attachment: Attachments::reserve(core)?,
        })
    }

    /// Records a bond and what was made for it.
    pub(crate) fn commit(
        &mut self,
        room: Room,
        bond: Arc<Bond>,
        owner: Arc<dyn Owner>,
        attached: Attached,
        carved: KVec<Carved>,
    ) {
        let without_pasid = match attached {
            Attached::New(attachment) => {
                self.attachments.add(room.attachment, attachment);
                None
            }
            Attached::Shared { .. } => {
                self.attachments.share(bond.device.endpoint.group());
                None
            }
            Attached::WithoutPasid(attachment) => Some(attachment),
        };

        self.bonds.add(
            room.bond,
            BondEntry {
                bond,
                owner: Some(owner),
                handler: None,
                without_pasid,
            },
        );
        let room = carved
            .into_iter()
            .all(|one| self.carved.push_within_capacity(one).is_ok());

        debug_assert!(room);
    }

    /// Removes a bond, and detaches if it was the last on its attachment. May sleep.
    ///
    /// `false` if the bond had ended before.
    pub(crate) fn remove(&mut self, bond: &Bond) -> bool {
        let Some(entry) = self.bonds.remove(bond) else {
            return false;
        };

        // The caller has a reference, so this is not the bond's last. A bond without PASID is
        // detached here, and is no user of the group's attachment.
        drop(entry);
        if !bond.flags.contains(Feature::Pasid) {
            return true;
        }
        let endpoint = &bond.device.endpoint;

        if !self.attachments.leave(endpoint.group()) {
            self.attachments.detach(endpoint.group());
        } else if let Some(other) = self.bonds.user_of(endpoint.group()) {
            // This device may leave now; the other stays as long as it has its bond.
            self.attachments.hand_over(endpoint, other);
        }
        true
    }

    /// Carves out what `device`, or its group if `scope` is that, cannot translate. Dropping the
    /// result undoes it; [committing](Self::commit) it keeps it until the last bond ends.
    pub(crate) fn carve(
        &mut self,
        device: &SvaDevice,
        mm: &MmWithUser,
        scope: Scope,
    ) -> Result<KVec<Carved>> {
        let queue = &device.core.queue;
        let carved = match scope {
            Scope::Device => reserved::carve(queue, &device.untranslated, mm, &self.carved)?,
            Scope::Group => {
                let ranges = device.endpoint.group().untranslated()?;

                reserved::carve(queue, &ranges, mm, &self.carved)?
            }
        };

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

/// Room for one more bond, and for its attachment.
pub(crate) struct Room {
    bond: BondRoom,
    attachment: AttachmentRoom,
}

/// What is left of an address space that has retired: to be dropped without its lock.
pub(crate) struct Remains {
    _exit_watch: Option<ExitWatch>,
}
