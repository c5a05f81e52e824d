// SPDX-License-Identifier: GPL-2.0

//! Generated bindings: those of `kernel_ext`, and beside them what only tests need.

#![allow(
    clippy::all,
    clippy::undocumented_unsafe_blocks,
    improper_ctypes,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unreachable_pub,
    unsafe_op_in_unsafe_fn,
    unused_imports
)]

use kernel::ffi;
use kernel::prelude::{FromBytes, IntoBytes};
pub use kernel_ext::bindings::*;
use pin_init::MaybeZeroable;
use zerocopy_derive::Immutable;

include!(concat!(
    env!("SVA_RUST_OBJ"),
    "/test/bindings/bindings_generated.rs"
));

/// Inline functions of the kernel, through `helpers.c`.
mod helpers {
    use super::*;

    include!(concat!(
        env!("SVA_RUST_OBJ"),
        "/test/bindings/helpers_generated.rs"
    ));
}
pub use helpers::*;
