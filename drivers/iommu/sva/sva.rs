// SPDX-License-Identifier: GPL-2.0

//! Shared virtual addressing: a device uses the address space of a process.
//!
//! A driver initialises its device ([`Device::init`]) and binds processes to it
//! ([`Device::bind`]). The device then uses the process's own pointers, tagged with the PASID of
//! the [`Bond`], and what it touches is faulted in as if the process had.
//!
//! # Where things are
//!
//! No folder imports from one above it.
//!
//! | module | its one idea |
//! |---|---|
//! | `api`, `c_api`, `debugfs` | the faces: drivers in Rust, drivers in C, people |
//! | `bond` | a device may use the address space of a process |
//! | `bond/life` | the states of a bond, and all that leads from one to another; what ends it: `life/end` |
//! | `bond/space` | what one process has here, under one lock |
//! | `bond/device` | a device between init and shutdown |
//! | `bond/group`, `members`, `join` | the bond of an IOMMU group; binding all members, or none; those who come later |
//! | `bond/attach`, `rid` | how a bond is attached, with PASID and without |
//! | `bond/owner` | the driver's side of a bond, and when it is called |
//! | `bond/owed` | unbinds that may come late |
//! | `bond/copy` | the memory of a bond's process, for the driver |
//! | `bond/exit`, `exit_calls` | what happens when a process exits; the calls of drivers for that |
//! | `bond/pin`, `reserved` | memory that a device needs no page requests for; that none may use |
//! | `bond/range`, `mapped` | memory for a device, whatever that can; for one without page tables |
//! | `bond/core`, `why` | the address spaces by mm, the devices; reasons for people |
//! | `fault` | page requests |
//! | `fault/service`, `serve` | of one attachment; those that need not wait |
//! | `fault/waiting`, `waits` | one group that waits; all of them, and their bounds |
//! | `fault/read_ahead`, `stats`, `activity` | faulting in what a device is about to ask for; counts; both of one attachment |
//! | `fault/refusal`, `hearers` | why a request is refused; who is told |
//! | `features`, `trace` | flags; events as they happen |
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
//! Outermost first: address space → `mmap_lock` (watching for the exit), device's state, or the
//! attachment and then the IOMMU group's mutex (attach, detach). The pins of a bond, the shards of
//! the address space map and the device list are innermost. The fault path takes none of these.
//! See `Documentation/locking.rst`.

use kernel::{prelude::*, sync::Arc};

mod api;
mod bond;
mod c_api;
mod debugfs;
mod fault;
mod features;
mod trace;

pub use api::{find, max_pasid, Bond, Device, End, Handler, Pinned, Range, Refused, Why};
pub use fault::refusal::{Reason, Refusal};
pub use features::{Feature, Features, Mode};
pub use kernel_ext::fault::{Access, AccessKind};

use crate::{
    bond::core::{Core, CORE},
    debugfs::{Debugfs, DeviceFiles},
};
use kernel_ext::{
    departure::Watch,
    global::Installed,
    pasid::{Pool, POOL},
    thread::KThread,
};

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
        wait_limit_process: u32 {
            default: 256,
            description: "Most page request groups of one process that may wait for their pages",
        },
        wait_limit_device: u32 {
            default: 1024,
            description: "Most page request groups of one device that may wait for their pages",
        },
        wait_seconds: u32 {
            default: 60,
            description: "How long a page request group may wait for its pages, in seconds",
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
    /// Sees to it that no device leaves its group with what is attached to that.
    _departures: Watch<Core>,
    /// Looks after page requests that wait.
    waits: KThread,
    core: Installed<Core>,
    /// After all bonds.
    _pasids: Installed<Pool>,
}

impl kernel::InPlaceModule for SvaCore {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        let root = Debugfs::root();
        let files = DeviceFiles::new(&root);

        try_pin_init!(Self {
            _pasids: POOL.install(Arc::pin_init(Pool::new(), GFP_KERNEL)?)?,
            core: CORE.install(Arc::pin_init(
                Core::new(KBox::new(files, GFP_KERNEL)?, c_api::CALLS),
                GFP_KERNEL,
            )?)?,
            _departures: Watch::new(core)?,
            debugfs <- Debugfs::new(root),
            // Last: only `close()` has it end at once.
            waits: core.waits.watch()?,
        })
    }
}

#[pinned_drop]
impl PinnedDrop for SvaCore {
    fn drop(self: Pin<&mut Self>) {
        self.core.close();
    }
}
