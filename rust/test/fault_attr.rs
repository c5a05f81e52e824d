// SPDX-License-Identifier: GPL-2.0

//! Places where the kernel's fault injection makes something fail on request.
//!
//! C header: [`include/linux/fault-inject.h`](srctree/include/linux/fault-inject.h)

use crate::bindings;
use core::ptr::NonNull;
use kernel::{
    error::from_err_ptr,
    prelude::*,
    types::Opaque, //
};

/// What may fail, how often and for whom, as files of a directory in debugfs say.
///
/// As it comes, it never fails, and writes nothing to the log when it does.
///
/// # Invariants
///
/// `attr` is initialised. The files of `dir`, to which a reference is held, are all that refers to
/// `attr` beside this object.
#[pin_data(PinnedDrop)]
pub struct FaultAttr {
    #[pin]
    attr: Opaque<bindings::fault_attr>,
    dir: NonNull<bindings::dentry>,
}

// SAFETY: A fault attribute may be used and removed by any thread.
unsafe impl Send for FaultAttr {}

// SAFETY: `should_fail()` may be called by several threads; that the counts may then be a little
// off is the kernel's choice.
unsafe impl Sync for FaultAttr {}

impl FaultAttr {
    /// Makes the directory `name` below `top/sub` of debugfs. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOENT` if there is no `top/sub`; `EEXIST`; `ENOMEM`.
    pub fn new<'a>(top: &'a CStr, sub: &'a CStr, name: &'a CStr) -> impl PinInit<Self, Error> + 'a {
        try_pin_init!(&this in Self {
            // SAFETY: The slot is valid for a write, and the helper initialises all of it.
            attr <- Opaque::ffi_init(|slot| unsafe { bindings::sva_fault_attr_init(slot) }),
            dir: {
                // SAFETY: `this` is the object being made, whose `attr` is initialised.
                let attr = Opaque::cast_into(unsafe { &raw const (*this.as_ptr()).attr });
                // SAFETY: The names are C strings. The files that refer to `attr` are removed
                // before it goes, and it is pinned.
                let dir = from_err_ptr(unsafe {
                    bindings::sva_fault_attr_show(
                        attr,
                        top.as_char_ptr(),
                        sub.as_char_ptr(),
                        name.as_char_ptr(),
                    )
                })?;
                // INVARIANT: The helper got a reference for us.
                NonNull::new(dir).ok_or(ENODEV)?
            },
        })
    }

    /// Whether to fail this time. Any context.
    pub fn should_fail(&self) -> bool {
        // SAFETY: By the type invariant `attr` is initialised.
        unsafe { bindings::sva_fault_should_fail(self.attr.get()) }
    }
}

#[pinned_drop]
impl PinnedDrop for FaultAttr {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant the reference is ours. When this returns nobody uses the
        // files any more.
        unsafe { bindings::sva_fault_attr_remove(self.dir.as_ptr()) };
    }
}
