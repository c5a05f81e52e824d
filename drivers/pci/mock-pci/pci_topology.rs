// SPDX-License-Identifier: GPL-2.0

//! Mock PCI: host bridges with ports, switches and endpoints that come and go, behind mock SMMUs.
//!
//! The kernel finds, numbers, binds and removes them as any others; its own rules say which of them
//! share an IOMMU group, and which may send PASIDs.
//!
//! | module | its one idea |
//! |---|---|
//! | [`config_space`] | registers, of which software can change some bits |
//! | [`image`] | what the registers of a kind of function are at first |
//! | [`slots`] | which functions there are, and where; the kernel's accesses to their registers |
//! | [`path`] | what the registers on a function's way to the SMMU allow it |
//! | [`hierarchy`] | host bridges and functions, as who plugs them in has them |
//! | [`configfs`] | that for users; [`c_api`]: for drivers in C |
//!
//! # Locks, outermost first
//!
//! configfs's own; a directory's state; [`hierarchy`]'s of the host; the kernel's for rescan and
//! removal; [`slots`]' list of connections. Registers have none: the
//! kernel accesses them with interrupts off and a raw spinlock held.

use kernel::prelude::*;

mod c_api;
mod config_space;
mod configfs;
mod hierarchy;
mod image;
mod path;
mod slots;

module! {
    type: MockPci,
    name: "mock_pci",
    authors: ["The sva developers"],
    description: "Mock PCI host bridges",
    license: "GPL",
}

/// The module's data.
pub struct MockPci {
    _configfs: configfs::Tree,
}

impl kernel::Module for MockPci {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self {
            _configfs: configfs::Tree::new()?,
        })
    }
}
