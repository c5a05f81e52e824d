// SPDX-License-Identifier: GPL-2.0

//! Serving page requests.
//!
//! Most need nothing but memory, and are served at once, in the thread that reports them, under the
//! lock of the one mapping concerned. What may have to wait goes to a worker, so that no process
//! waits for another's slow page: files, swap, `userfaultfd`, mappings that are just being changed,
//! and everything while memory is short.
//!
//! For a device that goes through memory in order, pages are faulted in ahead: see `read_ahead`.

use crate::{
    address_space::{AddressSpace, Inner},
    attachments::GroupAttachment,
    core::Core,
    deferred::{Deferred, DeferredGroups},
    features::{Feature, Features},
    module_parameters,
    read_ahead::{Step, Streams},
    stats::FaultStats,
    trace,
};
use ::core::ops::Range;
use kernel::{
    mm::{Mm, MmWithUser},
    page::PAGE_SHIFT,
    prelude::*,
    sync::{aref::ARef, Arc, ArcBorrow, LockedBy},
};
use kernel_ext::{
    attachment::FaultHandler,
    fault::{Access, FaultGroup, PageRequest, Response},
    group::Endpoint,
    mm_fault::{self, LockedVma, PageState},
};

/// How many requests are sorted and served together.
const BATCH: usize = 64;

/// Nothing is read ahead unless so many pages are free beside.
const SPARE: u64 = 1024;

/// Serves the page requests of one attachment.
#[pin_data]
pub(crate) struct FaultService {
    /// Whether the bonds have `IOPF`; else all that the device touches is pinned.
    pub(crate) serves: bool,
    /// The last device that had been initialised when this was made. Those that came later may have
    /// come into the group after the attach, which reached its members then.
    pub(crate) newest: u64,
    /// How many bonds use the attachment.
    users: LockedBy<usize, Inner>,
    /// The attachment that this one took over from, whose page requests are counted there.
    former: Option<Arc<GroupAttachment>>,
    #[pin]
    faults: Faults,
}

/// What is known of the page requests of one attachment, and of that which takes over from it.
///
/// Nothing of it is shared with another: page requests of different attachments do not meet.
#[pin_data]
pub(crate) struct Faults {
    pub(crate) core: Arc<Core>,
    pub(crate) stats: FaultStats,
    pub(crate) streams: Streams,
    #[pin]
    pub(crate) deferred: DeferredGroups,
}

impl Faults {
    fn new(core: &Arc<Core>, read_ahead: u32) -> impl PinInit<Self> + '_ {
        pin_init!(Self {
            core: core.clone(),
            stats: FaultStats::default(),
            streams: Streams::new(read_ahead),
            deferred <- DeferredGroups::new(),
        })
    }

    /// Answers the groups that wait in workers, or those of one device, since they come too late.
    ///
    /// No new ones may be reported. May sleep; does not wait for pages.
    pub(crate) fn abandon(&self, only: Option<&Endpoint>) {
        self.deferred.abandon(only);
    }
}

/// What became of one request.
enum Outcome {
    /// The page is there now.
    Served,
    /// The page was there.
    Ready,
    /// The process may not do that either, or there is no memory.
    Refused,
    /// It may have to wait.
    Deferred,
}

/// What has become of the requests of a group so far.
#[derive(Default)]
struct Progress {
    served: u64,
    ready: u64,
    refused: u64,
    deferred: KVec<PageRequest>,
}

impl FaultHandler for FaultService {
    fn report(attachment: ArcBorrow<'_, GroupAttachment>, mm: &Mm, mut group: FaultGroup<Self>) {
        trace::page_requests(&mut group);

        let asked = group.len() as u64;
        let service = attachment.handler();
        let faults = service.faults();
        let stats = &faults.stats;

        stats.groups.add(1);
        stats.requests.add(asked);

        let user = match service.serves {
            true => mm.mmget_not_zero(),
            // All that the device may touch is pinned (S7).
            false => None,
        };
        let Some(user) = user else {
            // Or the process is gone; its page tables are being torn down.
            stats.refused.add(asked);
            answer(group, Response::Invalid);
            return;
        };
        // Were this the last reference, its exit would run right here, and want this thread to
        // get on.
        let user = MmWithUser::into_mmput_async(user);
        let progress = faults.serve(&user, &group);

        if progress.served > 0 {
            stats.served.add(progress.served);
        }
        if progress.ready > 0 {
            stats.ready.add(progress.ready);
        }
        if progress.refused > 0 {
            stats.refused.add(progress.refused);
        }
        if progress.deferred.is_empty() {
            answer(group, progress.response());
            return;
        }

        let late = progress.deferred.len() as u64;
        let complete = progress.refused == 0;

        stats.deferred.add(late);
        if Deferred::start(
            attachment,
            ARef::from(mm),
            group,
            progress.deferred,
            complete,
        )
        .is_err()
        {
            stats.refused.add(late);
        }
    }

