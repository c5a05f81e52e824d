// SPDX-License-Identifier: GPL-2.0

//! The right of our SMMU to access memory.

use kernel_ext::phys::BusMaster;

/// Goes to whatever address a case has.
// SAFETY: All tables of a case lie in the arena, which outlives the SMMU, and a case is only made
// if the reference finds that all it reads and writes is in the arena, or is no memory at all
// (`generate`). The guest in which cases are compared has nothing else to do.
pub(crate) const BUS: BusMaster = unsafe { BusMaster::new() };
