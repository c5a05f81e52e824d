// SPDX-License-Identifier: GPL-2.0

//! Page request groups that may have to wait: for I/O, for memory, or for what a process itself
//! does at a `userfaultfd`.
//!
//! Each has a worker, and none waits for another. Nor does an unbind wait for one: a page may take
//! forever to come. It answers the group itself, and the worker finds nothing left to answer.

use crate::{
    attachments::GroupAttachment,
    fault::{self, FaultService, Faults},
};
use kernel::{
    device::Device,
    mm::{Mm, MmWithUser},
    new_mutex, new_spinlock,
    prelude::*,
    sync::{aref::ARef, Arc, ArcBorrow, Mutex, SpinLock},
    workqueue::{impl_has_work, new_work, Work, WorkItem},
};
use kernel_ext::{
    fault::{FaultGroup, PageRequest, Response},
    group::Endpoint,
    mm_fault,
    tree::{impl_tree_item, Links, Tree, TreeItem as _},
};

/// The groups of one attachment that wait.
#[pin_data]
pub(crate) struct DeferredGroups {
    #[pin]
    list: SpinLock<Tree<Deferred>>,
}

/// A group that waits.
#[pin_data]
pub(crate) struct Deferred {
    /// Where the group arrived; it may be detached before the page comes.
    attachment: Arc<GroupAttachment>,
    /// The address of the device that asks, which may be gone: only compared.
    device: usize,
    mm: ARef<Mm>,
    /// What is still to be served.
    requests: KVec<PageRequest>,
    /// Whether the others of the group have been served.
    complete: bool,
    #[pin]
    state: Mutex<State>,
    /// Among those that wait.
    links: Links,
    #[pin]
    work: Work<Self>,
}

impl_tree_item! {
    impl TreeItem<0> for Deferred {
        self.links, key: usize = |deferred| core::ptr::from_ref(deferred).addr()
    }
}

struct State {
    /// Until it is answered, which is done under the lock.
    group: Option<FaultGroup<FaultService>>,
    served: u64,
}

fn address_of(device: &Device) -> usize {
    core::ptr::from_ref(device).addr()
}

impl_has_work! {
    impl HasWork<Self> for Deferred { self.work }
}

impl DeferredGroups {
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            list <- new_spinlock!(Tree::new(), "sva_deferred_groups"),
        })
    }

    /// Answers the groups that wait, or those of one device, without what they wait for.
    pub(crate) fn abandon(&self, only: Option<&Endpoint>) {
        let only = only.map(|endpoint| address_of(endpoint.dev()));

        while let Some(deferred) = self.take(|there| only.is_none_or(|only| there.device == only)) {
            deferred.answer(Response::Invalid);
        }
    }

    /// Takes one off the list that is `wanted`.
    fn take(&self, wanted: impl Fn(&Deferred) -> bool) -> Option<Arc<Deferred>> {
        let mut list = self.list.lock();
        let key = list.iter().find(|there| wanted(there))?.key();

        list.remove(&key)
    }

    fn remove(&self, deferred: &Deferred) {
        let removed = self.list.lock().remove(&deferred.key());

        drop(removed);
    }
}

impl Deferred {
    /// Has a worker serve `requests` of `group`, whose others were all served if it is `complete`.
    /// May sleep, for memory.
    ///
    /// # Errors
    ///
    /// `ENOMEM`: the group has been answered, and served no further.
    pub(crate) fn start(
        attachment: ArcBorrow<'_, GroupAttachment>,
        mm: ARef<Mm>,
        group: FaultGroup<FaultService>,
        requests: KVec<PageRequest>,
        complete: bool,
    ) -> Result {
        let device = address_of(group.device());
        // A group that is dropped is answered.
        let deferred = Arc::pin_init(
            pin_init!(Self {
                attachment: attachment.into(),
                device,
                mm,
                requests,
                complete,
                state <- new_mutex!(State { group: Some(group), served: 0 }, "sva_deferred_group"),
                links: Links::new(),
                work <- new_work!("sva_deferred"),
            }),
            GFP_KERNEL,
        )?;

        let faults = attachment.handler().faults();
        // It is new, so it is neither listed nor queued yet.
        let listed = faults.deferred.list.lock().insert(deferred.clone());

        debug_assert!(listed.is_ok());
        let _ = faults.core.waiters.enqueue(deferred);
        Ok(())
    }

    fn faults(&self) -> &Faults {
        self.attachment.handler().faults()
    }

    /// Serves the requests, as long as somebody waits for the answer.
    fn serve(&self) {
        let Some(mm) = self.mm.mmget_not_zero() else {
            return;
        };
        // Were this the last reference, its exit would run right here.
        let mm = MmWithUser::into_mmput_async(mm);

        for request in &self.requests {
            let result = mm_fault::fault_in(&mm, request.addr, request.access);
            let mut state = self.state.lock();

            if state.group.is_none() {
                return;
            }
            state.served += u64::from(result.is_ok());
        }
    }

    /// Answers, unless it has been done.
    fn answer(&self, response: Response) {
        let mut state = self.state.lock();

        if let Some(group) = state.group.take() {
            let stats = &self.faults().stats;

            stats.served.add(state.served);
            stats.refused.add(self.requests.len() as u64 - state.served);
            // Under the lock: whoever finds no group then knows that it has been answered.
            fault::answer(group, response);
        }
    }

    fn response(&self) -> Response {
        let served = self.state.lock().served;

        if self.complete && served == self.requests.len() as u64 {
            Response::Success
        } else {
            Response::Invalid
        }
    }
}

impl WorkItem for Deferred {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        this.serve();
        this.answer(this.response());
        this.faults().deferred.remove(&this);
    }
}
