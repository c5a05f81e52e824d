// SPDX-License-Identifier: GPL-2.0

//! What happens when a process exits (S7, S8, S9).
//!
//! The IOMMU driver has a notifier of its own: translations end there, whatever we do. Ours exists
//! only where a driver wants to know, or has pinned memory. It just queues one work item: nothing
//! waits inside a notifier, which may itself run in a page request's worker. The work releases what
//! is pinned, waits until the process's memory is gone, so that no handler keeps it from others, calls
//! the handler of each bond, without locks, and then ends the bond. A bond without handler just loses
//! its pins.

use super::{core::Core, life::Stopping, owner::End, space::AddressSpace, Bond};
use kernel::{
    mm::MmWithUser,
    prelude::*,
    sync::Arc,
    time::{delay::fsleep, Delta},
    workqueue::{impl_has_work, new_work, Work, WorkItem},
};
use kernel_ext::exit_notifier::{self, ExitNotifier, OnExit};

/// Sees the exit of a process.
pub(crate) struct ExitWatch(#[expect(dead_code)] Pin<KBox<ExitNotifier<Told>>>);

/// Owned by the notifier.
struct Told(Arc<ExitWork>);

/// Deals with the exit of one process.
#[pin_data]
struct ExitWork {
    core: Arc<Core>,
    space: Arc<AddressSpace>,
    #[pin]
    work: Work<Self>,
}

impl_has_work! {
    impl HasWork<Self> for ExitWork { self.work }
}

impl ExitWatch {
    /// Watches the process behind `space`. May sleep; takes `mmap_lock`.
    pub(crate) fn new(
        core: &Arc<Core>,
        space: &Arc<AddressSpace>,
        mm: &MmWithUser,
    ) -> Result<Self> {
        let work = Arc::pin_init(
            pin_init!(ExitWork {
                core: core.clone(),
                space: space.clone(),
                work <- new_work!("sva_exit"),
            }),
            GFP_KERNEL,
        )?;

        Ok(Self(ExitNotifier::new(mm, Told(work))?))
    }
}

impl OnExit for Told {
    fn exits(&self) {
        // A process exits once, so the work is not queued yet.
        let _ = self.0.core.exits.enqueue(self.0.clone());
    }
}

impl WorkItem for ExitWork {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        // No handler is to keep this memory from others, and what is mapped is out of the device's
        // reach before its driver is called, as is what it reaches by the process's page tables.
        while let Some(bond) = next_pinned(&this.space) {
            bond.pins.release();
        }
        while !exit_notifier::is_empty(this.space.mm()) {
            fsleep(Delta::from_micros(200));
        }
        while let Some((bond, stopping)) = next_bond(&this.space) {
            bond.exit(stopping);
        }
    }
}

/// Picks a bond whose driver wants to know, and marks that it is being called.
fn next_bond(space: &AddressSpace) -> Option<(Arc<Bond>, Stopping)> {
    let mut inner = space.lock()?;

    loop {
        let due = inner.bonds.iter().find(|bond| bond.is_exit_due(&inner));
        let bond: Arc<Bond> = due?.into();

        // Of a driver in C, the handler may have been unregistered meanwhile.
        if let Some(stopping) = bond.begin_stop(&mut inner, End::Exit) {
            return Some((bond, stopping));
        }
    }
}

/// Picks a bond that has pins. None are added any more.
fn next_pinned(space: &AddressSpace) -> Option<Arc<Bond>> {
    let inner = space.lock()?;
    let pinned = inner.bonds.iter().find(|bond| bond.pins.pages() > 0);

    pinned.map(Arc::from)
}
