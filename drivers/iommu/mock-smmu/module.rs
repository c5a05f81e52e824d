// SPDX-License-Identifier: GPL-2.0

//! The module: the instance that there is after loading, and how everything is removed.

use crate::{
    debugfs,
    hw::{
        self,
        default_config, //
    },
    instances::Instances,
    module_parameters, //
};
use kernel::{
    debugfs::{
        Dir,
        File, //
    },
    prelude::*,
    sync::Arc,
    uaccess::UserSliceReader, //
};
use kernel_ext::notifier;
use smmuv3::{
    device::{
        DeviceSpec,
        Numbers, //
    },
    host::{
        self,
        Host, //
    }, //
};

/// The name of the devices that there are after loading.
const DEVICE_NAME: &CStr = c"mock_accel";

/// Two alone in their groups; a group of two; and one of which only the first member has PASIDs.
const DEVICES: [DeviceSpec; 6] = [
    DeviceSpec {
        id: 0,
        sid: 0x100,
        ..DeviceSpec::DEFAULT
    },
    DeviceSpec {
        id: 1,
        sid: 0x201,
        pasid_bits: 8,
        ..DeviceSpec::DEFAULT
    },
    DeviceSpec {
        id: 2,
        sid: 0x310,
        group: Some(1),
        ..DeviceSpec::DEFAULT
    },
    DeviceSpec {
        id: 3,
        sid: 0x311,
        group: Some(1),
        ..DeviceSpec::DEFAULT
    },
    DeviceSpec {
        id: 4,
        sid: 0x420,
        group: Some(2),
        ..DeviceSpec::DEFAULT
    },
    DeviceSpec {
        id: 5,
        sid: 0x421,
        pasid_bits: 0,
        ats: false,
        pri: false,
        group: Some(2),
        ..DeviceSpec::DEFAULT
    },
];

/// The module's data, dropped in this order.
pub struct MockSmmu {
    // These first, so that nobody adds or removes anything beside us.
    _host: host::Installed,
    _remove: Pin<KBox<File<Arc<Instances>>>>,
    instances: Arc<Instances>,
    _debugfs: Dir,
}

/// A write removes all instances: each device with its driver's binding, then the SMMU.
///
/// Devices behind an IOMMU hold references on its module, so it cannot be unloaded before.
fn remove(instances: &Arc<Instances>, _data: &mut UserSliceReader) -> Result {
    instances.clear()
}

impl kernel::Module for MockSmmu {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let top = Dir::new(debugfs::TOP);
        let instances = Instances::new(top.clone())?;

        let name = c"smmu0";
        let config = hw::Config {
            strict: module_parameters::strict.value(),
            walk_cache: module_parameters::walk_cache.value(),
            ..default_config()
        };
        let smmu = instances.make_smmu(name, config)?;
        for spec in &DEVICES {
            let (id, sid) = (Some(spec.id), Some(spec.sid));
            instances.add_device(Some(&smmu), DEVICE_NAME, Numbers { id, sid }, spec)?;
        }
        let file = top.write_callback_file(c"remove", instances.clone(), &remove);
        let file = KBox::pin_init(file, GFP_KERNEL)?;
        Ok(Self {
            _host: host::install(instances.clone(), smmu, config)?,
            _remove: file,
            instances,
            _debugfs: top,
        })
    }
}

impl Drop for MockSmmu {
    fn drop(&mut self) {
        // Each device behind an SMMU holds a reference on this module, so that there is none.
        let _ = self.instances.clear();
        // No callback of a notifier may run once the module's text is gone.
        notifier::synchronize();
    }
}
