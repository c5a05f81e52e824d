// SPDX-License-Identifier: GPL-2.0

//! What the module has one of: the address spaces, the devices, the totals.

use crate::{
    address_space::AddressSpace,
    debugfs::{DeviceFile, DeviceFiles},
    device::SvaDevice,
    stats::Totals, //
};
use kernel::{
    mm::{Mm, MmWithUser, MmWithUserAsync},
    new_mutex,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{Acquire, Atomic, Full},
        Arc, Mutex,
    },
};
use kernel_ext::{global::Global, tree::Tree, workqueue::OwnedQueue};

/// Filled while the module runs.
pub(crate) static CORE: Global<Core> = Global::new();

const SHARDS: usize = 64;

/// Address spaces by mm.
type Shard = Tree<AddressSpace>;

/// A device that is initialised now, and its file.
struct Listed {
    device: Arc<SvaDevice>,
    _file: DeviceFile,
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
    /// The number of the last device that was initialised.
    newest_device: Atomic<u64>,
    device_files: DeviceFiles,
    /// Where the exits of processes are dealt with, and their address spaces mapped in.
    pub(crate) queue: Arc<OwnedQueue>,
    /// Where page requests wait that take long. Not that above: nothing flushes this one.
    pub(crate) waiters: OwnedQueue,
    pub(crate) totals: Totals,
}

impl Core {
    pub(crate) fn new(device_files: DeviceFiles) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            spaces <- pin_init::pin_init_array_from_fn(|_| {
                new_mutex!(Tree::new(), "sva_address_space_map")
            }),
            devices <- new_mutex!(KVec::new(), "sva_device_list"),
            newest_device: Atomic::new(0),
            device_files,
            queue: Arc::new(OwnedQueue::new(c"sva")?, GFP_KERNEL)?,
            waiters: OwnedQueue::new(c"sva_faults")?,
            totals: Totals::default(),
        })
    }

    /// Gives a device a number that is larger than those of all before. What its caller did
    /// before, those have seen who find it in [`Self::newest_device`].
    pub(crate) fn number_device(&self) -> u64 {
        self.newest_device.fetch_add(1, Full) + 1
    }

    /// The number of the last device that was initialised.
    pub(crate) fn newest_device(&self) -> u64 {
        self.newest_device.load(Acquire)
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
        let added = shard.insert(space.clone());

        debug_assert!(added.is_ok());
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

    /// Lists a device, and makes its file. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn add_device(&self, device: Arc<SvaDevice>) -> Result {
        let _file = self.device_files.add(device.clone())?;

        self.devices
            .lock()
            .push(Listed { device, _file }, GFP_KERNEL)?;
        Ok(())
    }

    /// Takes a device off the list, and its file away. May sleep, for those who read it.
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
