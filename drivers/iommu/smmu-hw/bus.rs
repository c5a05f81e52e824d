// SPDX-License-Identifier: GPL-2.0

//! The hardware's way to memory.

use kernel_ext::phys::BusMaster;

/// Reads and writes memory for the hardware, and for tests that look at what it does.
// SAFETY: The hardware goes where it is programmed to go, and whoever makes one hands over a
// `BusMaster`, so has promised to answer for that. Tests make hardware that they program themselves,
// with tables in memory of their own, or with those of processes that wait for it.
//
// A translation is used under the engine's lock, under which the command completes that retires
// it: so no window outlives what is behind it.
pub(crate) const BUS: BusMaster = unsafe { BusMaster::new() };
