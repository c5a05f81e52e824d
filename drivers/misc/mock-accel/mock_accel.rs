// SPDX-License-Identifier: GPL-2.0

//! A mock accelerator.

use kernel::prelude::*;

mod bus;
mod engine;
mod engine_tests;
mod job;
mod uapi;

module! {
    type: MockAccel,
    name: "mock_accel",
    authors: ["The sva developers"],
    description: "A mock accelerator that shares its users' address spaces",
    license: "GPL",
}

/// x
pub struct MockAccel;

impl kernel::Module for MockAccel {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(MockAccel)
    }
}
