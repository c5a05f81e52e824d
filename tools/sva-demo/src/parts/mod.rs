// SPDX-License-Identifier: GPL-2.0

//! The parts of the demo. Each tells what it has verified.

pub mod beside;
pub mod copy;
pub mod file;
pub mod fork;
pub mod isolation;
pub mod kill;
pub mod list;
pub mod refused;
