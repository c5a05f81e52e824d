// SPDX-License-Identifier: GPL-2.0

//! What the module has one of: the address spaces, the devices, the totals.

use super::{
    device::SvaDevice,
    exit_calls::ExitCalls,
    owner::Calls,
    space::AddressSpace,
    why::Refusals, //
};
use crate::fault::{
    stats::Totals,
    waits::Waits, //
};
use core::any::Any;
use kernel::{
    device::Device,
    mm::{Mm, MmWithUser, MmWithUserAsync},
    new_mutex,
    prelude::*,
    sync::{aref::ARef, Arc, Mutex},
};
use kernel_ext::{
    departure::Departures,
    global::Global,
    group::IommuGroup,
    tree::Tree,
    workqueue::OwnedQueue, //
};

/// Filled while the module runs.
pub(crate) static CORE: Global<Core> = Global::new();

const SHARDS: usize = 64;

/// Address spaces by mm.
type Shard = Tree<AddressSpace>;

/// Who wants to know which devices are initialised: what shows them.
pub(crate) trait Gallery: Send + Sync {
    /// Shows a device until the result is dropped, which may sleep. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    fn show(&self, device: &Arc<SvaDevice>) -> Result<KBox<dyn Any + Send + Sync>>;

    /// The same for a device that is not initialised, by its name: why.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    fn show_refused(&self, name: &CStr) -> Result<KBox<dyn Any + Send + Sync>>;
}

/// A device that is initialised now, and how it is shown.
struct Listed {
    device: Arc<SvaDevice>,
    _shown: KBox<dyn Any + Send + Sync>,
}

/// State of the module.
#[pin_data]
pub(crate) struct Core {
    /// Sharded, so that binds of different processes do not meet.
    #[pin]
    spaces: [Mutex<Shard>; SHARDS],
    /// Only for those who list them: no bind, unbind or fault comes here.
    #[pin]
    devices: Mutex<KVec<Listed>>,
    gallery: KBox<dyn Gallery>,
    /// How functions are called that drivers in C have passed.
    pub(crate) calls: Calls,
    /// Where reserved regions are mapped for processes. A process can hold that up.
    pub(crate) queue: Arc<OwnedQueue>,
    /// Where the exits of processes are dealt with.
    pub(crate) exits: OwnedQueue,
    #[pin]
    pub(super) exit_calls: ExitCalls,
    /// The page requests that take long. Their queue is not that above: nothing flushes theirs.
    pub(crate) waits: Arc<Waits>,
    pub(crate) totals: Totals,
    #[pin]
    pub(crate) refusals: Refusals,
}

