// SPDX-License-Identifier: GPL-2.0

//! Shared virtual addressing: a device uses the address space of a process.
//!
//! A driver initialises its device ([`Device::init`]) and binds processes to it
//! ([`Device::bind`]). The device then uses the process's own pointers, tagged with the PASID of
//! the [`Bond`], and what it touches is faulted in as if the process had.
//!
//! # Where things are
//!
//! | module | its one idea |
//! |---|---|
//! | `api`, `c_api` | the interfaces for drivers in Rust and in C |
//! | `device` | a device between init and shutdown, and its bonds by PASID |
//! | `bond`, `unbind` | how bonds begin and end |
//! | `owner`, `hook` | the driver's side of a bond, and when it is called |
//! | `group` | binding all members of an IOMMU group, or none |
//! | `address_space` | what one process has here, under one lock |
//! | `bond_list`, `attachments` | of that: its bonds; its attachments |
//! | `fault` | the page requests of one attachment: who serves them |
//! | `serve`, `deferred` | serving them: those that need not wait, and those that may |
//! | `read_ahead` | faulting in what a device is about to ask for |
//! | `pin` | memory that a device touches without page requests |
//! | `rid` | bonds without PASID |
//! | `reserved` | addresses that the process must not use |
//! | `exit` | what happens when a process exits |
//! | `core` | the address spaces by mm, and the list of devices |
//! | `features`, `stats` | flags; counts |
//! | `debugfs`, `trace` | files to read counts and bonds; events as they happen |
//!
//! # Words
//!
//! - *PASID*: the number that tells a device's accesses to one address space from others.
//! - *bond*: (device, address space), as long as the device may use the address space.
//! - *attachment*: (IOMMU group, PASID, domain); the group's bonds with one address space share it.
//! - *domain*: the kernel's `struct iommu_domain`, here one that walks a process's page tables.
//! - *page request group*: what a device asks for at once, and gets one response to.
//!
//! # Lock order
//!
//! Outermost first: address space → `mmap_lock` (watching for the exit) or device's state or the
//! IOMMU group's mutex (attach, detach). The pins of a bond, the shards of the address space map
//! and the device list are innermost. The fault path takes none of these. See
//! `Documentation/locking.rst`.

use kernel::{prelude::*, sync::Arc};

mod address_space;
mod api;
mod attachments;
mod bond;
mod bond_list;
mod c_api;
mod core;
mod debugfs;
mod deferred;
mod device;
mod exit;
mod fault;
mod features;
mod group;
mod hook;
mod owner;
mod pin;
mod read_ahead;
mod reserved;
mod rid;
mod serve;
mod stats;
mod trace;
mod unbind;

pub use api::{find, max_pasid, Bond, Device, End, Handler, Pinned};
pub use features::{Feature, Features};

use crate::{
    core::{Core, CORE},
    debugfs::{Debugfs, DeviceFiles},
};
use kernel_ext::{global::Installed, notifier};

module! {
    type: SvaCore,
    name: "sva_core",
    authors: ["The sva developers"],
    description: "Shared virtual addressing for device drivers",
    license: "GPL",
    params: {
        read_ahead: u32 {
            default: 64,
            description: "Most pages to fault in before a device asks for them; 0: none",
        },
    },
}

/// The module.
///
/// No driver is left that uses it when it goes: each holds a reference to the module.
#[pin_data(PinnedDrop)]
pub struct SvaCore {
    // Dropped in this order.
    #[pin]
    debugfs: Debugfs,
    core: Installed<Core>,
}

impl kernel::InPlaceModule for SvaCore {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        let root = Debugfs::root();
        let files = DeviceFiles::new(&root);

        try_pin_init!(Self {
            core: CORE.install(Arc::pin_init(Core::new(files), GFP_KERNEL)?)?,
            debugfs <- Debugfs::new(root),
        })
    }
}

#[pinned_drop]
impl PinnedDrop for SvaCore {
    fn drop(self: Pin<&mut Self>) {
        // Notifiers that were dropped still own references to the core.
        notifier::synchronize();
    }
}
