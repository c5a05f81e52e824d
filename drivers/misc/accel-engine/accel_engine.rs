// SPDX-License-Identifier: GPL-2.0

//! What mock accelerators compute, in the memory of their users.
//!
//! A job is a descriptor in a process's memory. The device fetches it, works on the data that it
//! names, and writes a completion record, all by DMA. How a descriptor's address gets to the
//! device is up to the device's driver.
//!
//! | module | its one idea |
//! |---|---|
//! | [`uapi`] | what processes and the device exchange in memory |
//! | [`job`] | a descriptor as a checked value |
//! | [`bus`], [`dma`] | the memory of a process: as a trait, and by DMA |
//! | [`engine`] | carries out one job |

pub mod bus;
pub mod dma;
pub mod engine;
mod engine_tests;
pub mod job;
#[cfg(CONFIG_KUNIT)]
mod test_memory;
pub mod uapi;

// A library crate has no `module!`; the printing macros want this all the same.
const __LOG_PREFIX: &[u8] = b"mock_accel_engine\0";
