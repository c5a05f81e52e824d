// SPDX-License-Identifier: GPL-2.0

//! Host bridges and functions, as who plugs them in has them.

use crate::{
    image::{
        Role,
        Spec, //
    },
    slots::{
        Seen,
        Slots,
        LAST_BUS,
        MEMORY,
        ROOT_BUS,
        SLOTS, //
    }, //
};
use core::ops::RangeInclusive;
use kernel::{
    device::Device,
    new_mutex,
    prelude::*,
    sync::{
        aref::ARef,
        Arc,
        Mutex, //
    }, //
};
use kernel_ext::pci_host::{
    Address,
    HostBridge, //
};
use smmuv3::requester::Upstream;

/// How many buses are behind a root port.
const BUSES_OF_ROOT_PORT: u8 = 8;

/// Where a function is to be among those behind the same port; what is not given is chosen.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Place {
    /// Device number.
    pub(crate) device: Option<u8>,
    /// Function number.
    pub(crate) function: Option<u8>,
}

/// A host bridge, and the functions behind it.
#[pin_data(PinnedDrop)]
pub(crate) struct Hierarchy {
    slots: Arc<Slots>,
    #[pin]
    state: Mutex<State>,
}

struct State {
    bridge: Option<HostBridge<Seen>>,
    /// Which slots belong to a [`Function`].
    taken: [bool; SLOTS],
}

impl Hierarchy {
    /// A host bridge called `name`, whose functions are behind the SMMU `smmu`, which adds `sid_base`
    /// to their Requester IDs. May sleep.
    ///
    /// # Errors
    ///
    /// Those of [`Upstream::find`] and of [`HostBridge::new`].
    pub(crate) fn new(name: &CStr, smmu: &CStr, sid_base: u32) -> Result<Arc<Self>> {
        let slots = Slots::new()?;
        let seen = Seen::new(slots.clone(), Upstream::find(smmu)?, sid_base)?;
        let bridge = HostBridge::new(name, LAST_BUS, MEMORY, seen)?;

        Arc::pin_init(
            pin_init!(Self {
                slots,
                state <- new_mutex!(
                    State { bridge: Some(bridge), taken: [false; SLOTS] },
                    "mock_pci_hierarchy"
                ),
            }),
            GFP_KERNEL,
        )
    }

    /// Number of the bridge's domain; `None` once it is gone. May sleep.
    pub(crate) fn domain(&self) -> Option<i32> {
        self.state.lock().bridge.as_ref().map(HostBridge::domain)
    }

    /// Whether no function is there, nor is to be. May sleep.
    pub(crate) fn is_empty(&self) -> bool {
        self.state.lock().taken == [false; SLOTS]
    }

    /// Removes the bridge, with all that the kernel has found behind it; functions stay plugged in,
    /// into nothing. Sleeps.
    pub(crate) fn remove(&self) {
        let bridge = self.state.lock().bridge.take();

        drop(bridge);
    }

    /// Has the kernel look for what is there, and was removed. May sleep.
    ///
    /// # Errors
    ///
    /// `ENODEV` if the bridge is gone.
    pub(crate) fn rescan(&self) -> Result {
        let state = self.state.lock();
        let bridge = state.bridge.as_ref().ok_or(ENODEV)?;

        bridge.scan(ROOT_BUS)?;
        // The buses that it has had all along.
        for (index, _) in self.slots.present() {
            if let Some(bus) = self.slots.bus_behind(Some(index)) {
                // What it was not told of yet is found with the port.
                let _ = bridge.scan(bus);
            }
        }
        Ok(())
    }
}

#[pinned_drop]
impl PinnedDrop for Hierarchy {
    fn drop(self: Pin<&mut Self>) {
        self.remove();
    }
}

/// A function behind a host bridge, or one that is to be there. Dropping it unplugs it; sleeps.
pub(crate) struct Function {
    hierarchy: Arc<Hierarchy>,
    parent: Option<Arc<Function>>,
    role: Role,
    index: usize,
}

impl Function {
    /// Room for a function behind port `parent`, or on the root bus; for a port if `bridge`. May
    /// sleep.
    ///
    /// # Errors
    ///
    /// `EINVAL` if there can be no such function; `ENOSPC` if there are too many; `ENOMEM`.
    pub(crate) fn new(
        hierarchy: Arc<Hierarchy>,
        parent: Option<Arc<Function>>,
        bridge: bool,
    ) -> Result<Arc<Self>> {
        let role = Role::new(parent.as_ref().map(|parent| parent.role), bridge)?;
        let mut state = hierarchy.state.lock();
        let index = state.taken.iter().position(|taken| !taken).ok_or(ENOSPC)?;

        state.taken[index] = true;
        drop(state);
        // On failure the drop gives the slot back.
        let function = Self {
            hierarchy,
            parent,
            role,
            index,
        };

        Ok(Arc::new(function, GFP_KERNEL)?)
    }

    /// What it is.
    pub(crate) fn role(&self) -> Role {
        self.role
    }

    /// Whether it is plugged in. Any context.
    pub(crate) fn is_plugged(&self) -> bool {
        self.slots().slot(self.index).is_present()
    }

