// SPDX-License-Identifier: GPL-2.0

//! A page request group that may have to wait: for I/O, for memory, or for what a process itself
//! does at a `userfaultfd`.
//!
//! A worker waits for it, and for no other. Nobody waits for the worker: whoever ends the bond
//! answers the group himself, and wakes the worker, which then has nothing of the process.

use super::{
    service::FaultService,
    waits::{Leave, Place},
    GroupAttachment, //
};
use crate::{module_parameters, trace};
use kernel::{
    mm::Mm,
    new_mutex,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{ordering::Relaxed, Atomic, AtomicFlag},
        Arc, ArcBorrow, Mutex,
    },
    time::{Instant, Monotonic},
    workqueue::{impl_has_work, new_work, Work, WorkItem},
};
use kernel_ext::{
    devres,
    endpoint::Held,
    fault::{FaultGroup, PageRequest, Requests, Response, WaitingGroup},
    mm_fault,
    test_point::{self, TestPoint},
    tree::{impl_tree_item, Links},
    wake::EarlyEnd,
};

/// A group that waits.
#[pin_data]
pub(crate) struct Waiting {
    /// Where the group arrived; it may be detached before the page comes.
    attachment: Arc<GroupAttachment>,
    mm: ARef<Mm>,
    leave: Leave,
    /// What is still to be served.
    requests: KVec<PageRequest>,
    /// Whether the others of the group have been served.
    complete: bool,
    since: Instant<Monotonic>,
    /// A worker serves it, or is about to. Set once, under the lock of [`Waits`].
    has_worker: AtomicFlag,
    /// How many pages are there that were not.
    served: Atomic<u32>,
    /// Until it is answered, which is done under the lock.
    #[pin]
    group: Mutex<Option<WaitingGroup>>,
    #[pin]
    early_end: EarlyEnd,
    links: Links,
    #[pin]
    work: Work<Self>,
}

impl_tree_item! {
    impl TreeItem<0> for Waiting { self.links, key: Place = |waiting| waiting.leave.place() }
}

impl_has_work! {
    impl HasWork<Self> for Waiting { self.work }
}

impl Waiting {
    /// Has `requests` of `group`, whose others were all served if it is `complete`, served by a
    /// worker. May sleep, for memory.
    ///
    /// Where it cannot wait the group is answered "invalid": too many do; or the device is not
    /// initialised for SVA, or is leaving, so that nobody would see to it that its group does not
    /// outlive it; or there is no memory.
    pub(super) fn start(
        attachment: ArcBorrow<'_, GroupAttachment>,
        mm: &Mm,
        group: FaultGroup<'_, FaultService>,
        requests: KVec<PageRequest>,
        complete: bool,
    ) {
        let stats = &attachment.handler().stats;
        let late = requests.len();
        let refuse = |group: FaultGroup<'_, _>| {
            stats.refused.add(late as u64);
            stats.waited.add(late as u64);
            trace::page_response(&group, Response::Invalid);
            group.respond(Response::Invalid);
        };
        let (waiting, held) = match Self::new(attachment, mm, &group, requests, complete) {
            Ok(new) => new,
            Err(e) => {
                if e == EBUSY {
                    attachment.handler().waits.over_limit.add(1);
                }
                return refuse(group);
            }
        };
        let group = match group.wait(held) {
            Ok(group) => group,
            Err(group) => return refuse(group),
        };

