// SPDX-License-Identifier: GPL-2.0

//! `/sys/kernel/config/mock_smmu/`: instances and devices that come and go at run time.
//!
//! A directory here is an instance, a directory in it a device behind that. Its files say what it
//! is to be like; it is plugged in by writing 1 to `online`, and unplugged by writing 0 or with
//! the directory. `Documentation/mock-smmu.rst` tells each file.
//!
//! - `instance`, `device`: the two kinds of directories; `shared`: what both know of an instance
//! - `text`: the files' values
//!
//! # Locks, outermost first
//!
//! configfs's own of a file, the device's state, its instance's state, the list of instances.

mod device;
mod instance;
mod shared;
mod text;

use crate::instances::Instances;
use instance::InstanceDir;
use kernel::{
    configfs::{
        configfs_attrs,
        Group,
        GroupOperations,
        Subsystem, //
    },
    debugfs,
    device::Device,
    prelude::*,
    sync::{
        aref::ARef,
        Arc, //
    }, //
};
use kernel_ext::configfs::DefaultGroup;

/// The top directory.
#[pin_data]
struct Root {
    instances: Arc<Instances>,
    debugfs: debugfs::Dir,
}

/// All of it; what users made must be gone before it is dropped, and is, as it refers to this
/// module.
pub(crate) struct Tree {
    // Dropped first: it is below the other.
    _loaded: DefaultGroup<Root, InstanceDir>,
    _root: Arc<Subsystem<Root>>,
}

impl Tree {
    /// Makes the top directory, and below it the one of instance `smmu`, which is there already
    /// and was made with `config`. Later ones show up in `debugfs`. May sleep.
    ///
    /// # Errors
    ///
    /// `EEXIST`, `ENOMEM`.
    pub(crate) fn new(
        instances: Arc<Instances>,
        debugfs: debugfs::Dir,
        name: &CStr,
        smmu: ARef<Device>,
        config: crate::hw::Config,
    ) -> Result<Self> {
        let root_type = configfs_attrs! {
            container: Subsystem<Root>,
            data: Root,
            child: InstanceDir,
            attributes: [],
        };
        let loaded = InstanceDir::group(
            name,
            instances.clone(),
            debugfs.clone(),
            Some(smmu),
            config, //
        )?;
        let root = Arc::pin_init(
            Subsystem::new(
                c"mock_smmu",
                root_type,
                try_pin_init!(Root { instances, debugfs }),
            ),
            GFP_KERNEL,
        )?;
        Ok(Self {
            _loaded: DefaultGroup::new(root.clone(), loaded)?,
            _root: root,
        })
    }
}

#[vtable]
impl GroupOperations for Root {
    type Child = InstanceDir;

    fn make_group(&self, name: &CStr) -> Result<impl PinInit<Group<InstanceDir>, Error>> {
        let (instances, debugfs) = (self.instances.clone(), self.debugfs.clone());
        let config = crate::instance::default_config();
        InstanceDir::group(name, instances, debugfs, None, config)
    }
}
