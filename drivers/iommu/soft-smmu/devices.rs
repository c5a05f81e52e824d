// SPDX-License-Identifier: GPL-2.0

//! The devices behind the SMMU.

use crate::{
    module::SoftSmmu,
    smmu::{
        Smmu,
        NAME, //
    }, //
};
use core::ptr;
use kernel::{
    device::Device,
    new_mutex,
    prelude::*,
    str::CString,
    sync::{
        aref::ARef,
        Arc,
        Mutex, //
    }, //
};
use kernel_ext::{
    module_ref::ModuleRef,
    platform_device::{
        IommuSpec,
        PlatformDevice,
        Property,
        Value, //
    }, //
};
use smmuv3::{
    device::{
        DeviceSpec,
        Numbers, //
    },
    host::Host,
    hw::{
        self,
        Config,
        PortConfig,
        PortLimits, //
    },
    ports::Connection,
    requester::{
        Count,
        Upstream, //
    }, //
};

/// StreamIDs from here on are for devices that are given none, where the SMMU has as many.
const FIRST_FREE_SID: u32 = 0x100;

/// A device with its port. Dropping it removes the device; sleeps.
struct Plugged {
    // Dropped first: the device's driver may use the port to the end.
    device: PlatformDevice,
    connection: Connection,
}

/// What a port can do. Page requests are answered by nobody: that driver denies them.
fn port_config(ats: bool, limits: PortLimits) -> PortConfig {
    PortConfig {
        ats,
        ats_no_ssid: ats,
        pri: false,
        needs_pasid: false,
        max_outstanding: limits.max_outstanding,
        max_retries: limits.max_retries,
        timeout_ms: limits.timeout_ms,
        gives_up: false,
    }
}

struct State {
    plugged: KVec<Plugged>,
    /// Whether a driver has the SMMU.
    driven: bool,
}

/// The SMMU and what is behind it. What it leaves behind when it is dropped: nothing; sleeps.
///
/// The lock is held while devices are added and removed, and so while their drivers probe and leave,
/// and while the SMMU's does: those must not come back here.
#[pin_data]
pub(crate) struct Devices {
    #[pin]
    state: Mutex<State>,
    /// Of others.
    requesters: Arc<Count>,
    // After the devices.
    smmu: Smmu,
}

impl Devices {
    /// Nothing behind `smmu` yet. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(smmu: Smmu) -> Result<Arc<Self>> {
        let requesters = Count::new()?;

        Arc::pin_init(
            pin_init!(Self {
                state <- new_mutex!(
                    State { plugged: KVec::new(), driven: true },
                    "soft_smmu_devices"
                ),
                requesters,
                smmu,
            }),
            GFP_KERNEL,
        )
    }

    /// The SMMU.
    pub(crate) fn smmu(&self) -> &Smmu {
        &self.smmu
    }

    /// Removes all devices. Sleeps.
    pub(crate) fn clear(&self) {
        self.state.lock().plugged.clear();
    }

    /// Whether a driver has the SMMU. May sleep.
    pub(crate) fn is_driven(&self) -> bool {
        self.state.lock().driven
    }

    /// Has the kernel's driver leave the SMMU, or probe it again. Sleeps.
    ///
    /// # Errors
    ///
    /// `EBUSY` if devices are behind it, which that driver would leave in the lurch; those of
    /// [`Smmu::attach_driver`].
    pub(crate) fn drive(&self, driven: bool) -> Result {
        let mut state = self.state.lock();

        match (state.driven, driven) {
            (true, false) if !state.plugged.is_empty() || !self.requesters.is_zero() => {
                return Err(EBUSY);
            }
            (true, false) => self.smmu.release_driver(),
            (false, true) => self.smmu.attach_driver()?,
            _ => {}
        }
        state.driven = driven;
        Ok(())
    }

    /// The lowest number of which no device called `name` is here.
    fn free_id(plugged: &[Plugged], name: &CStr) -> Result<i32> {
        for id in 0.. {
            let full = CString::try_from_fmt(fmt!("{}.{id}", name.to_str()?))?;

            if !plugged.iter().any(|p| p.device.device().name() == &*full) {
                return Ok(id);
            }
        }
        Err(ENOSPC)
    }

    fn plug(&self, name: &CStr, id: i32, sid: u32, spec: &DeviceSpec) -> Result<Plugged> {
        // What waits for a missing page does so by stalling: that driver knows PRI of PCI devices
        // only, and groups by what their bus says.
        let waits = spec.stall || spec.pri;

        if spec.group.is_some() || spec.resv.iter().flatten().next().is_some() {
            return Err(EOPNOTSUPP);
        }
        let connection = Connection::new(
            self.smmu.hw().clone(),
            self.smmu.node().clone(),
            CString::try_from_fmt(fmt!("{}.{id}", name.to_str()?))?,
            sid,
            port_config(false, spec.limits),
        )?;
        let mut properties = KVec::with_capacity(2, GFP_KERNEL)?;
        let mut cell = |name, value| {
            let value = Value::U32(value);
            properties.push(Property { name, value }, GFP_KERNEL)
        };
        if spec.pasid_bits != 0 {
            cell(c"pasid-num-bits", spec.pasid_bits.into())?;
        }
        if waits {
            cell(c"dma-can-stall", 1)?;
        }
        let iommu = IommuSpec {
            iommu: self.smmu.node(),
            ids: &[sid],
        };
        Ok(Plugged {
            device: PlatformDevice::new(name, id, &properties, Some(iommu))?,
            connection,
        })
    }
}

