// SPDX-License-Identifier: GPL-2.0

//! A mock SMMUv3: a model of the hardware, and a driver for it.
//!
//! - [`fmt`](mod@fmt): registers, tables and queue entries as the architecture defines them
//! - [`mmio`]: the register file; `bus`: the way to memory
//! - [`line`](mod@line): interrupt lines
//! - [`hw`]: the hardware half
//! - [`driver`]: the driver half
//! - [`instance`]: an SMMU made of both; [`device`]: a device behind it
//! - [`instances`]: all of them; `configfs`: making them, and devices, at run time
//! - [`inject`]: faults on request
//! - [`api`], and `include/linux/mock_smmu.h`: what the drivers of such devices need
//!
//! # Glossary
//!
//! | term | meaning |
//! |---|---|
//! | SID, StreamID | names a requester (a device) |
//! | SSID, SubstreamID, PASID | names an address space of a requester |
//! | STE | stream table entry: how a StreamID is treated |
//! | CD | context descriptor: the address space behind a SubstreamID |
//! | ASID | tags the translations of an address space in the TLB |
//! | ATS, ATC | a device's own translation requests, and the cache it keeps them in |
//! | PRI | page requests: a device asks for missing pages, in groups that are answered as one |

use kernel::prelude::*;

pub mod api;
mod bus;
mod c_api;
mod configfs;
mod debugfs;
pub mod device;
pub mod driver;
pub mod fmt;
pub mod hw;
pub mod inject;
pub mod instance;
pub mod instances;
pub mod line;
pub mod mmio;
mod module;
#[cfg(CONFIG_KUNIT)]
mod tests;

pub use module::MockSmmu;

module! {
    type: MockSmmu,
    name: "mock_smmu",
    authors: ["The sva developers"],
    description: "Mock SMMUv3",
    license: "GPL",
    params: {
        strict: bool {
            default: false,
            description: "smmu0 looks for stale translations at each use",
        },
        walk_cache: bool {
            default: false,
            description: "smmu0 caches tables, and forgets no more than it is told to",
        },
    },
}
