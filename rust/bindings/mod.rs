// SPDX-License-Identifier: GPL-2.0

//! Generated bindings: the kernel's own, and beside them our headers and inline helpers.

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

pub use kernel::bindings::*;
use kernel::ffi;
use kernel::prelude::{FromBytes, IntoBytes};
use pin_init::MaybeZeroable;
use zerocopy_derive::Immutable;

include!(concat!(
    env!("SVA_RUST_OBJ"),
    "/bindings/bindings_generated.rs"
));

/// Inline functions of the kernel, through `helpers.c`.
mod helpers {
    use super::*;

    include!(concat!(
        env!("SVA_RUST_OBJ"),
        "/bindings/helpers_generated.rs"
    ));
}
pub use helpers::*;
