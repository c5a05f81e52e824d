// SPDX-License-Identifier: GPL-2.0

//! Address spaces: all that one process has here, under one lock.

use super::{
    attach::Attachments,
    core::Core,
    device::SvaDevice,
    exit::ExitWatch,
    list::BondList,
    reserved::{self, Carved},
    Scope,
};
use kernel::{
    current,
    mm::{Mm, MmWithUser},
    new_condvar, new_mutex,
    prelude::*,
    sync::{
        aref::ARef,
        lock::{mutex::MutexBackend, Guard},
        Arc, CondVar, LockedBy, Mutex,
    },
};
use kernel_ext::{
    task::{self, COMM_LEN},
    tree::{impl_tree_item, Links},
};

/// The address space of a process that has bonds.
///
/// It retires with its last bond; a later bind makes a new one.
#[pin_data]
pub(crate) struct AddressSpace {
    mm: ARef<Mm>,
    /// The process that bound first, for people who read debugfs.
    pub(crate) pid: i32,
    pub(crate) comm: [u8; COMM_LEN],
    #[pin]
    inner: Mutex<Inner>,
    /// A call of a driver has returned, or what it waits for: a start of the device.
    #[pin]
    changed: CondVar,
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

/// An address space whose lock is held.
pub(crate) type Locked<'a> = Guard<'a, Inner, MutexBackend>;

impl AddressSpace {
    /// That of `mm`, which the current process binds.
    pub(crate) fn new(mm: ARef<Mm>) -> impl PinInit<Self> {
        pin_init!(Self {
            mm,
            pid: current!().tgid(),
            comm: task::comm(),
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
            changed <- new_condvar!("sva_address_space_changed"),
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
    pub(crate) fn lock(&self) -> Option<Locked<'_>> {
        let inner = self.inner.lock();

        (!inner.retired).then_some(inner)
    }

    /// Locks, even if the address space has retired: for an end under way.
    pub(crate) fn lock_anyway(&self) -> Locked<'_> {
        self.inner.lock()
    }

    /// Waits, without the lock, until some driver's call may have returned, or a start of a device.
    pub(crate) fn wait(&self, inner: &mut Locked<'_>) {
        self.changed.wait(inner);
    }

    /// Wakes who waits.
    pub(crate) fn wake(&self) {
        self.changed.notify_all();
    }

    /// Unlocks, and lets the address space go if it has no bond. May sleep; takes `mmap_lock`.
    pub(crate) fn unlock(self: &Arc<Self>, core: &Core, mut inner: Locked<'_>) {
        if inner.retired || !inner.bonds.is_empty() {
            return;
        }
        inner.retired = true;
        // Still under the lock: a bind that comes next must not take ours for the process's.
        inner.carved.clear();
        let watch = inner.exit_watch.take();

        drop(inner);
        core.forget_space(self);
        // It waits for calls under way.
        drop(watch);
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

    /// Carves out what `device`, or its group if `scope` is that, cannot translate. Dropping the
    /// result undoes it; [keeping](Self::keep_carved) it does until the last bond ends.
    pub(crate) fn carve(
        &mut self,
        device: &SvaDevice,
        mm: &MmWithUser,
        scope: Scope,
    ) -> Result<KVec<Carved>> {
        let queue = &device.core.queue;
        let carved = match scope {
            Scope::Device => {
                reserved::carve(queue, device.endpoint.untranslated(), mm, &self.carved)?
            }
            Scope::Group => {
                let ranges = device.endpoint.group().untranslated()?;

                reserved::carve(queue, &ranges, mm, &self.carved)?
            }
        };

        self.carved.reserve(carved.len(), GFP_KERNEL)?;
        Ok(carved)
    }

    /// Keeps what [`Self::carve`] has just given.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, never in practice: room was made. What was not kept is given back.
    pub(crate) fn keep_carved(&mut self, carved: KVec<Carved>) -> Result {
        for one in carved {
            self.carved.push(one, GFP_KERNEL)?;
        }
        Ok(())
    }
}
