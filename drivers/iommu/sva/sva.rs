// SPDX-License-Identifier: GPL-2.0

//! Shared virtual addressing: binds processes to devices.

use kernel::prelude::*;

module! {
    type: SvaCore,
    name: "sva_core",
    authors: ["The sva developers"],
    description: "Shared virtual addressing for device drivers",
    license: "GPL",
}

/// The module.
pub struct SvaCore;

impl kernel::Module for SvaCore {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(SvaCore)
    }
}
