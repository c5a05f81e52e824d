// SPDX-License-Identifier: GPL-2.0

//! A model of an SMMUv3, and of the devices' side of it: what hardware is and does.
//!
//! It knows no driver. Who makes an SMMU gives it registers and lines, and programs it as hardware
//! is programmed: `mock_smmu.ko` with a driver of its own, `soft_smmu.ko` with the kernel's.
//!
//! - [`fmt`](mod@fmt): registers, tables and queue entries as the architecture defines them
//! - [`mmio`]: the register file; `bus`: the way to memory
//! - [`line`](mod@line): interrupt lines
//! - [`hw`]: the hardware itself
//! - [`inject`]: faults on request
//! - [`ports`]: where the ports of devices are found
//! - [`requester`]: the ports of devices on buses that others model
//! - [`device`]: what a device is like that is plugged in at run time; [`host`]: who does that;
//!   `configfs`: how users have it done
//! - [`api`], and `include/linux/mock_smmu.h`: what the drivers of such devices need
//! - [`debugfs`](mod@debugfs): what the hardware holds, to be looked at
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
use kernel_ext::global::Installed;

pub mod api;
mod bus;
mod c_api;
pub mod configfs;
pub mod debugfs;
pub mod device;
pub mod fmt;
pub mod host;
pub mod hw;
pub mod inject;
pub mod line;
pub mod mmio;
pub mod ports;
pub mod requester;

use ports::{
    Ports,
    PORTS, //
};

module! {
    type: SmmuHw,
    name: "smmu_hw",
    authors: ["The sva developers"],
    description: "Model of an SMMUv3",
    license: "GPL",
}

/// The module's data.
struct SmmuHw {
    _configfs: configfs::Tree,
    _host: host::Place,
    _ports: Installed<Ports>,
}

impl kernel::Module for SmmuHw {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let (ports, host) = (PORTS.install(Ports::new()?)?, host::Place::new()?);

        Ok(Self {
            _ports: ports,
            _host: host,
            // Last: users may make directories at once, and nothing would wait for them on failure.
            _configfs: configfs::Tree::new()?,
        })
    }
}
