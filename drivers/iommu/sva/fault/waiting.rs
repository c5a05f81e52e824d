// SPDX-License-Identifier: GPL-2.0

//! A page request group that may have to wait: for I/O, for memory, or for what a process itself
//! does at a `userfaultfd`.
//!
//! A worker waits for it, and for no other. Nobody waits for the worker: whoever ends the bond
//! answers the group himself, and wakes the worker, which then has nothing of the process.

use super::{
    asked::Asker,
    refusal::{Reason, Refusal},
    service::FaultService,
    waits::{Leave, Place},
    GroupAttachment, //
};
use crate::{module_parameters, trace};
use kernel::{
    device::Device,
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
    fault::{FaultGroup, PageRequest, Response},
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
    since: Instant<Monotonic>,
    /// A worker serves it, or is about to. Set once, under the lock of [`Waits`].
    has_worker: AtomicFlag,
    /// How many pages are there that were not.
    served: Atomic<u32>,
    /// Until it is answered, which is done under the lock.
    #[pin]
    group: Mutex<Option<Unanswered>>,
    #[pin]
    early_end: EarlyEnd,
    links: Links,
    #[pin]
    work: Work<Self>,
}

/// What is to be answered.
struct Unanswered {
    asker: Asker,
    /// What has been refused so far.
    refusal: Option<Refusal>,
    /// Why it need not be waited for any more.
    ending: Option<Reason>,
}

impl_tree_item! {
    impl TreeItem<0> for Waiting { self.links, key: Place = |waiting| waiting.leave.place() }
}

impl_has_work! {
    impl HasWork<Self> for Waiting { self.work }
}

