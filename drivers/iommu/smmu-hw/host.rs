// SPDX-License-Identifier: GPL-2.0

//! Who has SMMUs, and puts devices behind them at run time.

use crate::device::{
    DeviceSpec,
    Numbers, //
};
use core::ops::Deref;
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
use kernel_ext::global::Global;

/// A module with SMMUs of some driver.
pub trait Host: Send + Sync {
    /// Plugs in a device called `name` behind the first SMMU, with these `numbers`, whatever `spec`
    /// says of them. It is in its IOMMU group, and has its driver if there is one, when this
    /// returns. May sleep.
    ///
    /// # Errors
    ///
    /// - `EEXIST` or `EBUSY` when its name or StreamID is taken.
    /// - `EINVAL` or `ERANGE` for a region that cannot be.
    /// - `EOPNOTSUPP` for what the SMMU's driver cannot do.
    /// - `ENODEV` without an SMMU, or if its driver refused the device; `ENOMEM`.
    fn add_device(
        &self,
        name: &CStr,
        numbers: Numbers,
        spec: &DeviceSpec,
    ) -> Result<ARef<Device>>;

    /// Unplugs a device. Sleeps.
    ///
    /// # Errors
    ///
    /// `ENOENT` if it is behind no SMMU here.
    fn remove_device(&self, dev: &Device) -> Result;
}

/// The [`Host`] that is loaded, if there is one.
///
/// The lock is held while it is called, and so while drivers probe and leave: those must not come
/// back here. Whoever leaves waits for the call under way.
#[pin_data]
pub(crate) struct Hosts {
    #[pin]
    host: Mutex<Option<Arc<dyn Host>>>,
}

/// Filled while the module runs.
pub(crate) static HOSTS: Global<Hosts> = Global::new();

impl Hosts {
    /// Without a host. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                host <- new_mutex!(None, "smmu_hw_host"),
            }),
            GFP_KERNEL,
        )
    }
}

/// Who keeps a [`Host`] known; dropping it waits for calls under way.
pub struct Installed(());

/// Makes `host` the one that is asked for devices, until the result is dropped. May sleep.
///
/// # Errors
///
/// `EBUSY` if there is another.
pub fn install(host: Arc<dyn Host>) -> Result<Installed> {
    let hosts = HOSTS.get().ok_or(ENODEV)?;
    let mut slot = hosts.host.lock();

    if slot.is_some() {
        return Err(EBUSY);
    }
    *slot = Some(host);
    Ok(Installed(()))
}

impl Drop for Installed {
    fn drop(&mut self) {
        if let Some(hosts) = HOSTS.get() {
            let host = hosts.host.lock().take();
            drop(host);
        }
    }
}

/// Plugs in a device, which [`remove`] unplugs. May sleep.
pub(crate) fn add(name: &CStr, numbers: Numbers, spec: &DeviceSpec) -> Result<ARef<Device>> {
    let hosts = HOSTS.get().ok_or(ENODEV)?;
    let host = hosts.host.lock();

    host.as_ref()
        .ok_or(ENODEV)?
        .add_device(name, numbers, spec)
}

/// Unplugs a device. Sleeps.
pub(crate) fn remove(dev: &Device) -> Result {
    let hosts = HOSTS.get().ok_or(ENOENT)?;
    let host = hosts.host.lock();

    host.as_ref().ok_or(ENOENT)?.remove_device(dev)
}

/// A device that was plugged in; unplugged when dropped, which sleeps.
///
/// Neither is to be done by a driver's probe or remove.
pub struct Plugged(ARef<Device>);

impl Plugged {
    /// Plugs in a device called `name`, as [`Host::add_device`] says. May sleep.
    ///
    /// # Errors
    ///
    /// Those, and `ENODEV` if no module is loaded that has an SMMU.
    pub fn new(name: &CStr, numbers: Numbers, spec: &DeviceSpec) -> Result<Self> {
        add(name, numbers, spec).map(Self)
    }

    /// Unplugs the device, though somebody may hold this for longer. Sleeps.
    ///
    /// # Errors
    ///
    /// `ENOENT` if it has gone already, with its SMMU.
    pub fn unplug(&self) -> Result {
        remove(&self.0)
    }
}

impl Deref for Plugged {
    type Target = ARef<Device>;

    fn deref(&self) -> &ARef<Device> {
        &self.0
    }
}

impl Drop for Plugged {
    fn drop(&mut self) {
        // It may have gone with its SMMU.
        let _ = self.unplug();
    }
}