impl Core {
    pub(crate) fn new(gallery: KBox<dyn Gallery>, calls: Calls) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            spaces <- pin_init::pin_init_array_from_fn(|_| {
                new_mutex!(Tree::new(), "sva_address_space_map")
            }),
            devices <- new_mutex!(KVec::new(), "sva_device_list"),
            gallery,
            calls,
            queue: Arc::new(OwnedQueue::new(c"sva")?, GFP_KERNEL)?,
            exits: OwnedQueue::new(c"sva_exits")?,
            exit_calls <- ExitCalls::new(),
            waits: Arc::pin_init(Waits::new(), GFP_KERNEL)?,
            totals: Totals::default(),
            refusals <- Refusals::new(),
        })
    }

    /// Waits until nothing of ours runs any more, for the end of the module: no driver is left that
    /// could make new work. What it drops last would otherwise be dropped by a worker.
    pub(crate) fn close(&self) {
        self.waits.close();
        self.refusals.hide_all();
        self.exits.drain();
        self.queue.drain();
    }

    /// The key of an mm, and the shard that it belongs to.
    fn shard(&self, mm: &Mm) -> (usize, &Mutex<Shard>) {
        let key = AddressSpace::key_of(mm);
        // An mm_struct takes more than 1 KiB: the bits below say little.
        let shard = (key >> 10) ^ (key >> 16);

        (key, &self.spaces[shard % SHARDS])
    }

    /// The address space of `mm`, made if there is none.
    ///
    /// It may retire at any time as long as it has no bond: see [`AddressSpace::lock`].
    pub(crate) fn space(&self, mm: &MmWithUser) -> Result<Arc<AddressSpace>> {
        let (key, shard) = self.shard(mm);

        let mut shard = shard.lock();

        if let Some(there) = shard.get(&key) {
            return Ok(there.into());
        }
        let space = Arc::pin_init(AddressSpace::new(ARef::from(&**mm)), GFP_KERNEL)?;

        shard.insert(space.clone()).map_err(|_| EEXIST)?;
        Ok(space)
    }

    /// Forgets an address space that has retired.
    pub(crate) fn forget_space(&self, space: &Arc<AddressSpace>) {
        let (key, shard) = self.shard(space.mm());
        let mut shard = shard.lock();

        if shard
            .get(&key)
            .is_some_and(|there| ::core::ptr::eq(&*there, &**space))
        {
            let removed = shard.remove(&key);

            // The address space is freed without the lock.
            drop(shard);
            drop(removed);
        }
    }

    /// How many address spaces have bonds.
    pub(crate) fn count_spaces(&self) -> usize {
        self.spaces
            .iter()
            .map(|shard| shard.lock().iter().count())
            .sum()
    }

    /// Lists a device, and shows it. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn add_device(&self, device: Arc<SvaDevice>) -> Result {
        self.refusals.hide(device.endpoint.dev());
        let _shown = self.gallery.show(&device)?;

        self.devices
            .lock()
            .push(Listed { device, _shown }, GFP_KERNEL)?;
        Ok(())
    }

    /// Shows a device that is not initialised.
    pub(super) fn show_refused(&self, name: &CStr) -> Result<KBox<dyn Any + Send + Sync>> {
        self.gallery.show_refused(name)
    }

    /// Takes a device off the list, and has it shown no more. May sleep, for those who look.
    pub(crate) fn remove_device(&self, device: &SvaDevice) {
        let mut devices = self.devices.lock();
        let found = devices
            .iter()
            .position(|there| core::ptr::eq(&*there.device, device))
            .and_then(|at| devices.remove(at).ok());

        drop(devices);
        drop(found);
    }

    /// The devices that are initialised now.
    pub(crate) fn devices(&self) -> Result<KVec<Arc<SvaDevice>>> {
        let devices = self.devices.lock();
        let mut list = KVec::with_capacity(devices.len(), GFP_KERNEL)?;

        for there in devices.iter() {
            list.push(there.device.clone(), GFP_KERNEL)?;
        }
        Ok(list)
    }

    /// The address space that some device reaches with `pasid`, as long as its process lives.
    ///
    /// May sleep. A PASID may be bound anew at any time, unless the caller has a bond.
    pub(crate) fn find(&self, pasid: u32) -> Option<ARef<MmWithUserAsync>> {
        let devices = self.devices().ok()?;
        let bond = devices.iter().find_map(|device| device.bond(pasid))?;
        let mm = bond.space.mm().mmget_not_zero()?;

        Some(MmWithUser::into_mmput_async(mm))
    }
}

impl Departures for Core {
    fn departs(&self, dev: &Device) {
        let Some(group) = IommuGroup::of(dev).filter(|group| group.len() > 1) else {
            return;
        };
        let Ok(devices) = self.devices() else {
            return;
        };
        let of_group = |device: &&Arc<SvaDevice>| core::ptr::eq(device.endpoint.group(), &*group);

        for device in devices.iter().filter(of_group) {
            // Only of who is bound in the short while until it has left, it keeps what it is given.
            for bond in device.bonds().unwrap_or_default() {
                bond.attachment.withdraw(dev);
            }
        }
    }
}
