// SPDX-License-Identifier: GPL-2.0

//! Devices that are initialised for SVA.

use super::{
    core::Core,
    join,
    mapped::Place,
    owed::Owed,
    owner::{Callback, End},
    why::{Refused, Why},
    Bond,
};
use crate::{
    fault::{refusal::Reason, stats::Totals},
    features::{Feature, Features},
    trace,
};
use core::{any::Any, ops::RangeInclusive};
use kernel::{
    device::{Bound, Device},
    mm::Mm,
    new_mutex,
    prelude::*,
    sync::{Arc, Mutex},
};
use kernel_ext::{
    devres::{self, DeviceData},
    dma_owner::DmaOwner,
    endpoint::Endpoint,
    tree::{impl_tree_item, Tree},
};

/// A device between `device_init` and `device_shutdown`.
#[pin_data]
pub(crate) struct SvaDevice {
    pub(crate) core: Arc<Core>,
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) features: Features,
    /// The smallest PASID that its driver wants, and the largest that the device can send.
    pub(crate) min_pasid: u32,
    pub(crate) max_pasid: u32,
    /// What happened to this device since it was initialised.
    pub(crate) totals: Totals,
    #[pin]
    state: Mutex<DeviceState>,
    /// For bonds whose ranges are mapped.
    #[pin]
    pub(super) mapped: Mutex<Place>,
}

/// A handler, whose type its driver knows.
pub(crate) type AnyHandler = Arc<dyn Any + Send + Sync>;

struct DeviceState {
    /// It has been initialised, and is not being shut down: bonds may be made.
    open: bool,
    bonds: Tree<Bond, 1>,
    /// For drivers that hear of exits by device: what to call.
    watcher: Option<Callback>,
    /// For drivers in Rust, their handler.
    handler: Option<AnyHandler>,
    dma: Option<DmaOwner>,
    /// Unbinds that may come late.
    owed: Owed,
}

impl DeviceState {
    fn handler_of<T: Any>(&self) -> Option<&AnyHandler> {
        self.handler.as_ref().filter(|there| (***there).is::<T>())
    }
}

/// The PASID; and what tells bonds without that share the device's addresses.
fn key(bond: &Bond) -> (u32, usize) {
    let shares = bond.flags.contains(Feature::SharedAddresses);
    let space = match shares && bond.flags.contains(Feature::Mapped) {
        true => bond.space.mm().as_raw().addr(),
        false => 0,
    };

    (bond.pasid, space)
}

impl_tree_item! {
    impl TreeItem<1> for Bond { self.of_device, key: (u32, usize) = |bond| key(bond) }
}

impl SvaDevice {
    /// Initialises `dev` for SVA. May sleep.
    ///
    /// `pasids` are those that its bonds may have; an end of 0 leaves that to the IOMMU core. `handler`
    /// is that of a driver in Rust.
    ///
    /// # Errors
    ///
    /// - `ENODEV`: the device has no IOMMU.
    /// - `EOPNOTSUPP`: `PASID` is asked for, and the device or its IOMMU driver has no PASIDs or no
    ///   SVA.
    /// - `EINVAL`: there are no such PASIDs, or not in the IOMMU.
    /// - `EBUSY`: the device is initialised; or its group's DMA is somebody else's, as user space's.
    /// - `ENOMEM`.
    pub(crate) fn init(
        core: Arc<Core>,
        dev: &Device<Bound>,
        features: Features,
        pasids: RangeInclusive<u32>,
        handler: Option<AnyHandler>,
    ) -> Result<Arc<Self>, Refused> {
        let tell = |why: Why| core.refuse_init(dev, why);
        // Asked again below; here it saves a second file in debugfs.
        if devres::find::<Self>(dev).is_some() {
            return Err(tell(Why::Initialised));
        }
        let endpoint = Endpoint::new(dev).map_err(|e| match e {
            e if e == ENODEV => tell(Why::NoIommu),
            e => e.into(),
        })?;
        let limit = max_pasid_of(&endpoint);

        let others = features.contains(Feature::Any) && endpoint.group().len() != 1;

        // Without PASID a device must be alone.
        if (features.contains(Feature::Pasid) || others) && limit == 0 {
            return Err(tell(Why::no_pasids(&endpoint)));
        }
        let features = features.of_device(limit != 0);
        let (min_pasid, max_pasid) = match *pasids.end() {
            0 => (*pasids.start(), limit),
            max => (*pasids.start(), max.min(limit)),
        };

        if features.contains(Feature::Pasid) && min_pasid > max_pasid {
            return Err(tell(Why::NoSuchPasids));
        }
        let (for_device, of_device) = (core.clone(), endpoint.clone());
        let device = Arc::pin_init(
            pin_init!(Self {
                core: for_device,
                endpoint: of_device,
                features,
                min_pasid: min_pasid.max(1),
                max_pasid,
                totals: Totals::default(),
                state <- new_mutex!(
                    DeviceState {
                        open: false,
                        bonds: Tree::new(),
                        watcher: None,
                        handler,
                        dma: None,
                        owed: Owed::default(),
                    },
                    "sva_device"
                ),
                mapped <- new_mutex!(Place::default(), "sva_device_mapped"),
            }),
            GFP_KERNEL,
        )?;

        core.add_device(device.clone())?;
        devres::add(dev, Some(&endpoint), device.clone())
            .inspect_err(|_| core.remove_device(&device))?;
        if let Err(e) = device.open() {
            let _ = devres::end(dev, &device, |device| device.shut_down());
            return Err(match e {
                e if e == EBUSY => tell(Why::OwnedByOthers),
                e => e.into(),
            });
        }
        trace::device_init(dev, features.shown(None).into(), device.max_pasid);
        Ok(device)
    }

