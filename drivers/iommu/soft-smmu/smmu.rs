// SPDX-License-Identifier: GPL-2.0

//! The SMMU: hardware on the registers that firmware names, under the kernel's driver.

use crate::{
    bus::BUS,
    poller, //
};
use kernel::{
    device::Device,
    prelude::*,
    sync::Arc, //
};
use kernel_ext::{
    firmware_device::{
        FirmwareDevice,
        Interrupt, //
    },
    fwspec::IommuNode,
    thread::KThread, //
};
use smmuv3::{
    fmt::regs,
    hw,
    line::{
        Line,
        Raise, //
    },
    mmio::RegisterFile, //
};

/// What the SMMU is called here, as the mock's first is.
pub(crate) const NAME: &CStr = c"smmu0";

/// A wired interrupt of the SMMU.
struct Wire(Interrupt);

impl Raise for Wire {
    fn raise(&self) {
        self.0.raise();
    }
}

/// Has the kernel's driver leave on drop.
struct Driven(Arc<FirmwareDevice>);

impl Drop for Driven {
    fn drop(&mut self) {
        self.0.release_driver();
    }
}

/// An SMMU that the kernel's driver drives. Dropping it has that leave; sleeps.
///
/// All devices must be gone before.
pub(crate) struct Smmu {
    // The driver first: it has the hardware turn off, for which that must be looking.
    _driven: Driven,
    _poller: KThread,
    hw: Arc<hw::Smmu>,
    firmware: Arc<FirmwareDevice>,
    node: IommuNode,
}

impl Smmu {
    /// Finds the SMMU that firmware has for us, plays it as `config` says, with processor `cpu` kept
    /// for that, and has the kernel's driver probe it. May sleep.
    ///
    /// # Errors
    ///
    /// - `ENODEV` if firmware has none, or no driver takes it.
    /// - `EINVAL` for an impossible `config`, or if there is no such processor.
    /// - Those of the driver's probe; `ENOMEM`.
    pub(crate) fn new(config: hw::Config, cpu: u32) -> Result<Self> {
        let firmware = FirmwareDevice::find(c"arm,smmu-v3").inspect_err(|_| {
            pr_err!("no SMMU whose node has 'sva,played-by-software'\n");
        })?;
        let firmware = Arc::new(firmware, GFP_KERNEL)?;
        let wire = |name| -> Result<Arc<dyn Raise>> {
            Ok(Arc::new(Wire(firmware.interrupt(name)?), GFP_KERNEL)?)
        };
        let lines = hw::Lines {
            evtq: wire(c"eventq")?,
            priq: wire(c"priq")?,
            gerror: wire(c"gerror")?,
            // The driver polls, or has a message written.
            sync: Line::new()?,
        };
        let registers = RegisterFile::mapped(firmware.registers(regs::SIZE)?)?;
        let hw = hw::Smmu::new(config, registers, lines, BUS)?;
        let poller = poller::start(hw.clone(), cpu)?;

        firmware.attach_driver().inspect_err(|error| {
            dev_err!(firmware.device(), "no driver takes it: {error:?}\n");
        })?;
        Ok(Self {
            _driven: Driven(firmware.clone()),
            _poller: poller,
            hw,
            node: firmware.node().ok_or(ENODEV)?,
            firmware,
        })
    }

    /// Has the kernel's driver probe it. May sleep.
    ///
    /// # Errors
    ///
    /// `ENODEV` if no driver takes it; those of the driver's probe.
    pub(crate) fn attach_driver(&self) -> Result {
        self.firmware.attach_driver()
    }

    /// Has the driver leave it, which turns it off. No device is behind it. Sleeps.
    pub(crate) fn release_driver(&self) {
        self.firmware.release_driver();
    }

    /// The hardware.
    pub(crate) fn hw(&self) -> &Arc<hw::Smmu> {
        &self.hw
    }

    /// What firmware has of it.
    pub(crate) fn firmware(&self) -> &Arc<FirmwareDevice> {
        &self.firmware
    }

    /// What devices behind it call it.
    pub(crate) fn node(&self) -> &IommuNode {
        &self.node
    }

    /// The device that it is to the kernel.
    pub(crate) fn device(&self) -> &Device {
        self.firmware.device()
    }
}