impl Waiting {
    /// Has `requests` of `group`, whose others were all served but for a `refusal`, served by a
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
        refusal: Option<Refusal>,
    ) {
        let service = attachment.handler();
        let late = requests.len();
        let first = requests.first().copied().unwrap_or_default();
        let refuse = |group: FaultGroup<'_, _>, reason| {
            let refusal = match refusal {
                Some(refusal) => refusal.and(late),
                None => Refusal::new(first, reason, late),
            };

            let stats = &service.activity().stats;

            stats.refused.add(late as u64);
            stats.waited.add(late as u64);
            service.tell(&group, &refusal);
            trace::page_response(&group, Response::Invalid);
            group.respond(Response::Invalid);
        };
        let Some(held) = devres::endpoint(group.device()).and_then(|endpoint| endpoint.hold())
        else {
            return refuse(group, Reason::Ending);
        };
        let waiting = match Self::new(attachment, mm, group.device(), requests) {
            Ok(waiting) => waiting,
            Err(e) => {
                let reason = Self::why_not(e);

                if reason == Reason::Quota {
                    service.waits.over_limit.add(1);
                }
                return refuse(group, reason);
            }
        };
        let group = match group.wait(held) {
            Ok(group) => group,
            Err(group) => return refuse(group, Reason::Ending),
        };

        waiting.set_asker(Asker::Device(group), refusal);
        test_point::pass(TestPoint::Waits);
        if waiting.service().waits.add(&waiting).is_err() {
            waiting.answer(Some(Reason::Ending));
        }
    }

    pub(super) fn new(
        attachment: ArcBorrow<'_, GroupAttachment>,
        mm: &Mm,
        device: &Device,
        requests: KVec<PageRequest>,
    ) -> Result<Arc<Self>> {
        let device = core::ptr::from_ref(device).addr();
        let waits = &attachment.handler().waits;
        let leave = waits.leave(mm.as_raw().addr(), device)?;
        Arc::pin_init(
            pin_init!(Self {
                attachment: attachment.into(),
                mm: mm.into(),
                leave,
                requests,
                since: Instant::now(),
                has_worker: AtomicFlag::new(false),
                served: Atomic::new(0),
                group <- new_mutex!(None, "sva_waiting_group"),
                early_end <- EarlyEnd::new(),
                links: Links::new(),
                work <- new_work!("sva_waiting"),
            }),
            GFP_KERNEL,
        )
    }

    /// Who is to be answered, and what has been refused already.
    pub(super) fn set_asker(&self, asker: Asker, refusal: Option<Refusal>) {
        *self.group.lock() = Some(Unanswered {
            asker,
            refusal,
            ending: None,
        });
    }

    /// Why [`Self::new`] failed.
    pub(super) fn why_not(e: Error) -> Reason {
        match e {
            e if e == EBUSY => Reason::Quota,
            _ => Reason::NoMemory,
        }
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

        group.as_ref().is_some_and(|there| there.asker.leaves())
    }

    /// Whether the group is one of `device`, and unanswered.
    pub(crate) fn is_of(&self, device: &Device) -> bool {
        let group = self.group.lock();

        group
            .as_ref()
            .is_some_and(|there| core::ptr::eq(there.asker.device(), device))
    }

    /// Whether it arrived at `attachment`.
    pub(crate) fn is_at(&self, attachment: &GroupAttachment) -> bool {
        core::ptr::eq(&*self.attachment, attachment)
    }

    /// Why it need not be waited for any longer, if so: its time is up, or the process has gone.
    pub(super) fn why_pointless(&self) -> Option<Reason> {
        if self.group.lock().is_none() {
            None
        } else if self.is_late() {
            Some(Reason::NeverCame)
        } else if self.leave.is_alone_with(&self.mm) {
            Some(Reason::ProcessGone)
        } else {
            None
        }
    }

    fn is_late(&self) -> bool {
        let limit = i64::from(module_parameters::wait_seconds.value()) * 1000;

        self.since.elapsed().as_millis() >= test_point::wait_ms(limit)
    }

    /// Answers it without what it waits for, unless it has been answered, and ends the wait.
    pub(super) fn give_up(&self, why: Reason) {
        // Before the worker is woken, which may be the one to answer.
        if let Some(there) = &mut *self.group.lock() {
            there.ending.get_or_insert(why);
        }
        self.early_end.end();
        self.answer(Some(why));
    }

    /// Serves the requests, as long as somebody waits for the answer.
    fn serve(&self) {
        let mut reason = Some(Reason::ProcessGone);

        self.leave.with_memory(&self.mm, |mm| {
            reason = None;
            for &request in &self.requests {
                let result = mm_fault::fault_in(mm, request.addr, request.access);

                if result == Err(EINTR) || !self.note(request, result) {
                    break;
                }
            }
        });
        if let (Some(reason), Some(there)) = (reason, &mut *self.group.lock()) {
            there.ending.get_or_insert(reason);
        }
    }

    /// Takes note of what became of a request; whether somebody waits for the answer still.
    fn note(&self, request: PageRequest, result: Result) -> bool {
        let mut group = self.group.lock();
        let Some(there) = &mut *group else {
            return false;
        };

        match result {
            Ok(()) => self.served.add(1, Relaxed),
            Err(e) => {
                there
                    .refusal
                    .get_or_insert(Refusal::new(request, Reason::of(e), 0));
            }
        }
        true
    }

    /// Answers, unless it has been done; perhaps without what it waits for, and `why`.
    fn answer(&self, why: Option<Reason>) {
        let mut group = self.group.lock();
        // Under the lock: whoever finds no group then knows that it has been answered.
        let Some(Unanswered {
            asker,
            refusal,
            ending,
        }) = group.take()
        else {
            return;
        };
        let service = self.service();
        let served = self.served.load(Relaxed) as usize;
        let missing = self.requests.len() - served;
        let ending = ending.or(why);
        let refusal = match refusal {
            Some(refusal) => Some(refusal.and(missing)),
            None if missing == 0 && ending.is_none() => None,
            None => {
                // Those before have been served.
                let first = self.requests.get(served).or(self.requests.last());
                let reason = ending.unwrap_or(Reason::Ending);

                first.map(|&first| Refusal::new(first, reason, missing))
            }
        };

        if asker.is_device() {
            let stats = &service.activity().stats;

            stats.refused.add(missing as u64);
            stats.waited.add(self.requests.len() as u64);
        }
        if ending == Some(Reason::NeverCame) {
            service.waits.timed_out.add(1);
        }
        asker.answer(service, refusal);
    }
}

impl WorkItem for Waiting {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        this.early_end.run(|| this.serve());
        this.answer(None);
        this.service().waits.done(&this);
    }
}
