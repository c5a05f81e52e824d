// SPDX-License-Identifier: GPL-2.0

//! The bonds of one address space.

use super::{device::SvaDevice, Bond};
use crate::features::{Feature, Features};
use kernel::{
    prelude::*,
    sync::{Arc, ArcBorrow},
};
use kernel_ext::tree::{impl_tree_item, Tree};

/// The bonds of one address space: of each device at most one with a PASID, and one without.
pub(crate) struct BondList(Tree<Bond, 0>);

/// The address of a device, which a bond keeps from being used anew, and whether with PASID.
type Key = (usize, bool);

fn key(device: &SvaDevice, flags: Features) -> Key {
    (
        ::core::ptr::from_ref(device).addr(),
        flags.contains(Feature::Pasid),
    )
}

impl_tree_item! {
    impl TreeItem<0> for Bond { self.of_space, key: Key = |bond| key(&bond.device, bond.flags) }
}

impl BondList {
    pub(crate) fn new() -> Self {
        Self(Tree::new())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bond of `device`, if it has one: that with a PASID, or that without, as `flags` say.
    pub(crate) fn of_device(
        &self,
        device: &SvaDevice,
        flags: Features,
    ) -> Option<ArcBorrow<'_, Bond>> {
        self.0.get(&key(device, flags))
    }

    /// Whether `bond`, which is of this address space, is here: it has not ended.
    pub(crate) fn has(&self, bond: &Bond) -> bool {
        bond.of_space.is_listed()
    }

    /// All bonds.
    pub(crate) fn iter(&self) -> impl Iterator<Item = ArcBorrow<'_, Bond>> {
        self.0.iter()
    }

    /// Lists a bond.
    ///
    /// # Errors
    ///
    /// `EEXIST`: its device has another like it here.
    pub(crate) fn add(&mut self, bond: Arc<Bond>) -> Result {
        self.0.insert(bond).map_err(|_| EEXIST)
    }

    /// Takes a bond off the list; `None` if it is not there.
    pub(crate) fn remove(&mut self, bond: &Bond) -> Option<Arc<Bond>> {
        if self.has(bond) {
            self.0.remove(&key(&bond.device, bond.flags))
        } else {
            None
        }
    }
}
