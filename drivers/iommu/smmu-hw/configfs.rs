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
//! configfs's own of a file, the device's state, its instance's state, then those of the host.

mod device;
mod instance;
mod shared;
pub mod text;

use instance::InstanceDir;
use kernel::{
    configfs::{
        configfs_attrs,
        Group,
        GroupOperations,
        Subsystem, //
    },
    prelude::*,
    sync::Arc, //
};
use kernel_ext::configfs::DefaultGroup;
use shared::Origin;

/// The top directory.
struct Root;

/// All of it; what users made must be gone before it is dropped, and is, as it refers to this
/// module.
pub(crate) struct Tree {
    // Dropped first: it is below the other.
    _loaded: DefaultGroup<Root, InstanceDir>,
    _root: Arc<Subsystem<Root>>,
}

impl Tree {
    /// Makes the top directory, and below it the one of the host's first SMMU. May sleep.
    ///
    /// # Errors
    ///
    /// `EEXIST`, `ENOMEM`.
    pub(crate) fn new() -> Result<Self> {
        let root_type = configfs_attrs! {
            container: Subsystem<Root>,
            data: Root,
            child: InstanceDir,
            attributes: [],
        };
        let root = Arc::pin_init(
            Subsystem::new(c"mock_smmu", root_type, Ok(Root)),
            GFP_KERNEL,
        )?;
        let first = InstanceDir::group(c"smmu0", Origin::Loaded)?;

        Ok(Self {
            _loaded: DefaultGroup::new(root.clone(), first)?,
            _root: root,
        })
    }
}

#[vtable]
impl GroupOperations for Root {
    type Child = InstanceDir;

    fn make_group(&self, name: &CStr) -> Result<impl PinInit<Group<InstanceDir>, Error>> {
        InstanceDir::group(name, Origin::Made)
    }
}