    /// Where it is: number of its domain, and the rest. May sleep.
    pub(crate) fn address(&self) -> Option<(i32, Address)> {
        Some((self.hierarchy.domain()?, self.slots().address(self.index)?))
    }

    /// The device that the kernel has found. May sleep.
    pub(crate) fn device(&self) -> Option<ARef<Device>> {
        let state = self.hierarchy.state.lock();

        state
            .bridge
            .as_ref()?
            .function(self.slots().address(self.index)?)
    }

    fn slots(&self) -> &Slots {
        &self.hierarchy.slots
    }

    fn parent_index(&self) -> Option<usize> {
        self.parent.as_ref().map(|parent| parent.index)
    }

    /// Plugs it in as `spec` says. If the kernel can reach it, it is found and bound when this
    /// returns; else it is with the port that is missing. May sleep.
    ///
    /// # Errors
    ///
    /// `EBUSY` if it is plugged in, or another is at its place; `EINVAL` for a place that cannot be,
    /// or if `spec` is of another kind; `ENOSPC` if there is no place, or no buses for a port; `ENODEV`
    /// for a port behind one that has never been plugged in.
    pub(crate) fn plug(&self, spec: &Spec, place: Place) -> Result {
        let state = self.hierarchy.state.lock();

        if self.is_plugged() {
            return Err(EBUSY);
        }
        let own = matches!(self.role, Role::Endpoint | Role::Integrated);

        if spec.bridge == own || spec.pri && !spec.ats {
            return Err(EINVAL);
        }
        let devfn = self.find_place(place)?;
        let buses = self.find_buses()?;
        let slots = self.slots();
        let parent = self.parent_index();

        slots.plug(self.index, parent, devfn, spec, self.role, buses);
        match (&state.bridge, slots.bus_behind(parent)) {
            // It is gone if the kernel was told to remove the port.
            (Some(bridge), Some(bus)) => bridge.scan(bus).or(Ok(())),
            _ => Ok(()),
        }
    }

    /// Buses to be behind it, if it is a port: eight behind a root port, so that there can be a
    /// switch with six ports.
    fn find_buses(&self) -> Result<Option<RangeInclusive<u8>>> {
        let slots = self.slots();
        let parent = self.parent_index();
        let all = match parent {
            Some(parent) => slots.slot(parent).buses(),
            None => Some(ROOT_BUS..=LAST_BUS),
        };
        let many = match self.role {
            Role::Endpoint | Role::Integrated => return Ok(None),
            Role::RootPort => BUSES_OF_ROOT_PORT,
            Role::UpstreamPort => BUSES_OF_ROOT_PORT - 1,
            Role::DownstreamPort => 1,
        };
        let all = all.ok_or(ENODEV)?;
        let is_free = |first: &u8| {
            let mut siblings = slots.present().filter(|(_, slot)| slot.parent() == parent);

            !siblings.any(|(_, slot)| slot.buses().is_some_and(|buses| buses.contains(first)))
        };
        let (bus, last) = all.into_inner();
        // The first is the one that it is on.
        let mut firsts = (bus + 1..=last.saturating_sub(many - 1)).step_by(many.into());
        let first = firsts.find(is_free).ok_or(ENOSPC)?;

        Ok(Some(first..=first + many - 1))
    }

    /// Device and function number for `place`.
    fn find_place(&self, place: Place) -> Result<u8> {
        let parent = self.parent_index();
        let link = self
            .parent
            .as_ref()
            .is_some_and(|parent| parent.role.is_downstream());
        let is_free = |devfn: u8| {
            let mut there = self.slots().present();

            !there.any(|(_, slot)| slot.parent() == parent && slot.devfn() == devfn)
        };
        let fits = |devfn: &u8| {
            let (device, function) = (devfn >> 3, devfn & 7);

            // There is one device at the other end of a link. Others are of one function, unless told.
            (device == 0 || !link)
                && place.device.is_none_or(|wanted| wanted == device)
                && match place.function {
                    Some(wanted) => wanted == function,
                    None => function == 0 || link || place.device.is_some(),
                }
        };

        if place
            .device
            .is_some_and(|device| device > 31 || link && device != 0)
            || place.function.is_some_and(|function| function > 7)
        {
            return Err(EINVAL);
        }
        let given = place.function.is_some() && (place.device.is_some() || link);

        (0..=u8::MAX)
            .filter(fits)
            .find(|&devfn| is_free(devfn))
            .ok_or(if given { EBUSY } else { ENOSPC })
    }

    /// Unplugs it, with all that is behind it, if it is plugged in: after the kernel has been asked,
    /// or by surprise. What is behind it stays plugged into it. Sleeps.
    pub(crate) fn unplug(&self, surprise: bool) {
        let state = self.hierarchy.state.lock();
        let slots = self.slots();
        let address = slots.address(self.index);

        if surprise {
            slots.unplug(self.index);
        }
        if let (Some(bridge), Some(address)) = (&state.bridge, address) {
            bridge.remove(address);
        }
        slots.unplug(self.index);
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        self.unplug(false);
        self.hierarchy.state.lock().taken[self.index] = false;
    }
}
