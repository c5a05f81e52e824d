// SPDX-License-Identifier: GPL-2.0

//! The instances that there are, and what comes and goes at run time: instances, and devices.

use crate::{
    hw,
    instance::Instance, //
};
use core::ptr;
use kernel::{
    debugfs::Dir,
    device::Device,
    new_mutex,
    prelude::*,
    str::CString,
    sync::{
        aref::ARef,
        Arc,
        Mutex, //
    },
};
use smmuv3::{
    device::{
        DeviceSpec,
        Numbers, //
    },
    host::Host,
    requester::Upstream, //
};

/// StreamIDs from here on are for devices that are given none, where an SMMU has as many.
const FIRST_FREE_SID: u32 = 0x1000;

/// A list of instances. An instance is named by the platform device that represents it.
///
/// The list's lock is held while devices are added and removed, and so while their drivers probe
/// and leave: those must not come back here.
#[pin_data]
pub struct Instances {
    #[pin]
    list: Mutex<KVec<Instance>>,
    debugfs: Dir,
}

/// The lowest number from `first` on that is not in `used`.
fn free_number(first: u32, used: impl Fn(u32) -> bool) -> u32 {
    (first..=u32::MAX).find(|&n| !used(n)).unwrap_or(u32::MAX)
}

/// A number for a new platform device called `name`.
fn free_id(list: &[Instance], name: &CStr) -> Result<i32> {
    let mut id = 0;
    loop {
        let full = CString::try_from_fmt(fmt!("{}.{id}", name.to_str()?))?;
        let devices = list.iter().flat_map(Instance::devices);
        if !{ devices }.any(|device| device.device().name() == &*full) {
            return Ok(id);
        }
        id += 1;
    }
}

impl Instances {
    /// An empty list, of instances that are shown in `debugfs`. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new(debugfs: Dir) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                list <- new_mutex!(KVec::new(), "mock_smmu_instances"),
                debugfs,
            }),
            GFP_KERNEL,
        )
    }

    /// Adds an instance; gives the device that it is named by. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn add(&self, instance: Instance) -> Result<ARef<Device>> {
        let device = ARef::from(instance.device());
        self.list.lock().push(instance, GFP_KERNEL)?;
        Ok(device)
    }

    /// Removes all instances: their devices with their drivers' bindings, then the SMMUs. Sleeps.
    ///
    /// # Errors
    ///
    /// `EBUSY` if devices that others have plugged in are behind one: then all stays.
    pub fn clear(&self) -> Result {
        let mut list = self.list.lock();

        if list.iter().any(|instance| !instance.requesters().is_zero()) {
            return Err(EBUSY);
        }
        list.clear();
        Ok(())
    }
}

impl Host for Instances {
    fn make_smmu(&self, name: &CStr, config: hw::Config) -> Result<ARef<Device>> {
        let mut instance = Instance::new(name, config)?;

        instance.show(name, &self.debugfs)?;
        self.add(instance)
    }

    fn remove_smmu(&self, smmu: &Device) -> Result {
        let mut list = self.list.lock();
        let mut instances = list.iter();
        let at = instances.position(|i| ptr::eq(i.device(), smmu));
        let at = at.ok_or(ENOENT)?;

        if !list[at].devices().is_empty() || !list[at].requesters().is_zero() {
            return Err(EBUSY);
        }
        drop(list.remove(at).map_err(|_| ENOENT)?);
        Ok(())
    }

    fn hw_of(&self, smmu: &Device) -> Option<Arc<hw::Smmu>> {
        let list = self.list.lock();
        let mut instances = list.iter();
        let found = instances.find(|i| ptr::eq(i.device(), smmu));
        found.map(|instance| instance.hw().clone())
    }

    fn add_device(
        &self,
        smmu: Option<&Device>,
        name: &CStr,
        numbers: Numbers,
        spec: &DeviceSpec,
    ) -> Result<ARef<Device>> {
        let mut list = self.list.lock();
        let id = match numbers.id {
            Some(id) => id,
            None => free_id(&list, name)?,
        };
        let mut instances = list.iter_mut();
        let instance = instances
            .find(|i| smmu.is_none_or(|smmu| ptr::eq(i.device(), smmu)))
            .ok_or(ENODEV)?;
        let sid = numbers.sid.unwrap_or_else(|| {
            let fits = u64::from(FIRST_FREE_SID) >> instance.smmu().features().sid_bits == 0;
            let first = if fits { FIRST_FREE_SID } else { 0 };
            free_number(first, |sid| instance.hw().has_port(sid))
        });
        let spec = DeviceSpec { id, sid, ..*spec };

        Ok(ARef::from(instance.add_device(name, &spec)?.device()))
    }

    fn remove_device(&self, dev: &Device) -> Result {
        for instance in self.list.lock().iter_mut() {
            let mut devices = instance.devices().iter();

            if let Some(at) = devices.position(|device| ptr::eq(device.device(), dev)) {
                return instance.remove_device(at);
            }
        }
        Err(ENOENT)
    }

    fn sid_of(&self, dev: &Device) -> Result<u32> {
        let list = self.list.lock();
        let mut devices = list.iter().flat_map(Instance::devices);
        let device = devices.find(|device| ptr::eq(device.device(), dev));
        device.map(|device| device.port().sid()).ok_or(ENOENT)
    }

    fn upstream(&self, smmu: &CStr) -> Result<Upstream> {
        let list = self.list.lock();
        let mut instances = list.iter();
        let found = instances.find(|i| i.device().name() == smmu);

        found.ok_or(ENODEV)?.upstream()
    }
}
