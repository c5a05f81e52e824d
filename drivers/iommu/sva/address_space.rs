// SPDX-License-Identifier: GPL-2.0

//! Address spaces: all that one process has here.

use crate::{
    attachments::Attachments,
    bond::{Bond, Scope},
    bond_list::BondList,
    core::Core,
    device::SvaDevice,
    exit::ExitWatch,
    features::Feature,
    reserved::{self, Carved},
};
use kernel::{
    mm::{Mm, MmWithUser},
    new_condvar, new_mutex,
    prelude::*,
    sync::{
        aref::ARef,
        lock::{mutex::MutexBackend, Guard},
        Arc, CondVar, LockedBy, Mutex,
    },
};
use kernel_ext::tree::{impl_tree_item, Links};

/// The address space of a process that has bonds.
///
/// It retires with its last bond; a later bind makes a new one.
#[pin_data]
pub(crate) struct AddressSpace {
    mm: ARef<Mm>,
    #[pin]
    inner: Mutex<Inner>,
    /// A driver's hook has returned, or what it waits for: a start of the device.
    #[pin]
    hook_done: CondVar,
    /// Among all address spaces.
    links: Links,
}

impl_tree_item! {
    impl TreeItem<0> for AddressSpace { self.links, key: usize = |space| Self::key_of(space.mm()) }
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
            hook_done <- new_condvar!("sva_hook_done"),
            links: Links::new(),
        })
    }

    /// Tells an mm from all others that there are. An address space keeps its mm's from being used
    /// anew.
    pub(crate) fn key_of(mm: &Mm) -> usize {
        mm.as_raw().addr()
    }

    /// `data`, to be reached by those who have the lock.
    pub(crate) fn locked_by<T>(&self, data: T) -> LockedBy<T, Inner> {
        LockedBy::new(&self.inner, data)
    }

    pub(crate) fn mm(&self) -> &Mm {
        &self.mm
    }

    /// Locks, unless the address space has retired.
    pub(crate) fn lock(&self) -> Option<Guard<'_, Inner, MutexBackend>> {
        let inner = self.inner.lock();

        (!inner.retired).then_some(inner)
    }

    /// Waits, without the lock, until some driver's hook may have returned, or a start of a device.
    pub(crate) fn wait_for_hook(&self, inner: &mut Guard<'_, Inner, MutexBackend>) {
        self.hook_done.wait(inner);
    }

    /// A bond whose hook has run has ended, or a start that a hook waits for.
    pub(crate) fn wake_hook_waiters(&self) {
        self.hook_done.notify_all();
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

    /// Records a bond that has been attached, and what was carved out for it.
    pub(crate) fn commit(&mut self, bond: Arc<Bond>, carved: KVec<Carved>) {
        if bond.flags.contains(Feature::Pasid) {
            self.share(&bond.attachment);
        }
        self.bonds.add(bond);

        let room = carved
            .into_iter()
            .all(|one| self.carved.push_within_capacity(one).is_ok());

        debug_assert!(room);
    }

    /// Removes a bond, and detaches if it was the last on its attachment. May sleep.
    ///
    /// `false` if the bond had ended before.
    pub(crate) fn remove(&mut self, bond: &Bond) -> bool {
        if self.bonds.remove(bond).is_none() {
            return false;
        }
        if !bond.flags.contains(Feature::Pasid) {
            bond.attachment.detach();
            return true;
        }
        let endpoint = &bond.device.endpoint;

        if !self.leave(endpoint.group()) {
            self.attachments.detach(endpoint.group());
        } else if let Some(other) = self.bonds.user_of(endpoint.group()) {
            // This device may leave now; the other stays as long as it has its bond.
            self.attachments.hand_over(endpoint, &other);
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

/// What is left of an address space that has retired: to be dropped without its lock.
pub(crate) struct Remains {
    _exit_watch: Option<ExitWatch>,
}
