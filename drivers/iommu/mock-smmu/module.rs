// SPDX-License-Identifier: GPL-2.0

//! The module: the instance that there is after loading, and how everything is removed.

use crate::{
    instance::{
        default_config,
        Instance,
        Ports,
        DEVICES,
        DEVICE_NAME,
        PORTS, //
    },
    instances::{
        Instances,
        INSTANCES, //
    },
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
use kernel_ext::{
    global::Installed,
    notifier, //
};

/// The module's data, dropped in this order.
pub struct MockSmmu {
    // The file first, so that nobody is removing instances beside us.
    _remove: Pin<KBox<File<Arc<Instances>>>>,
    instances: Installed<Instances>,
    _debugfs: Dir,
    _ports: Installed<Ports>,
}

/// A write removes all instances: each device with its driver's binding, then the SMMU.
///
/// Devices behind an IOMMU hold references on its module, so it cannot be unloaded before.
fn remove(instances: &Arc<Instances>, _data: &mut UserSliceReader) -> Result {
    instances.clear();
    Ok(())
}

impl kernel::Module for MockSmmu {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let ports = PORTS.install(Ports::new()?)?;
        let debugfs = Dir::new(c"mock_smmu");
        let instances = INSTANCES.install(Instances::new()?)?;

        let name = c"smmu0";
        let mut instance = Instance::new(name, default_config())?;
        instance.show(name, &debugfs)?;
        for spec in &DEVICES {
            instance.add_device(DEVICE_NAME, spec)?;
        }
        instances.add(instance)?;

        let file = debugfs.write_callback_file(c"remove", (*instances).clone(), &remove);
        Ok(Self {
            _remove: KBox::pin_init(file, GFP_KERNEL)?,
            instances,
            _debugfs: debugfs,
            _ports: ports,
        })
    }
}

impl Drop for MockSmmu {
    fn drop(&mut self) {
        self.instances.clear();
        // No callback of a notifier may run once the module's text is gone.
        notifier::synchronize();
    }
}
