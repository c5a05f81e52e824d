// SPDX-License-Identifier: GPL-2.0

//! Bonds of devices that can have no process's page tables: what is in their ranges is mapped.
//!
//! The device has one space of addresses, a paging domain, for what it accesses without PASID, from
//! the first such bond to the last. All of its bonds have ranges there, at addresses that no other
//! range has. So the device could reach the ranges of each of them, whoever it works for: that more
//! than one process is bound at a time must be asked for ([`Feature::SharedAddresses`]).
//!
//! [`Feature::SharedAddresses`]: crate::features::Feature::SharedAddresses

use super::{
    attach::{new_attachment, Prepared},
    device::SvaDevice,
};
use crate::features::Features;
use kernel::{prelude::*, sync::Arc};
use kernel_ext::{
    endpoint::Held,
    map_space::{MapAttached, MapSpace},
    pasid::Pasid,
};

/// A device's space, while there are bonds that use it.
#[derive(Default)]
pub(super) struct Place {
    users: usize,
    attached: Option<MapAttached>,
}

/// A bond's part in the space of its device; dropping it gives that up. The drop may sleep; it takes
/// the mutex of the device's group.
pub(crate) struct Entered {
    device: Arc<SvaDevice>,
    space: Arc<MapSpace>,
}

impl Entered {
    /// Enters the space of `device`, which is made and attached if there is none. May sleep; takes the
    /// mutex of the device's group.
    fn new(device: &Arc<SvaDevice>, held: &Held) -> Result<Self> {
        let mut place = device.mapped.lock();
        let space = match &place.attached {
            Some(there) => there.space().clone(),
            None => place
                .attached
                .insert(MapAttached::new(held)?)
                .space()
                .clone(),
        };

        place.users += 1;
        Ok(Self {
            device: device.clone(),
            space,
        })
    }

    pub(super) fn space(&self) -> &Arc<MapSpace> {
        &self.space
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut place = self.device.mapped.lock();

        place.users -= 1;
        if place.users == 0 {
            // With the lock: who comes next finds the place empty.
            place.attached = None;
        }
    }
}

/// Makes what a bond of `device` is attached by, which already is.
///
/// # Errors
///
/// - `EBUSY`: the device's firmware needs memory mapped one to one there, or somebody else has what
///   the device accesses without PASID.
/// - `EOPNOTSUPP`: its IOMMU translates nothing.
/// - `ENOMEM`, and what the IOMMU driver says.
pub(super) fn prepare(device: &Arc<SvaDevice>, held: &Held, flags: Features) -> Result<Prepared> {
    if held.needs_direct() {
        return Err(EBUSY);
    }
    Ok(Prepared {
        attachment: new_attachment(device, flags)?,
        pasid: Pasid::NONE,
        new: None,
        entered: Some(Entered::new(device, held)?),
    })
}