    /// Claims the group, lets bonds be made, and joins those that the group has (S13, S16).
    fn open(self: &Arc<Self>) -> Result {
        let held = self.endpoint.hold().ok_or(ENODEV)?;
        let dma = DmaOwner::claim(&held)?;
        let mut state = self.state.lock();

        // Asked under the lock: a shutdown either is seen here, or finds what is set.
        if self.endpoint.leaves() {
            return Err(ENODEV);
        }
        state.dma = dma;
        state.open = true;
        drop(state);
        join::join(self)
    }

    /// Ends all bonds and lets no new ones be made. May sleep; waits for exit handlers.
    ///
    /// Returns how many bonds it ended.
    pub(crate) fn shut_down(&self) -> usize {
        // Before all else: see `open` and `Waits::add`.
        self.endpoint.leave();
        self.state.lock().open = false;
        // Its page requests do not wait any more.
        self.core
            .waits
            .abandon(|there| there.is_of(self.endpoint.dev()).then_some(Reason::Ending));

        let ended = self.end_bonds(End::Shutdown);

        self.core.remove_device(self);
        // Those for bonds that the driver has ended from within.
        self.core.exit_calls.wait_for_others(self);

        let mut state = self.state.lock();
        // Whoever still names the device must not have code of the driver with it.
        let left = (state.dma.take(), state.handler.take());

        drop(state);
        drop(left);
        self.forgive();
        trace::device_shutdown(self.endpoint.dev());
        ended
    }

    /// Ends all bonds that there are now. May sleep; waits for drivers that are being called.
    pub(crate) fn end_bonds(&self, why: End) -> usize {
        let mut ended = 0;

        while let Some(bond) = self.first_bond() {
            // An unbind may be ahead of us, and is then waited for.
            ended += usize::from(bond.end(why));
        }
        ended
    }

    /// What is owed to the device. `change` must drop none of it: the lock is held.
    pub(super) fn with_owed<R>(&self, change: impl FnOnce(&mut Owed) -> R) -> R {
        change(&mut self.state.lock().owed)
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
        self.state.lock().bonds.get(&(pasid, 0)).map(Arc::from)
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

    /// Whether bonds may be made.
    pub(super) fn is_open(&self) -> bool {
        self.state.lock().open
    }

    /// Whether the device's driver has a handler of type `T`. Nothing of the driver's is touched
    /// after it has left.
    pub(crate) fn has_handler_of<T: Any>(&self) -> bool {
        self.state.lock().handler_of::<T>().is_some()
    }

    /// The handler of the device's driver, if it is a `T` and has not left. Another driver's is not
    /// even kept for a moment: who drops the last reference to it runs its code.
    pub(crate) fn handler_of<T: Any>(&self) -> Option<AnyHandler> {
        self.state.lock().handler_of::<T>().cloned()
    }

    /// Whether the device's driver is in Rust.
    pub(super) fn has_handler(&self) -> bool {
        self.state.lock().handler.is_some()
    }

    /// What to call when a process exits, if the device's driver has said so.
    pub(crate) fn watcher(&self) -> Option<Callback> {
        self.state.lock().watcher
    }

    /// Has `watcher` called when a process exits that is or will be bound.
    ///
    /// # Errors
    ///
    /// `EBUSY`: the device has one. `ENOMEM`: it has none, as before.
    pub(crate) fn set_watcher(&self, watcher: Callback) -> Result {
        let mut state = self.state.lock();

        if state.watcher.is_some() {
            return Err(EBUSY);
        }
        // First, so that a bond that is not listed yet watches by itself.
        state.watcher = Some(watcher);
        drop(state);

        self.watch_exits().inspect_err(|_| {
            let _ = self.take_watcher();
        })
    }

    /// Has nothing called any more when a process exits; calls under way go on.
    pub(crate) fn take_watcher(&self) -> Option<Callback> {
        self.state.lock().watcher.take()
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

    /// Lists a bond that is being made.
    ///
    /// # Errors
    ///
    /// `ENODEV`: the device is being shut down. `EBUSY`: another has its PASID, or the place
    /// without one.
    pub(super) fn list(&self, bond: Arc<Bond>) -> Result {
        let mut state = self.state.lock();

        if !state.open {
            return Err(ENODEV);
        }
        state.bonds.insert(bond).map_err(|_| EBUSY)
    }

    /// Takes a bond off the list, if it is there.
    pub(super) fn unlist(&self, bond: &Bond) {
        let mut state = self.state.lock();
        let removed = match bond.of_device.is_listed() {
            true => state.bonds.remove(&key(bond)),
            false => None,
        };

        drop(state);
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

impl Bond {
    /// Sees to it that the driver hears of the process's exit, if it has not begun.
    fn watch_exit(&self) -> Result {
        let Some(mm) = self.space.mm().mmget_not_zero() else {
            return Ok(());
        };
        let mm = kernel::mm::MmWithUser::into_mmput_async(mm);
        let Some(mut inner) = self.space.lock() else {
            return Ok(());
        };

        if !self.is_there(&inner) {
            return Ok(());
        }
        inner.watch_exit(&self.device.core, &self.space, &mm)
    }
}
