// SPDX-License-Identifier: GPL-2.0

//! The bonds of one address space, and how often each was bound.

use crate::{
    attachments::GroupAttachment,
    bond::Bond,
    device::SvaDevice,
    features::{Feature, Features},
};
use kernel::{
    prelude::*,
    rbtree::{RBTree, RBTreeNodeReservation},
    sync::Arc,
};
use kernel_ext::group::{Endpoint, IommuGroup};

/// A bond in its address space.
pub(crate) struct BondEntry {
    pub(crate) bond: Arc<Bond>,
    /// The task that runs the driver's handler for the process's exit.
    pub(crate) handler: Option<HandlerTask>,
    /// The attachment of a bond without PASID. One with a PASID uses its group's.
    pub(crate) without_pasid: Option<GroupAttachment>,
}

/// Names a task, and is compared only.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct HandlerTask(usize);

impl HandlerTask {
    pub(crate) fn current() -> Self {
        Self(kernel::task::Task::current_raw().addr())
    }
}

/// The bonds of one address space.
pub(crate) struct BondList(RBTree<Key, BondEntry>);

/// The address of a device, which a bond keeps from being used anew, and whether with PASID.
type Key = (usize, bool);

/// Room for one more bond.
pub(crate) type BondRoom = RBTreeNodeReservation<Key, BondEntry>;

fn key(device: &SvaDevice, flags: Features) -> Key {
    (
        ::core::ptr::from_ref(device).addr(),
        flags.contains(Feature::Pasid),
    )
}

impl BondList {
    pub(crate) fn new() -> Self {
        Self(RBTree::new())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bond of `device`, if it has one: that with a PASID, or that without, as `flags` say.
    pub(crate) fn of_device(
        &mut self,
        device: &SvaDevice,
        flags: Features,
    ) -> Option<&mut BondEntry> {
        self.0.get_mut(&key(device, flags))
    }

    /// The entry of `bond`, unless the bond has ended.
    pub(crate) fn entry(&mut self, bond: &Bond) -> Option<&mut BondEntry> {
        self.0
            .get_mut(&key(&bond.device, bond.flags))
            .filter(|entry| ::core::ptr::eq(&*entry.bond, bond))
    }

    /// All bonds.
    pub(crate) fn entries(&mut self) -> impl Iterator<Item = &mut BondEntry> {
        self.0.values_mut()
    }

    /// A device of `group` that has a bond with a PASID.
    pub(crate) fn user_of(&self, group: &IommuGroup) -> Option<&Arc<Endpoint>> {
        self.0
            .values()
            .filter(|entry| entry.without_pasid.is_none())
            .map(|entry| &entry.bond.device.endpoint)
            .find(|endpoint| ::core::ptr::eq(endpoint.group(), group))
    }

    /// Makes room for one more, so that [`Self::add`] cannot fail.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn reserve() -> Result<BondRoom> {
        RBTreeNodeReservation::new(GFP_KERNEL)
    }

    /// Lists a bond.
    pub(crate) fn add(&mut self, room: BondRoom, entry: BondEntry) {
        let key = key(&entry.bond.device, entry.bond.flags);

        self.0.insert(room.into_node(key, entry));
    }

    /// Removes a bond; `None` if it had ended before.
    ///
    /// Dropping the result detaches a bond without PASID, and sleeps.
    pub(crate) fn remove(&mut self, bond: &Bond) -> Option<BondEntry> {
        self.entry(bond)?;
        self.0.remove(&key(&bond.device, bond.flags))
    }
}
