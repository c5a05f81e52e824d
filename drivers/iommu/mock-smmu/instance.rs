// SPDX-License-Identifier: GPL-2.0

//! Instances: an SMMU with its driver, and devices behind it.
//!
//! This is the one place that knows both halves. It gives the hardware half a register file and
//! lines, the driver half the same, and connects each device's port before the device appears.

use crate::{
    bus::BUS,
    debugfs,
    device::{
        check_direct,
        port_config,
        MockDevice, //
    },
    driver::{
        self,
        probe::{
            Lines,
            Running, //
        }, //
    },
    hw,
    line::Line,
    mmio::RegisterFile,
    MockSmmu, //
};
use kernel::{
    device::Device,
    prelude::*,
    sync::Arc, //
};
use kernel_ext::{
    fwspec::IommuNode,
    iommu_device::IommuDevice,
    module_ref::ModuleRef,
    notifier, //
};
use smmuv3::{
    device::DeviceSpec,
    requester::{
        Count,
        Upstream, //
    }, //
};

/// Waits on drop until no notifier of an address space is left, so that none uses the SMMU.
struct NoNotifiers;

impl Drop for NoNotifiers {
    fn drop(&mut self) {
        notifier::synchronize();
    }
}

/// Disconnects the doorbell on drop: it owns the hardware half, which owns the register file.
struct Doorbell(Arc<RegisterFile>);

impl Drop for Doorbell {
    fn drop(&mut self) {
        self.0.clear_doorbell();
    }
}

/// A mock SMMU with its driver and devices. Dropping it removes them all, in this order; sleeps.
pub struct Instance {
    debugfs: Option<debugfs::InstanceDir>,
    devices: KVec<MockDevice>,
    requesters: Arc<Count>,
    iommu: Arc<IommuDevice<driver::Smmu>>,
    _no_notifiers: NoNotifiers,
    running: Running,
    _doorbell: Doorbell,
    hw: Arc<hw::Smmu>,
}

impl Instance {
    /// Makes an instance called `name` without devices. May sleep.
    ///
    /// # Errors
    ///
    /// `EEXIST` when the name is taken; `EINVAL` for an impossible `config`; `ENOMEM`; `ENODEV` if
    /// the driver half does not like the hardware.
    pub fn new(name: &CStr, config: hw::Config) -> Result<Self> {
        let regs = RegisterFile::new()?;
        let lines = Lines::new()?;
        let hw = hw::Smmu::new(
            config,
            regs.clone(),
            hw::Lines {
                evtq: lines.evtq.clone(),
                priq: lines.priq.clone(),
                gerror: lines.gerror.clone(),
                // The driver half polls.
                sync: Line::new()?,
            },
            BUS,
        )?;
        regs.set_doorbell(hw.clone());
        let doorbell = Doorbell(regs.clone());

        let running = Running::new(name, regs, lines)?;
        let max_pasids = 1 << running.smmu().features().ssid_bits;
        let iommu = IommuDevice::new(name, max_pasids, running.smmu().clone())?;
        Ok(Self {
            debugfs: None,
            devices: KVec::new(),
            requesters: Count::new()?,
            iommu,
            _no_notifiers: NoNotifiers,
            running,
            _doorbell: doorbell,
            hw,
        })
    }

    /// Shows the instance in debugfs, where faults can be injected too.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn show(&mut self, name: &CStr, parent: &kernel::debugfs::Dir) -> Result {
        let view = debugfs::View {
            smmu: self.smmu().clone(),
            hw: self.hw.clone(),
        };
        self.debugfs = Some(debugfs::InstanceDir::new(parent, name, view)?);
        #[cfg(CONFIG_FAULT_INJECTION_DEBUG_FS)]
        {
            let faults = smmuv3::debugfs::faults::new(debugfs::TOP, name)?;
            self.hw.inject(faults.clone());
            self.smmu().inject(faults);
        }
        Ok(())
    }

    /// Adds a device called `name`, which a driver of that name may bind at once. May sleep.
    ///
    /// # Errors
    ///
    /// `EEXIST` or `EBUSY` when its name or StreamID is taken; `ENODEV` if the driver half refused
    /// it, for example for a StreamID that the SMMU does not have; `EINVAL` or `ERANGE` for a region
    /// that cannot be; `ENOMEM`.
    pub fn add_device(&mut self, name: &CStr, spec: &DeviceSpec) -> Result<&MockDevice> {
        self.devices.reserve(1, GFP_KERNEL)?;
        // The IOMMU core maps them for no other devices, nor if the SMMU has no page tables for it.
        let geometry = self.smmu().features().geometry();
        if let (true, Ok(geometry)) = (spec.translated, geometry) {
            check_direct(spec, &geometry)?;
        }
        let device = MockDevice::new(&self.hw, &self.iommu, name, spec)?;
        self.devices.push(device, GFP_KERNEL)?;
        self.devices.last().ok_or(ENODEV)
    }

    /// Removes the device that was added as number `index`; those after it move up. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOENT` if there is none.
    pub fn remove_device(&mut self, index: usize) -> Result {
        drop(self.devices.remove(index).map_err(|_| ENOENT)?);
        Ok(())
    }

    /// The devices.
    pub fn devices(&self) -> &[MockDevice] {
        &self.devices
    }

    /// The platform device that represents the SMMU.
    pub fn device(&self) -> &Device {
        self.iommu.device()
    }

    /// How many devices of others are behind it.
    pub(crate) fn requesters(&self) -> &Arc<Count> {
        &self.requesters
    }

    /// It, for somebody else who plugs in devices behind it.
    ///
    /// # Errors
    ///
    /// `ENODEV` if it has no firmware node, or the module is being unloaded.
    pub(crate) fn upstream(&self) -> Result<Upstream> {
        let able = self.smmu().features();
        let spec = DeviceSpec {
            ats: able.ats,
            pri: able.pri,
            ..DeviceSpec::DEFAULT
        };

        Ok(Upstream::new(
            self.hw.clone(),
            IommuNode::of(self.device()).ok_or(ENODEV)?,
            port_config(&spec, able.ssid_bits),
            self.iommu.clone(),
            &self.requesters,
            ModuleRef::of::<MockSmmu>()?,
        ))
    }

    /// The driver half.
    pub fn smmu(&self) -> &Arc<driver::Smmu> {
        self.running.smmu()
    }

    /// The hardware half.
    pub fn hw(&self) -> &Arc<hw::Smmu> {
        &self.hw
    }
}
