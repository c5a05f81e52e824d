// SPDX-License-Identifier: GPL-2.0

//! Who has SMMUs, and puts devices behind them at run time.

use crate::{
    device::{
        DeviceSpec,
        Numbers, //
    },
    hw::{
        Config,
        Smmu, //
    },
    requester::Upstream, //
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
use kernel_ext::global::{
    self,
    Global, //
};

/// A module with SMMUs of some driver. An SMMU is named by the device that represents it.
///
/// It is called with a lock held, and so while drivers of devices probe and leave: those must not
/// come back here. All may sleep.
pub trait Host: Send + Sync {
    /// Makes an SMMU called `name`.
    ///
    /// # Errors
    ///
    /// `EEXIST` when the name is taken; `EINVAL` for an impossible `config`; `ENODEV` if the SMMU's
    /// driver does not like it; `EOPNOTSUPP` if there are no more; `ENOMEM`.
    fn make_smmu(&self, name: &CStr, config: Config) -> Result<ARef<Device>>;

    /// Removes the SMMU `smmu`.
    ///
    /// # Errors
    ///
    /// `EBUSY` if devices are behind it, or if it stays; `ENOENT` if there is no such SMMU.
    fn remove_smmu(&self, smmu: &Device) -> Result;

    /// The hardware of the SMMU `smmu`, if that is there.
    fn hw_of(&self, smmu: &Device) -> Option<Arc<Smmu>>;

    /// Plugs in a device called `name` behind `smmu`, or behind the first SMMU, with these
    /// `numbers`, whatever `spec` says of them. It is in its IOMMU group, and has its driver if
    /// there is one, when this returns.
    ///
    /// # Errors
    ///
    /// - `EEXIST` or `EBUSY` when its name or StreamID is taken.
    /// - `EINVAL` or `ERANGE` for a region that cannot be.
    /// - `EOPNOTSUPP` for what the SMMU's driver cannot do.
    /// - `ENODEV` without such an SMMU, or if its driver refused the device; `ENOMEM`.
    fn add_device(
        &self,
        smmu: Option<&Device>,
        name: &CStr,
        numbers: Numbers,
        spec: &DeviceSpec,
    ) -> Result<ARef<Device>>;

    /// Unplugs a device.
    ///
    /// # Errors
    ///
    /// `ENOENT` if it is behind no SMMU here.
    fn remove_device(&self, dev: &Device) -> Result;

    /// The StreamID of device `dev`.
    ///
    /// # Errors
    ///
    /// `ENOENT` if it is behind no SMMU here.
    fn sid_of(&self, dev: &Device) -> Result<u32>;

    /// The SMMU called `smmu`, for somebody else who plugs in devices behind it. Until the result is
    /// dropped the SMMU stays.
    ///
    /// # Errors
    ///
    /// `ENODEV` if there is no such SMMU; `EOPNOTSUPP` if that cannot be; `ENOMEM`.
    fn upstream(&self, smmu: &CStr) -> Result<Upstream> {
        let _ = smmu;
        Err(EOPNOTSUPP)
    }
}

/// A host, and what it begins with.
struct Known {
    host: Arc<dyn Host>,
    /// Its first SMMU, and what that was made with.
    first: (ARef<Device>, Config),
}

/// The [`Host`] that is loaded, if there is one. Whoever leaves waits for the call under way.
#[pin_data]
struct Hosts {
    #[pin]
    known: Mutex<Option<Known>>,
}

static HOSTS: Global<Hosts> = Global::new();

/// Keeps the place for a host while this module runs.
pub(crate) struct Place(#[expect(dead_code)] global::Installed<Hosts>);

impl Place {
    /// Without a host. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new() -> Result<Self> {
        let hosts = Arc::pin_init(
            pin_init!(Hosts {
                known <- new_mutex!(None, "smmu_hw_host"),
            }),
            GFP_KERNEL,
        )?;
        HOSTS.install(hosts).map(Self)
    }
}

/// Who keeps a [`Host`] known; dropping it waits for calls under way.
pub struct Installed(());

/// Makes `host`, which has the SMMU `smmu` that was made with `config`, the one that is asked, until
/// the result is dropped. May sleep.
///
/// # Errors
///
/// `EBUSY` if there is another.
pub fn install(host: Arc<dyn Host>, smmu: ARef<Device>, config: Config) -> Result<Installed> {
    let hosts = HOSTS.get().ok_or(ENODEV)?;
    let mut known = hosts.known.lock();

    if known.is_some() {
        return Err(EBUSY);
    }
    *known = Some(Known {
        host,
        first: (smmu, config),
    });
    Ok(Installed(()))
}

impl Drop for Installed {
    fn drop(&mut self) {
        if let Some(hosts) = HOSTS.get() {
            let known = hosts.known.lock().take();
            drop(known);
        }
    }
}

/// Asks the host. May sleep.
///
/// # Errors
///
/// `ENODEV` if there is none; those of `ask`.
pub(crate) fn ask<R>(ask: impl FnOnce(&dyn Host) -> Result<R>) -> Result<R> {
    let hosts = HOSTS.get().ok_or(ENODEV)?;
    let known = hosts.known.lock();

    ask(&*known.as_ref().ok_or(ENODEV)?.host)
}

/// The host's first SMMU, and what that was made with. May sleep.
pub(crate) fn first() -> Option<(ARef<Device>, Config)> {
    let hosts = HOSTS.get()?;
    let known = hosts.known.lock();

    known.as_ref().map(|known| known.first.clone())
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
        ask(|host| host.add_device(None, name, numbers, spec)).map(Self)
    }

    /// Unplugs the device, though somebody may hold this for longer. Sleeps.
    ///
    /// # Errors
    ///
    /// `ENOENT` if it has gone already, with its SMMU.
    pub fn unplug(&self) -> Result {
        ask(|host| host.remove_device(&self.0))
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