        *waiting.group.lock() = Some(group);
        test_point::pass(TestPoint::Waits);
        if waiting.service().waits.add(&waiting).is_err() {
            waiting.answer(Response::Invalid, 0, false);
        }
    }

    fn new(
        attachment: ArcBorrow<'_, GroupAttachment>,
        mm: &Mm,
        group: &Requests,
        requests: KVec<PageRequest>,
        complete: bool,
    ) -> Result<(Arc<Self>, Held)> {
        let held = devres::endpoint(group.device())
            .and_then(|endpoint| endpoint.hold())
            .ok_or(ENODEV)?;
        let device = core::ptr::from_ref(group.device()).addr();
        let waits = &attachment.handler().waits;
        let leave = waits.leave(mm.as_raw().addr(), device)?;
        let waiting = Arc::pin_init(
            pin_init!(Self {
                attachment: attachment.into(),
                mm: mm.into(),
                leave,
                requests,
                complete,
                since: Instant::now(),
                has_worker: AtomicFlag::new(false),
                served: Atomic::new(0),
                group <- new_mutex!(None, "sva_waiting_group"),
                early_end <- EarlyEnd::new(),
                links: Links::new(),
                work <- new_work!("sva_waiting"),
            }),
            GFP_KERNEL,
        )?;

        Ok((waiting, held))
    }

    pub(super) fn leave(&self) -> &Leave {
        &self.leave
    }

    pub(super) fn service(&self) -> &FaultService {
        self.attachment.handler()
    }

    pub(super) fn has_worker(&self) -> bool {
        self.has_worker.load(Relaxed)
    }

    pub(super) fn set_has_worker(&self) {
        self.has_worker.store(true, Relaxed);
    }

    /// Whether the device that asks is about to leave.
    pub(super) fn device_leaves(&self) -> bool {
        let group = self.group.lock();

        group.as_ref().is_some_and(|group| group.device_leaves())
    }

    /// Whether the group is one of `device`, and unanswered.
    pub(crate) fn is_of(&self, device: &kernel::device::Device) -> bool {
        let group = self.group.lock();

        group
            .as_ref()
            .is_some_and(|group| core::ptr::eq(group.device(), device))
    }

    /// Whether it arrived at `attachment`.
    pub(crate) fn is_at(&self, attachment: &GroupAttachment) -> bool {
        core::ptr::eq(&*self.attachment, attachment)
    }

    /// Whether it need not be waited for any longer: its time is up, or the process has gone.
    pub(super) fn is_pointless(&self) -> bool {
        if self.group.lock().is_none() {
            return false;
        }
        self.is_late() || self.leave.is_alone_with(&self.mm)
    }

    fn is_late(&self) -> bool {
        let limit = i64::from(module_parameters::wait_seconds.value()) * 1000;

        self.since.elapsed().as_millis() >= limit
    }

    /// Answers it without what it waits for, unless it has been answered, and ends the wait.
    pub(super) fn give_up(&self) {
        self.early_end.end();
        self.answer(Response::Invalid, self.served(), self.is_late());
    }

    /// Serves the requests, as long as somebody waits for the answer.
    fn serve(&self) {
        self.leave.with_memory(&self.mm, |mm| {
            for request in &self.requests {
                let result = mm_fault::fault_in(mm, request.addr, request.access);

                if result == Err(EINTR) || self.group.lock().is_none() {
                    break;
                }
                self.served.add(u32::from(result.is_ok()), Relaxed);
            }
        });
    }

    /// Answers, unless it has been done, perhaps since the time is up. Of the requests that waited
    /// so many were `served`.
    fn answer(&self, response: Response, served: usize, is_late: bool) {
        let mut group = self.group.lock();

        if let Some(group) = group.take() {
            let stats = &self.service().stats;

            stats.refused.add((self.requests.len() - served) as u64);
            stats.waited.add(self.requests.len() as u64);
            if is_late {
                self.service().waits.timed_out.add(1);
            }
            // Under the lock: whoever finds no group then knows that it has been answered.
            trace::page_response(&group, response);
            group.respond(response);
        }
    }

    fn served(&self) -> usize {
        self.served.load(Relaxed) as usize
    }

    fn response(&self) -> Response {
        if self.complete && self.served() == self.requests.len() {
            Response::Success
        } else {
            Response::Invalid
        }
    }
}

impl WorkItem for Waiting {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        this.early_end.run(|| this.serve());
        this.answer(this.response(), this.served(), false);
        this.service().waits.done(&this);
    }
}
