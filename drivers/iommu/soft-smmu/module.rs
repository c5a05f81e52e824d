// SPDX-License-Identifier: GPL-2.0

//! The module: what there is after loading.

use crate::{
    debugfs,
    devices::Devices,
    module_parameters,
    smmu::Smmu, //
};
use kernel::{
    prelude::*,
    sync::{
        aref::ARef,
        Arc, //
    }, //
};
use kernel_ext::cpu;
use smmuv3::{
    device::{
        DeviceSpec,
        Numbers, //
    },
    fmt::regs,
    host::{
        self,
        Host, //
    },
    hw::{
        default_config,
        Config, //
    }, //
};

/// The devices that there are after loading, by the bits of their PASIDs: as behind the mock.
const PASID_BITS: [u8; 2] = [16, 8];

/// The module's data, dropped in this order.
pub(crate) struct SoftSmmu {
    _host: host::Installed,
    // Nobody has the SMMU's driver come and go any more.
    _debugfs: debugfs::Shown,
    devices: Arc<Devices>,
}

/// What the module's parameters ask for.
fn config() -> Config {
    let default = default_config();

    Config {
        sid_bits: module_parameters::sid_bits.value(),
        ssid_bits: module_parameters::ssid_bits.value(),
        oas: u8::try_from(module_parameters::oas.value()).unwrap_or(default.oas),
        sev: module_parameters::sev.value(),
        msi: module_parameters::msi.value(),
        stall_model: match module_parameters::stall.value() {
            0 => regs::STALL_BOTH,
            1 => regs::STALL_NONE,
            _ => regs::STALL_ONLY,
        },
        strict: module_parameters::strict.value(),
        walk_cache: module_parameters::walk_cache.value(),
        evict_one_in: module_parameters::evict_one_in.value(),
        ..default
    }
}

impl kernel::Module for SoftSmmu {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let cpu = u32::try_from(module_parameters::cpu.value()).unwrap_or_else(|_| cpu::last());
        let config = config();
        let smmu = Smmu::new(config, cpu)?;
        let devices = Devices::new(smmu)?;
        let debugfs = debugfs::show(&devices)?;

        if module_parameters::devices.value() {
            for pasid_bits in PASID_BITS {
                let spec = DeviceSpec {
                    pasid_bits,
                    stall: true,
                    ..DeviceSpec::DEFAULT
                };
                devices.add_device(None, c"mock_accel", Numbers::default(), &spec)?;
            }
        }
        let device = ARef::from(devices.smmu().device());
        dev_info!(device, "played by software on CPU {cpu}\n");
        Ok(Self {
            _host: host::install(devices.clone(), device, config)?,
            devices,
            _debugfs: debugfs,
        })
    }
}

impl Drop for SoftSmmu {
    fn drop(&mut self) {
        self.devices.clear();
    }
}
