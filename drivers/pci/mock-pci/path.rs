// SPDX-License-Identifier: GPL-2.0

//! A function's way to the SMMU: what its registers allow, and those of the ports above it.

use crate::{
    image::{
        at,
        ACS_REQUEST,
        COMMAND_MASTER,
        PASID_ENABLE,
        PRI_ENABLE, //
    },
    slots::{
        Slot,
        Slots,
        MEMORY, //
    }, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};
use smmuv3::api::{
    Fabric,
    Permits, //
};

/// The way of the function in one slot.
pub(crate) struct Path {
    slots: Arc<Slots>,
    index: usize,
}

impl Path {
    /// The way of the function in slot `index`.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(slots: &Arc<Slots>, index: usize) -> Result<Arc<Self>> {
        let path = Self {
            slots: slots.clone(),
            index,
        };

        Ok(Arc::new(path, GFP_KERNEL)?)
    }

    /// The function, and each port above it.
    fn hops(&self) -> impl Iterator<Item = &Slot> {
        let first = Some(self.slots.slot(self.index));

        core::iter::successors(first, |slot| Some(self.slots.slot(slot.parent()?)))
    }
}

/// Whether requests that pass the function cannot be led to a device beside it. A port upstream and
/// a device of one function have none beside them.
fn redirects(slots: &Slots, index: usize) -> bool {
    let slot = slots.slot(index);
    let control = slot.config.read(at::ACS_CONTROL, 2);
    let express = slot.config.read(at::EXPRESS + 2, 2);
    // Of a root port, or of a port downstream.
    let link_begins = matches!(express >> 4 & 0xf, 4 | 6);

    control & u32::from(ACS_REQUEST) != 0 || !link_begins && !slots.has_siblings(index)
}

impl Fabric for Path {
    fn permits(&self) -> Permits {
        let own = self.slots.slot(self.index);
        let masters = |slot: &Slot| {
            slot.is_present() && slot.config.read(at::COMMAND, 2) & COMMAND_MASTER != 0
        };

        Permits {
            master: self.hops().all(masters),
            pasid: own.config.read(at::PASID_CONTROL, 2) & PASID_ENABLE != 0,
            ats: own.ats(),
            pri: own.config.read(at::PRI_CONTROL, 2) & PRI_ENABLE != 0,
        }
    }

    fn goes_astray(&self, addr: u64) -> bool {
        if !MEMORY.contains(&addr) {
            return false;
        }
        let mut index = Some(self.index);

        while let Some(hop) = index {
            if !redirects(&self.slots, hop) {
                return true;
            }
            index = self.slots.slot(hop).parent();
        }
        false
    }
}
