// SPDX-License-Identifier: GPL-2.0

//! The hardware's way to memory: the one place where this module answers for what it accesses.

use kernel_ext::phys::BusMaster;

/// Reads and writes memory for the hardware.
///
/// The kernel's driver for SMMUv3 programs it as it does a real one, which it may rely on to access
/// nothing else, and nothing that it was told to forget:
///
/// - Tables and queues are memory that the driver keeps until the hardware is off, or until the
///   commands have completed by which the hardware forgets them.
/// - Page tables are those of processes and of the DMA API, which the driver keeps from being freed
///   until then.
/// - Pages are theirs, and are invalidated, with a wait for that, before they are somebody else's.
// SAFETY: As just said. Nobody but that driver writes to the registers: firmware says so.
pub(crate) const BUS: BusMaster = unsafe { BusMaster::new() };