impl Host for Devices {
    fn make_smmu(&self, _name: &CStr, _config: Config) -> Result<ARef<Device>> {
        Err(EOPNOTSUPP)
    }

    fn remove_smmu(&self, _smmu: &Device) -> Result {
        Err(EBUSY)
    }

    fn hw_of(&self, smmu: &Device) -> Option<Arc<hw::Smmu>> {
        ptr::eq(smmu, self.smmu.device()).then(|| self.smmu.hw().clone())
    }

    fn add_device(
        &self,
        smmu: Option<&Device>,
        name: &CStr,
        numbers: Numbers,
        spec: &DeviceSpec,
    ) -> Result<ARef<Device>> {
        if smmu.is_some_and(|smmu| self.hw_of(smmu).is_none()) {
            return Err(ENODEV);
        }
        let mut state = self.state.lock();
        if !state.driven {
            return Err(ENODEV);
        }
        let plugged = &mut state.plugged;
        let id = match numbers.id {
            Some(id) => id,
            None => Self::free_id(plugged, name)?,
        };
        let free = || (FIRST_FREE_SID..).find(|&sid| !self.smmu.hw().has_port(sid));
        let sid = numbers.sid.or_else(free).ok_or(ENOSPC)?;

        plugged.reserve(1, GFP_KERNEL)?;
        let new = self.plug(name, id, sid, spec)?;
        let device = ARef::from(new.device.device());
        plugged.push(new, GFP_KERNEL)?;
        Ok(device)
    }

    fn remove_device(&self, dev: &Device) -> Result {
        let plugged = &mut self.state.lock().plugged;
        let at = plugged
            .iter()
            .position(|p| ptr::eq(p.device.device(), dev))
            .ok_or(ENOENT)?;

        drop(plugged.remove(at).map_err(|_| ENOENT)?);
        Ok(())
    }

    fn sid_of(&self, dev: &Device) -> Result<u32> {
        let state = self.state.lock();
        let mut plugged = state.plugged.iter();
        let found = plugged.find(|p| ptr::eq(p.device.device(), dev));
        found.map(|p| p.connection.port().sid()).ok_or(ENOENT)
    }

    fn upstream(&self, smmu: &CStr) -> Result<Upstream> {
        // Held until the requester is counted: the driver stays then.
        let state = self.state.lock();

        if !state.driven || smmu != NAME {
            return Err(ENODEV);
        }
        Ok(Upstream::new(
            self.smmu.hw().clone(),
            self.smmu.node().clone(),
            port_config(true, PortLimits::DEFAULT),
            self.smmu.firmware().clone(),
            &self.requesters,
            ModuleRef::of::<SoftSmmu>()?,
        ))
    }
}
