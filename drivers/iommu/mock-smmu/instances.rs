// SPDX-License-Identifier: GPL-2.0

//! The instances that there are, and devices that come and go at run time.

use crate::instance::{
    DeviceSpec,
    Instance, //
};
use kernel::{
    device::Device,
    new_mutex,
    prelude::*,
    sync::{
        aref::ARef,
        Arc,
        Mutex, //
    },
};
use kernel_ext::global::Global;

/// The instances of the loaded module.
pub static INSTANCES: Global<Instances> = Global::new();

/// StreamIDs from here on are for devices that are made at run time.
const FIRST_FREE_SID: u32 = 0x1000;

/// A list of instances.
///
/// Its lock is held while devices are added and removed, and so while their drivers probe and
/// leave: those must not come back here.
#[pin_data]
pub struct Instances {
    #[pin]
    list: Mutex<KVec<Instance>>,
}

impl Instances {
    /// An empty list. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                list <- new_mutex!(KVec::new(), "mock_smmu_instances"),
            }),
            GFP_KERNEL,
        )
    }

    /// Adds an instance. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn add(&self, instance: Instance) -> Result {
        Ok(self.list.lock().push(instance, GFP_KERNEL)?)
    }

    /// Removes all instances: their devices with their drivers' bindings, then the SMMUs. Sleeps.
    pub fn clear(&self) {
        self.list.lock().clear();
    }

    /// Adds a device to the first instance, under a StreamID that is free, whatever `spec` says of
    /// that. May sleep.
    ///
    /// # Errors
    ///
    /// `ENODEV` without an instance, else as [`Instance::add_device`].
    pub fn add_device(&self, name: &CStr, spec: &DeviceSpec) -> Result<ARef<Device>> {
        let mut list = self.list.lock();
        let instance = list.first_mut().ok_or(ENODEV)?;
        let used = instance.devices().iter().map(|device| device.port().sid());
        let sid = used.max().map_or(0, |sid| sid + 1).max(FIRST_FREE_SID);
        let spec = DeviceSpec { sid, ..*spec };

        Ok(ARef::from(instance.add_device(name, &spec)?.device()))
    }

    /// Removes a device. Sleeps.
    ///
    /// # Errors
    ///
    /// `ENOENT` if it is behind no instance.
    pub fn remove_device(&self, dev: &Device) -> Result {
        for instance in self.list.lock().iter_mut() {
            let mut devices = instance.devices().iter();

            if let Some(at) = devices.position(|device| core::ptr::eq(device.device(), dev)) {
                return instance.remove_device(at);
            }
        }
        Err(ENOENT)
    }
}
