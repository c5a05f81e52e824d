// SPDX-License-Identifier: GPL-2.0

//! Trace events that C code of ours defines.
//!
//! The kernel crate's `declare_trace!` only finds events in the kernel's own bindings. This one
//! also needs no `unsafe` from who uses it: what an event can be told is an [`Argument`].
//!
//! C header: [`include/linux/tracepoint.h`](srctree/include/linux/tracepoint.h)

use crate::{bindings, device_raw};
use kernel::device::Device;

/// What can be passed to a trace event.
///
/// # Safety
///
/// C code may use what [`raw`](Self::raw) gives, as its C type promises, as long as the argument
/// lives.
pub unsafe trait Argument {
    /// The type in C.
    type Raw;

    /// What C code gets.
    fn raw(self) -> Self::Raw;
}

macro_rules! numbers {
    ($($type:ty),*) => {$(
        // SAFETY: A number can be used for ever.
        unsafe impl Argument for $type {
            type Raw = $type;

            fn raw(self) -> $type {
                self
            }
        }
    )*};
}
numbers!(bool, i32, u32, u64);

// SAFETY: A reference is valid as long as it lives.
unsafe impl Argument for &Device {
    type Raw = *mut bindings::device;

    fn raw(self) -> *mut bindings::device {
        device_raw(self)
    }
}

/// Whether the trace event of this name is enabled: one static key, no call.
#[macro_export]
macro_rules! trace_enabled {
    ($name:ident) => {{
        #[cfg(CONFIG_TRACEPOINTS)]
        {
            kernel::macros::paste! {
                // SAFETY: The tracepoint is one that C code defines.
                unsafe {
                    kernel::jump_label::static_branch_unlikely!(
                        $crate::bindings::[< __tracepoint_ $name >],
                        $crate::bindings::tracepoint,
                        key
                    )
                }
            }
        }
        #[cfg(not(CONFIG_TRACEPOINTS))]
        {
            false
        }
    }};
}

/// Declares safe functions that record trace events, which cost one static key when disabled.
///
/// They may be called in any context. A function whose arguments are not those of the event's C
/// prototype does not compile.
#[macro_export]
macro_rules! declare_trace {
    ($($(#[$attr:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?);)*) => {$(
        $(#[$attr])*
        #[inline(always)]
        #[cfg_attr(not(CONFIG_TRACEPOINTS), allow(unused_variables))]
        $vis fn $name($($arg: $type),*) {
            #[cfg(CONFIG_TRACEPOINTS)]
            if $crate::trace_enabled!($name) {
                kernel::macros::paste! {
                    // SAFETY: The arguments live during this call, and are of the types that the
                    // event takes, which copies what it records.
                    unsafe {
                        $crate::bindings::[< rust_do_trace_ $name >](
                            $($crate::tracepoint::Argument::raw($arg)),*
                        )
                    };
                }
            }
        }
    )*};
}

pub use crate::{declare_trace, trace_enabled};
