// SPDX-License-Identifier: GPL-2.0

//! What happens when a process exits (S7, S8, S9).
//!
//! The IOMMU driver has a notifier of its own: translations end there, whatever we do. Ours exists
//! only where a driver wants to know, or has pinned memory. It just queues one work item: nothing
//! waits inside a notifier, which may itself run in a page request's worker. The work calls the
//! handler of each bond, without locks, and then ends the bond. A bond without handler just loses
//! its pins.

use crate::{
    address_space::AddressSpace,
    bond::Bond,
    core::Core,
    owner::{AnyOwner, Hook},
};
use kernel::{
    mm::MmWithUser,
    prelude::*,
    sync::Arc,
    workqueue::{impl_has_work, new_work, Work, WorkItem},
};
use kernel_ext::notifier::{Callbacks, MmNotifier};

/// Sees the exit of a process. Dropping it neither sleeps nor waits.
pub(crate) struct ExitWatch(#[expect(dead_code)] MmNotifier<Released>);

/// Owned by the notifier.
struct Released {
    work: Arc<ExitWork>,
}

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

        Ok(Self(MmNotifier::register(mm, Released { work })?))
    }
}

#[vtable]
impl Callbacks for Released {
    fn release(&self) {
        // A process exits once, so the work is not queued yet.
        let _ = self.work.core.queue.enqueue(self.work.clone());
    }
}

impl WorkItem for ExitWork {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        while let Some((bond, owner)) = next_bond(&this.space) {
            bond.exit(owner);
        }
        while let Some(bond) = next_pinned(&this.space) {
            bond.pins.release();
        }
    }
}

/// Picks a bond whose driver wants to know, and marks that its hook runs.
fn next_bond(space: &AddressSpace) -> Option<(Arc<Bond>, AnyOwner)> {
    let mut inner = space.lock()?;

    loop {
        let bond = inner.bonds.iter().find(|bond| bond.is_hook_due(&inner))?;
        let bond: Arc<Bond> = bond.into();

        // Of a driver in C, the handler may have been unregistered meanwhile.
        if let Some(owner) = bond.begin_hook(&mut inner, |hook| hook != Hook::None) {
            return Some((bond, owner));
        }
    }
}

/// Picks a bond that has pins. None are added any more.
fn next_pinned(space: &AddressSpace) -> Option<Arc<Bond>> {
    let inner = space.lock()?;
    let pinned = inner.bonds.iter().find(|bond| bond.pins.pages() > 0);

    pinned.map(Arc::from)
}
