// SPDX-License-Identifier: GPL-2.0

//! The hardware's way to memory: the one place where this module answers for what it accesses.

use kernel_ext::phys::BusMaster;

/// Reads and writes memory for the hardware half, and for tests that look at what it does.
///
/// As a real SMMU does, it goes where software has told it to:
///
/// - The driver half, which alone writes the registers, puts its own tables and queues there. It
///   keeps them until the hardware is off, or until the commands have completed by which the
///   hardware forgets them.
/// - It points context descriptors at the page tables of processes and of paging domains, and keeps
///   both from being freed until the hardware has forgotten them: by a notifier of the address
///   space, or since the domain is detached before it is freed. Only flags of their entries that are
///   meant for hardware are written.
/// - Page tables have pages that processes own, or that drivers have mapped. Whoever takes one back
///   invalidates its translation first, and waits for that.
// SAFETY: As just said, and nobody outside of this crate gets the registers of an instance.
pub(crate) const BUS: BusMaster = unsafe { BusMaster::new() };
