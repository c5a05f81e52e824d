// SPDX-License-Identifier: GPL-2.0

//! References to modules: what a module has given away keeps it loaded.
//!
//! C header: `include/linux/module.h`

use crate::bindings;
use kernel::{
    prelude::*,
    ModuleMetadata, //
};

/// A reference to a module, which stays loaded until this is dropped.
///
/// Whoever drops it must not be that module's code.
///
/// # Invariants
///
/// `module` is null, for what is built in, or has a reference that this object owns.
pub struct ModuleRef {
    module: *mut bindings::module,
}

// SAFETY: The count of references is atomic.
unsafe impl Send for ModuleRef {}

// SAFETY: Nothing can be done through a shared reference.
unsafe impl Sync for ModuleRef {}

impl ModuleRef {
    /// Keeps the module `M` loaded. Any context.
    ///
    /// # Errors
    ///
    /// `ENODEV` if it is being unloaded.
    pub fn of<M: ModuleMetadata>() -> Result<Self> {
        let module = M::THIS_MODULE.as_ptr();

        // SAFETY: Code of the module asks, so that it is there.
        if !unsafe { bindings::try_module_get(module) } {
            return Err(ENODEV);
        }
        // INVARIANT: The reference was taken.
        Ok(Self { module })
    }
}

impl Drop for ModuleRef {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the reference is ours.
        unsafe { bindings::module_put(self.module) };
    }
}