    fn detached(&self) {
        self.faults().abandon(None);
    }
}

/// Answers a group.
pub(crate) fn answer(group: FaultGroup<FaultService>, response: Response) {
    trace::page_response(&group, response);
    group.respond(response);
}

impl FaultService {
    /// The service for an attachment of bonds with `flags` in `space`, made when `newest` was the
    /// last device.
    pub(crate) fn new<'a>(
        core: &'a Arc<Core>,
        space: &'a AddressSpace,
        flags: Features,
        newest: u64,
    ) -> impl PinInit<Self> + 'a {
        let read_ahead = match flags.contains(Feature::NoReadAhead) {
            true => 0,
            false => module_parameters::read_ahead.value(),
        };

        pin_init!(Self {
            serves: Self::serves(flags),
            newest,
            users: space.locked_by(0),
            former: None,
            faults <- Faults::new(core, read_ahead),
        })
    }

    /// The service for an attachment that takes over from `former` and its `users`.
    pub(crate) fn successor<'a>(
        former: &'a Arc<GroupAttachment>,
        space: &'a AddressSpace,
        users: usize,
        newest: u64,
    ) -> impl PinInit<Self> + 'a {
        let core = &former.handler().faults.core;

        pin_init!(Self {
            serves: former.handler().serves,
            newest,
            users: space.locked_by(users),
            former: Some(former.clone()),
            faults <- Faults::new(core, 0),
        })
    }

    /// How many bonds use the attachment.
    pub(crate) fn users<'a>(&'a self, inner: &'a mut Inner) -> &'a mut usize {
        self.users.access_mut(inner)
    }

    /// Whether bonds with `flags` have page requests served.
    pub(crate) fn serves(flags: Features) -> bool {
        flags.contains(Feature::Iopf)
    }

    /// What is known of the page requests.
    pub(crate) fn faults(&self) -> &Faults {
        match &self.former {
            None => &self.faults,
            Some(former) => former.handler().faults(),
        }
    }
}

impl Progress {
    fn note(&mut self, request: PageRequest, outcome: Outcome) {
        match outcome {
            Outcome::Served => self.served += 1,
            Outcome::Ready => {
                self.served += 1;
                self.ready += 1;
            }
            Outcome::Refused => self.refused += 1,
            Outcome::Deferred => {
                if self.deferred.push(request, GFP_KERNEL).is_err() {
                    self.refused += 1;
                }
            }
        }
    }

    /// PRI has only one answer for all of a group.
    fn response(&self) -> Response {
        if self.refused == 0 {
            Response::Success
        } else {
            Response::Invalid
        }
    }
}

impl Faults {
    /// Faults in what the group asks for, as far as that need not wait.
    ///
    /// One request that fails does not keep the others from being served.
    fn serve(&self, mm: &MmWithUser, group: &FaultGroup<FaultService>) -> Progress {
        let mut progress = Progress::default();
        let mut requests = group.requests();

        if group.len() == 1 {
            for request in requests {
                self.serve_batch(mm, &[request], &mut progress);
            }
            return progress;
        }
        let mut batch = [PageRequest::default(); BATCH];

        loop {
            let mut filled = 0;

            for (slot, request) in batch.iter_mut().zip(&mut requests) {
                *slot = request;
                filled += 1;
            }
            let batch = &mut batch[..filled];

            if !batch.is_sorted_by_key(|request| request.addr) {
                batch.sort_unstable_by_key(|request| request.addr);
            }
            self.serve_batch(mm, batch, &mut progress);
            if filled < BATCH {
                return progress;
            }
        }
    }

