// SPDX-License-Identifier: GPL-2.0

//! Devices that are initialised for SVA.

use crate::{
    bond::Bond,
    c_api::ExitHandler,
    core::Core,
    features::{Feature, Features},
    group,
    owner::End,
    stats::Totals,
    trace,
};
use core::{any::Any, ops::Range};
use kernel::{
    device::{Bound, Device},
    mm::Mm,
    new_condvar, new_mutex,
    prelude::*,
    sync::{Arc, CondVar, Mutex},
};
use kernel_ext::{
    devres::{self, DeviceData},
    group::Endpoint,
    tree::{impl_tree_item, Tree},
};

/// A device between `device_init` and `device_shutdown`.
///
/// # Invariants
///
/// The endpoint is used only by those who keep the device open or own one of its bonds.
/// [`Self::shut_down`] waits for the former and ends the latter; it runs before the device's
/// driver is gone.
#[pin_data]
pub(crate) struct SvaDevice {
    pub(crate) core: Arc<Core>,
    /// Larger than those of the devices that were initialised before.
    pub(crate) number: u64,
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) features: Features,
    /// The largest PASID that the device can send.
    pub(crate) max_pasid: u32,
    /// What happened to this device since it was initialised.
    pub(crate) totals: Totals,
    /// What the process must not use as long as this device is bound (S17, S18).
    pub(crate) untranslated: KVec<Range<u64>>,
    #[pin]
    state: Mutex<State>,
    /// Nobody is binding any more.
    #[pin]
    idle: CondVar,
}

/// A [`crate::Handler`], whose type its driver knows.
pub(crate) type AnyHandler = Arc<dyn Any + Send + Sync>;

struct State {
    open: bool,
    /// How many binds are at work.
    binding: usize,
    bonds: Tree<Bond, 1>,
    /// For drivers in C, what to call when a process exits.
    exit_handler: Option<ExitHandler>,
    /// For drivers in Rust, their [`crate::Handler`], until the device is shut down.
    handler: Option<AnyHandler>,
}

impl_tree_item! {
    impl TreeItem<1> for Bond { self.of_device, key: u32 = |bond| bond.pasid }
}

impl SvaDevice {
    /// Initialises `dev` for SVA. May sleep.
    ///
    /// `max_pasid` is the largest PASID that the device can send; 0 leaves it to the IOMMU core.
    /// `handler` is that of a driver in Rust.
    ///
    /// # Errors
    ///
    /// - `ENODEV`: the device has no IOMMU.
    /// - `EOPNOTSUPP`: `PASID` is asked for, and the device or its IOMMU driver has no PASIDs or no
    ///   SVA.
    /// - `EBUSY`: the device is initialised.
    /// - `ENOMEM`.
    pub(crate) fn init(
        core: Arc<Core>,
        dev: &Device<Bound>,
        features: Features,
        max_pasid: u32,
        handler: Option<AnyHandler>,
    ) -> Result<Arc<Self>> {
        // Asked again below; here it saves a second file in debugfs.
        if devres::find::<Self>(dev).is_some() {
            return Err(EBUSY);
        }
        let endpoint = Endpoint::new(dev)?;
        let limit = max_pasid_of(&endpoint);

        if features.contains(Feature::Pasid) && limit == 0 {
            return Err(EOPNOTSUPP);
        }
        let untranslated = endpoint.untranslated()?;
        let for_device = core.clone();
        let number = core.number_device();
        let device = Arc::pin_init(
            try_pin_init!(Self {
                number,
                core: for_device,
                endpoint: Arc::new(endpoint, GFP_KERNEL)?,
                features,
                max_pasid: if max_pasid == 0 { limit } else { limit.min(max_pasid) },
                totals: Totals::default(),
                untranslated,
                state <- new_mutex!(
                    State {
                        open: true,
                        binding: 0,
                        bonds: Tree::new(),
                        exit_handler: None,
                        handler,
                    },
                    "sva_device"
                ),
                idle <- new_condvar!("sva_device_idle"),
            }? Error),
            GFP_KERNEL,
        )?;

        core.add_device(device.clone())?;
        devres::add(dev, device.clone()).inspect_err(|_| core.remove_device(&device))?;
        if let Err(e) = group::join(&device) {
            if let Some(device) = devres::take(dev, &device) {
                device.shut_down();
            }
            return Err(e);
        }
        trace::device_init(&device);
        Ok(device)
    }

    /// Ends all bonds and lets no new ones be made. May sleep; waits for exit handlers.
    ///
    /// Returns how many bonds it ended.
    pub(crate) fn shut_down(&self) -> usize {
        let mut state = self.state.lock();

        state.open = false;
        while state.binding > 0 {
            self.idle.wait(&mut state);
        }
        drop(state);

        let ended = self.end_bonds(End::Shutdown);

        self.core.remove_device(self);
        // Whoever still has a bond that has ended must not have code of the driver with it.
        let handler = self.state.lock().handler.take();

        drop(handler);
        ended
    }

