// SPDX-License-Identifier: GPL-2.0

//! Safe abstractions that the `kernel` crate lacks and shared virtual addressing needs.
//!
//! All `unsafe` code for the kernel's C interfaces lives in this crate; the drivers built on it
//! have none, save where they offer a C interface themselves.

pub mod bindings;
pub mod phys;

// A library crate has no `module!`; the printing macros and `#[vtable]` want these all the same.
const __LOG_PREFIX: &[u8] = b"sva_kernel_ext\0";
