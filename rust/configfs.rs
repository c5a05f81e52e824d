// SPDX-License-Identifier: GPL-2.0

//! Directories in configfs that the kernel makes, beside those that a user makes.
//!
//! The kernel crate has subsystems, and groups that mkdir(2) makes.
//!
//! C header: [`include/linux/configfs.h`](srctree/include/linux/configfs.h)

use crate::bindings;
use core::ptr::{
    addr_of_mut,
    NonNull, //
};
use kernel::{
    configfs::{
        Group,
        HasGroup,
        Subsystem, //
    },
    error::to_result,
    prelude::*,
    sync::Arc, //
};

/// A group below a subsystem that is there without a mkdir(2), and that no rmdir(2) removes.
///
/// Dropping it removes it; sleeps. What users made in it must be gone by then, or it stays for
/// ever: no harm is done, but the memory. A user's directory holds a reference on the module that
/// has the subsystem, so in the data of that module it is always gone. A module makes this last when
/// it starts: what is there before that has succeeded may be in use when it is freed after a
/// failure.
///
/// # Invariants
///
/// `group` is in a `Group<Data>` that an `Arc` owned and whose count is now the group's own, from
/// `Arc::into_raw`; it is registered below `parent`.
pub struct DefaultGroup<Parent: 'static, Data: 'static> {
    group: NonNull<bindings::config_group>,
    parent: Arc<Subsystem<Parent>>,
    _data: core::marker::PhantomData<Arc<Group<Data>>>,
}

// SAFETY: configfs locks what it changes in a group, and `Data` may be dropped by any thread.
unsafe impl<Parent: Send + Sync, Data: Send + Sync> Send for DefaultGroup<Parent, Data> {}

// SAFETY: Nothing can be done with a shared reference.
unsafe impl<Parent: Send + Sync, Data: Send + Sync> Sync for DefaultGroup<Parent, Data> {}

impl<Parent, Data> DefaultGroup<Parent, Data> {
    /// Makes the directory that `group` initialises. May sleep.
    ///
    /// # Errors
    ///
    /// `EEXIST` if there is a directory of its name; `ENOMEM`; those of `group`.
    pub fn new(
        parent: Arc<Subsystem<Parent>>,
        group: impl PinInit<Group<Data>, Error>,
    ) -> Result<Self> {
        let group = Arc::into_raw(Arc::pin_init(group, GFP_KERNEL)?);
        // SAFETY: `group` is a live object.
        let raw = unsafe { Group::<Data>::group(group) }.cast_mut();
        // SAFETY: `parent` is a live subsystem, registered by its initialiser.
        let root = unsafe { Subsystem::group(Arc::as_ptr(&parent)) }.cast_mut();

        // SAFETY: Both groups are initialised. `raw` is in no tree yet, and lives until its last
        // reference is put, by its type's release function, which takes the `Arc` back.
        let registered = to_result(unsafe { bindings::configfs_register_group(root, raw) });
        if let Err(error) = registered {
            // SAFETY: The group is not registered, and its first reference is ours.
            unsafe { bindings::config_item_put(addr_of_mut!((*raw).cg_item)) };
            return Err(error);
        }
        Ok(Self {
            // INVARIANT: Just registered, and its owner is now the group's reference count.
            group: NonNull::new(raw).ok_or(EINVAL)?,
            parent,
            _data: core::marker::PhantomData,
        })
    }
}

impl<Parent, Data> Drop for DefaultGroup<Parent, Data> {
    fn drop(&mut self) {
        let group = self.group.as_ptr();

        // SAFETY: By the type invariant the group is registered, so that it has a directory.
        if !unsafe { bindings::sva_configfs_close(group) } {
            pr_err!("a configfs directory with entries stays\n");
            core::mem::forget(self.parent.clone());
            return;
        }
        // SAFETY: By the type invariant the group is registered, and its first reference, which
        // `new()` left to it, has not been put. It has no children, and gets none any more.
        unsafe {
            bindings::configfs_unregister_group(group);
            bindings::config_item_put(addr_of_mut!((*group).cg_item));
        }
    }
}

/// Gives a subsystem that was just made a lock class of our own, so that there can be subsystems of
/// more than one module: lockdep takes the kernel crate's for two of one key. Any context.
pub fn set_lock_class<Data>(subsystem: &Arc<Subsystem<Data>>) {
    // SAFETY: It is a live subsystem, of which this is the group.
    let group = unsafe { Subsystem::group(Arc::as_ptr(subsystem)) }.cast_mut();

    // SAFETY: The group is embedded in the subsystem. Nothing but lockdep's note of the mutex changes.
    unsafe {
        let raw = kernel::container_of!(group, bindings::configfs_subsystem, su_group);

        bindings::sva_configfs_set_class(raw);
    }
}
