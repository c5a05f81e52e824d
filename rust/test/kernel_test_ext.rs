// SPDX-License-Identifier: GPL-2.0

//! What only tests need of the kernel, as safe abstractions, and what has the mock SMMU fail on
//! request.
//!
//! Nothing that drivers use depends on this crate. It is there with `CONFIG_KUNIT`, and with
//! `CONFIG_FAULT_INJECTION_DEBUG_FS`.

#[doc(hidden)]
pub mod bindings;
#[cfg(CONFIG_KUNIT)]
pub mod bound;
#[cfg(CONFIG_KUNIT)]
pub mod dma;
#[cfg(CONFIG_FAULT_INJECTION_DEBUG_FS)]
pub mod fault_attr;
#[cfg(CONFIG_KUNIT)]
pub mod gup;
#[cfg(CONFIG_KUNIT)]
pub mod in_tree;
#[cfg(CONFIG_KUNIT)]
pub mod interval;
#[cfg(CONFIG_KUNIT)]
pub mod mm;
#[cfg(CONFIG_KUNIT)]
mod pin_tests;
#[cfg(CONFIG_KUNIT)]
pub mod wait;

// A library crate has no `module!`; the printing macros want this all the same.
const __LOG_PREFIX: &[u8] = b"sva_kernel_test_ext\0";
