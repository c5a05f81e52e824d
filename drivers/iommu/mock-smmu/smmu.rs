// SPDX-License-Identifier: GPL-2.0

//! A mock SMMUv3: the model of the hardware ([`smmuv3`]), with a driver for it.
//!
//! - [`driver`]: the driver half
//! - [`instance`]: an SMMU made of both; [`device`]: a device behind it
//! - [`instances`]: all of them, made at run time, as are devices
//! - `bus`: who answers for the memory that the hardware half accesses

use kernel::prelude::*;

mod bus;
mod debugfs;
pub mod device;
pub mod driver;
pub mod instance;
pub mod instances;
mod module;
#[cfg(CONFIG_KUNIT)]
mod tests;

use smmuv3::{
    fmt,
    hw,
    inject,
    line,
    mmio,
    ports, //
};

pub use module::MockSmmu;

module! {
    type: MockSmmu,
    name: "mock_smmu",
    authors: ["The sva developers"],
    description: "Mock SMMUv3",
    license: "GPL",
    imports_ns: ["MOCK_SMMU"],
    params: {
        strict: bool {
            default: false,
            description: "smmu0 looks for stale translations at each use",
        },
        sleep_after: u32 {
            default: 8,
            description: "flushes of a process without a page request until an idle bond sleeps, 0: never",
        },
        walk_cache: bool {
            default: false,
            description: "smmu0 caches tables, and forgets no more than it is told to",
        },
    },
}
kernel_ext::module_version!();