    /// Serves requests that are sorted, so that those in one mapping need one lock.
    fn serve_batch(&self, mm: &MmWithUser, batch: &[PageRequest], progress: &mut Progress) {
        let mut vma = None;
        let mut memory = None;
        let mut memory_at_hand =
            || *memory.get_or_insert_with(|| mm_fault::memory_at_hand(mm, batch.len()));
        let mut before: Option<PageRequest> = None;
        let mut news = false;

        for &request in batch {
            let again = |before: PageRequest| {
                page(before) == page(request) && before.access == request.access
            };

            if before.is_some_and(again) {
                progress.note(request, Outcome::Ready);
                continue;
            }
            if !vma
                .as_ref()
                .is_some_and(|vma: &LockedVma<'_>| vma.range().contains(&request.addr))
            {
                // Never two at a time.
                drop(vma.take());
                vma = LockedVma::lock(mm, request.addr);
            }
            let outcome = serve_one(&mut vma, &request, &mut memory_at_hand);

            news |= matches!(outcome, Outcome::Served);
            before = matches!(outcome, Outcome::Served | Outcome::Ready).then_some(request);
            progress.note(request, outcome);
        }
        if let (Some(vma), Some(first), Some(last), true) = (vma, batch.first(), before, news) {
            let pages = page(*first)..page(last) + 1;

            if pages.end - pages.start <= batch.len() as u64 {
                self.read_ahead(mm, vma, pages, last.access);
            }
        }
    }

    /// Faults in what is likely to be asked for after `pages`, whose last lie in `vma`.
    fn read_ahead(&self, mm: &MmWithUser, vma: LockedVma<'_>, pages: Range<u64>, access: Access) {
        let plan = match self.streams.advance(pages.start, pages.end) {
            Step::Stream(plan) => plan,
            Step::New { wasted } => {
                if wasted > 0 {
                    self.stats.wasted.add(wasted);
                }
                return;
            }
        };
        let (mut next, mut read) = (pages.end, 0);

        if plan.window > 0
            && !vma.is_random()
            && mm_fault::memory_at_hand(mm, (plan.window + SPARE) as usize)
        {
            let end = (next + plan.window).min(vma.range().end >> PAGE_SHIFT);
            let mut locked = Some(vma);

            while let (Some(vma), true) = (locked.take(), next < end) {
                let addr = next << PAGE_SHIFT;

                match vma.page_state(addr, access) {
                    PageState::Ready => locked = Some(vma),
                    PageState::Absent => {
                        let result;

                        (locked, result) = vma.fault_in(addr, access);
                        if result.is_err() {
                            break;
                        }
                        read += 1;
                    }
                    // To be copied, or waited for: not before it is asked for.
                    PageState::Present | PageState::Away => break,
                }
                next += 1;
            }
            self.stats.read_ahead.add(read);
        }
        self.streams.settle(plan, next, next - pages.end);
    }
}

/// The number of the page that is asked for.
fn page(request: PageRequest) -> u64 {
    request.addr >> PAGE_SHIFT
}

/// Serves a request in a mapping that is locked, if it is. The lock may get lost.
fn serve_one(
    locked: &mut Option<LockedVma<'_>>,
    request: &PageRequest,
    memory_at_hand: &mut impl FnMut() -> bool,
) -> Outcome {
    let Some(vma) = locked.take() else {
        return Outcome::Deferred;
    };

    if !vma.allows(request.access) {
        *locked = Some(vma);
        return Outcome::Refused;
    }
    let outcome = match vma.page_state(request.addr, request.access) {
        PageState::Ready => Outcome::Ready,
        PageState::Absent | PageState::Present if memory_at_hand() => {
            let result;

            (*locked, result) = vma.fault_in(request.addr, request.access);
            return match result {
                Ok(()) => Outcome::Served,
                Err(e) if e == EAGAIN => Outcome::Deferred,
                Err(_) => Outcome::Refused,
            };
        }
        _ => Outcome::Deferred,
    };

    *locked = Some(vma);
    outcome
}