    /// Ends all bonds that there are now. May sleep; waits for hooks.
    pub(crate) fn end_bonds(&self, why: End) -> usize {
        let mut ended = 0;

        while let Some(bond) = self.first_bond() {
            // An unbind may be ahead of us, and is then waited for.
            ended += usize::from(bond.end(why));
        }
        ended
    }

    /// Counts in the totals of this device, and in those of all.
    pub(crate) fn count(&self, what: impl Fn(&Totals)) {
        what(&self.totals);
        what(&self.core.totals);
    }

    fn first_bond(&self) -> Option<Arc<Bond>> {
        self.state.lock().bonds.iter().next().map(Arc::from)
    }

    /// The bond under `pasid`.
    pub(crate) fn bond(&self, pasid: u32) -> Option<Arc<Bond>> {
        self.state.lock().bonds.get(&pasid).map(Arc::from)
    }

    /// The PASID of the bond with `mm`; 0 if it has only one without.
    pub(crate) fn pasid_of(&self, mm: &Mm) -> Option<u32> {
        let state = self.state.lock();
        let bonds = state.bonds.iter();

        bonds
            .filter(|bond| core::ptr::eq(bond.space.mm().as_raw(), mm.as_raw()))
            .map(|bond| bond.pasid)
            .max()
    }

    /// The handler of the device's driver, if that is in Rust.
    pub(crate) fn handler(&self) -> Option<AnyHandler> {
        self.state.lock().handler.clone()
    }

    /// What to call when a process exits, if the device's driver is in C and has said so.
    pub(crate) fn exit_handler(&self) -> Option<ExitHandler> {
        self.state.lock().exit_handler
    }

    /// Has `handler` called when a process exits that is or will be bound.
    ///
    /// # Errors
    ///
    /// `EBUSY`: the device has a handler. `ENOMEM`: it has none, as before.
    pub(crate) fn set_exit_handler(&self, handler: ExitHandler) -> Result {
        let mut state = self.state.lock();

        if state.exit_handler.is_some() {
            return Err(EBUSY);
        }
        // First, so that a bind from now on watches by itself.
        state.exit_handler = Some(handler);
        drop(state);

        self.watch_exits().inspect_err(|_| {
            self.take_exit_handler();
        })
    }

    /// Has nothing called any more when a process exits; calls under way go on.
    pub(crate) fn take_exit_handler(&self) -> Option<ExitHandler> {
        self.state.lock().exit_handler.take()
    }

    fn watch_exits(&self) -> Result {
        for bond in self.bonds()? {
            bond.watch_exit()?;
        }
        Ok(())
    }

    /// All bonds.
    pub(crate) fn bonds(&self) -> Result<KVec<Arc<Bond>>> {
        let state = self.state.lock();
        let mut list = KVec::new();

        for bond in state.bonds.iter() {
            list.push(bond.into(), GFP_KERNEL)?;
        }
        Ok(list)
    }

    /// Keeps the device open as long as the result lives.
    ///
    /// # Errors
    ///
    /// `ENODEV`: the device has been shut down.
    pub(crate) fn keep_open(self: &Arc<Self>) -> Result<Opened<'_>> {
        let mut state = self.state.lock();

        if !state.open {
            return Err(ENODEV);
        }
        state.binding += 1;
        Ok(Opened(self))
    }

    /// Forgets a bond that has ended.
    pub(crate) fn forget_bond(&self, bond: &Bond) {
        let removed = self.state.lock().bonds.remove(&bond.pasid);

        drop(removed);
    }
}

impl DeviceData for SvaDevice {
    fn driver_gone(self: Arc<Self>) {
        let ended = self.shut_down();

        if ended > 0 {
            dev_warn!(
                self.endpoint.dev(),
                "driver left {ended} bonds behind: ended them\n"
            );
        }
    }
}

/// The largest PASID that a device and its IOMMU can have; 0 if they have none, or no SVA.
pub(crate) fn max_pasid_of(endpoint: &Endpoint) -> u32 {
    if endpoint.has_sva() {
        endpoint.max_pasids().saturating_sub(1)
    } else {
        0
    }
}

/// A device that will not be shut down for now.
pub(crate) struct Opened<'a>(&'a Arc<SvaDevice>);

impl Opened<'_> {
    /// The device.
    pub(crate) fn device(&self) -> &Arc<SvaDevice> {
        self.0
    }

    /// Lists a new bond of this device.
    pub(crate) fn add_bond(&self, bond: Arc<Bond>) {
        // There is no other under its PASID, nor without one, since it has been attached.
        let added = self.0.state.lock().bonds.insert(bond);

        debug_assert!(added.is_ok());
    }
}

impl Drop for Opened<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();

        state.binding -= 1;
        if state.binding == 0 && !state.open {
            self.0.idle.notify_all();
        }
    }
}
