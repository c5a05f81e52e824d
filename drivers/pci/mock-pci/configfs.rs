// SPDX-License-Identifier: GPL-2.0

//! `/sys/kernel/config/mock_pci/`: host bridges and functions that come and go at run time.
//!
//! A directory here is a host bridge; one in it a function on its root bus; and one in that of a port
//! a function behind the port. `Documentation/mock-pci.rst` tells each file.

mod function;
mod host;

use host::HostDir;
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
use kernel_ext::configfs::set_lock_class;

/// The top directory.
#[pin_data]
struct Root {}

/// All of it; what users made must be gone before it is dropped, and is, as it refers to this
/// module.
pub(crate) struct Tree(#[expect(dead_code)] Arc<Subsystem<Root>>);

impl Tree {
    /// Makes the top directory. May sleep.
    ///
    /// # Errors
    ///
    /// `EEXIST`, `ENOMEM`.
    pub(crate) fn new() -> Result<Self> {
        let root_type = configfs_attrs! {
            container: Subsystem<Root>,
            data: Root,
            child: HostDir,
            attributes: [],
        };

        let root = Arc::pin_init(
            Subsystem::new(c"mock_pci", root_type, try_pin_init!(Root {})),
            GFP_KERNEL,
        )?;

        set_lock_class(&root);
        Ok(Self(root))
    }
}

#[vtable]
impl GroupOperations for Root {
    type Child = HostDir;

    fn make_group(&self, name: &CStr) -> Result<impl PinInit<Group<HostDir>, Error>> {
        HostDir::group(name)
    }
}
