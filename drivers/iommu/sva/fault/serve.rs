// SPDX-License-Identifier: GPL-2.0

//! Serving page requests in the thread that reports them: what needs nothing but memory.
//!
//! Pages that are asked for in a row are served together, under the lock of the one mapping
//! concerned. What may have to wait is left to a worker, so that no process waits for another's slow
//! page: files, swap, `userfaultfd`, mappings that are just being changed, and everything while
//! memory is short.
//!
//! [Prefetch](FaultService::prefetch) is the same for a driver that knows what its device will use,
//! but leaves alone what may have to wait.
//!
//! For a device that goes through memory in order, pages are faulted in ahead: see `read_ahead`.

use super::{
    activity::Activity,
    read_ahead::Step,
    refusal::{Reason, Refusal},
    service::FaultService, //
};
use core::{iter, ops::Range};
use kernel::{
    mm::MmWithUser,
    page::PAGE_SHIFT,
    prelude::*,
    sync::atomic::ordering::Relaxed, //
};
use kernel_ext::{
    fault::{Access, PageRequest, Requests},
    mm_fault::{self, Glimpse, LockedVma, PageState},
    touch::mapping_end,
};

/// How many pages are prefetched under one lock.
const PREFETCH: u64 = 512;

/// How many rows of pages are sorted and served together.
const BATCH: usize = 64;

/// For how many pages the page table is looked at at a time: what it says grows old.
const GLANCE: u64 = 16;

/// Nothing is read ahead unless so many pages are free beside.
const SPARE: u64 = 1024;

/// What has become of the requests of a group so far.
#[derive(Default)]
pub(crate) struct Progress {
    /// Of so many the page is there.
    pub(crate) served: u64,
    /// Of these, the page was there before.
    pub(crate) ready: u64,
    /// What the process may not do either, or there is no memory for.
    pub(crate) refused: Option<Refusal>,
    /// They may have to wait.
    pub(crate) deferred: Option<KVec<PageRequest>>,
}

impl Progress {
    /// How many requests there were.
    pub(super) fn requests(&self) -> u64 {
        let deferred = self.deferred.as_ref().map_or(0, KVec::len);

        self.served + self.refused() + deferred as u64
    }

    /// How many were refused.
    pub(super) fn refused(&self) -> u64 {
        self.refused
            .map_or(0, |refusal| u64::from(refusal.requests))
    }

    /// How many pages are there that were not before.
    fn news(&self) -> u64 {
        self.served - self.ready
    }

    #[cold]
    fn defer(&mut self, pages: Range<u64>, access: Access) {
        let deferred = self.deferred.get_or_insert_with(KVec::new);

        for page in pages {
            let request = PageRequest {
                addr: page << PAGE_SHIFT,
                access,
            };

            if deferred.push(request, GFP_KERNEL).is_err() {
                refuse(&mut self.refused, request, Reason::NoMemory, 1);
            }
        }
    }

    #[cold]
    fn refuse(&mut self, pages: Range<u64>, access: Access, reason: Reason) {
        let request = PageRequest {
            addr: pages.start << PAGE_SHIFT,
            access,
        };

        refuse(&mut self.refused, request, reason, count(&pages) as usize);
    }
}

/// Notes that `count` requests were refused, the first of which is `request`; what was first before
/// stays so.
fn refuse(refused: &mut Option<Refusal>, request: PageRequest, reason: Reason, count: usize) {
    *refused = Some(match refused {
        Some(first) => first.and(count),
        None => Refusal::new(request, reason, count),
    });
}

/// Pages in a row that are asked for, one after the other, for the same access: their numbers.
#[derive(Clone, Copy)]
struct Row {
    start: u64,
    end: u64,
    access: Access,
}

impl Row {
    fn new(request: PageRequest) -> Self {
        let page = request.addr >> PAGE_SHIFT;

        Self {
            start: page,
            end: page + 1,
            access: request.access,
        }
    }

    /// Makes it longer if `next` goes on with it.
    fn extend(&mut self, next: Self) -> bool {
        let goes_on = next.start == self.end && next.access == self.access;

        if goes_on {
            self.end = next.end;
        }
        goes_on
    }
}

/// The rows that `requests` are made of.
fn rows(mut requests: impl Iterator<Item = PageRequest>) -> impl Iterator<Item = Row> {
    let mut next = requests.next().map(Row::new);

    iter::from_fn(move || {
        let mut row = next.take()?;

        for request in &mut requests {
            let request = Row::new(request);

            if !row.extend(request) {
                next = Some(request);
                break;
            }
        }
        Some(row)
    })
}

impl FaultService {
    /// Faults in what the group asks for, as far as that need not wait.
    ///
    /// One request that fails does not keep the others from being served.
    #[inline]
    pub(super) fn serve(&self, activity: &Activity, mm: &MmWithUser, group: &Requests) -> Progress {
        let mut service = Service {
            faults: self,
            activity,
            mm,
            locked: None,
            singly: false,
            progress: Progress::default(),
        };

        if let Some(request) = group.single() {
            service.batch(&[Row::new(request)]);
            return service.progress;
        }
        let mut rows = rows(group.iter());

        if let Some(first) = rows.next() {
            match rows.next() {
                None => service.batch(&[first]),
                Some(second) => service.scattered(first, second, rows),
            }
        }
        service.progress
    }
}

impl FaultService {
    /// Faults in pages that nobody has asked for, as far as that need not wait, and memory is
    /// plentiful. Gives how many of them are there, and from which on none was looked at: that is
    /// after `pages`, unless memory has run short, or many have been faulted in.
    pub(crate) fn prefetch(
        &self,
        mm: &MmWithUser,
        pages: Range<u64>,
        access: Access,
    ) -> (u64, u64) {
        let activity = self.activity();
        let mut service = Service {
            faults: self,
            activity,
            mm,
            locked: None,
            singly: false,
            progress: Progress::default(),
        };
        let mut next = pages.start;
        let (mut ready, mut new) = (0, 0);

        while next < pages.end && new < PREFETCH {
            let Some(vma) = service.lock(next) else {
                // Of a file, or nothing, or being changed.
                match mapping_end(mm, next) {
                    Some(end) => next = end.min(pages.end),
                    None => next += 1,
                }
                continue;
            };
            let glimpse = vma.look(glance(&(next..pages.end)), access);
            let alike = glimpse.pages();

            match glimpse.state() {
                PageState::Absent | PageState::Present => {
                    if !mm_fault::memory_at_hand(mm, (count(&alike) + SPARE) as usize) {
                        break;
                    }
                    let there = service.fault_in(glimpse).ok();

                    new += there.unwrap_or(0);
                    next += there.unwrap_or(1);
                }
                state => {
                    service.locked = Some(glimpse.into_vma());
                    next = alike.end.max(next + 1);
                    if state == PageState::Ready {
                        ready += count(&alike);
                        service.singly = false;
                    }
                }
            }
        }
        if new > 0 {
            activity.stats.read_ahead.add(new);
        }
        (ready + new, next)
    }
}

/// The service of one group.
struct Service<'a> {
    faults: &'a FaultService,
    activity: &'a Activity,
    mm: &'a MmWithUser,
    /// The mapping that was served last: at most one at a time.
    locked: Option<LockedVma<'a>>,
    /// The last fault brought no page but its own, or so it looks: no large folio.
    singly: bool,
    progress: Progress,
}

impl<'a> Service<'a> {
    /// Serves rows that may be in any order.
    #[inline(never)]
    fn scattered(&mut self, first: Row, second: Row, mut others: impl Iterator<Item = Row>) {
        let mut batch = [first; BATCH];
        let mut filled = 2;

        batch[1] = second;
        loop {
            for (slot, row) in batch[filled..].iter_mut().zip(&mut others) {
                *slot = row;
                filled += 1;
            }
            if filled == 0 {
                return;
            }
            batch[..filled].sort_unstable_by_key(|row| row.start);
            self.batch(&batch[..filled]);
            filled = 0;
        }
    }

    /// Serves rows that are sorted, so that those in one mapping need one lock.
    fn batch(&mut self, batch: &[Row]) {
        let before = self.progress.news();
        let (mut asked, mut there) = (0, false);

        for row in batch {
            there = self.row(row);
            asked += row.end - row.start;
        }
        if !there || self.progress.news() == before {
            return;
        }
        if let (Some(first), Some(last)) = (batch.first(), batch.last()) {
            if last.end - first.start <= asked {
                self.read_ahead(first.start..last.end, last.access);
            }
        }
    }

    /// Serves the requests of a row. Whether the last page is there.
    fn row(&mut self, row: &Row) -> bool {
        let access = row.access;
        let mut pages = row.start..row.end;
        let mut there = false;

        while !pages.is_empty() {
            let Some(vma) = self.lock(pages.start) else {
                self.progress.defer(pages, access);
                return false;
            };
            let glimpse = vma.look(glance(&pages), access);
            let state = glimpse.state();
            let mut alike = glimpse.pages();

            match state {
                PageState::Absent | PageState::Present
                    if mm_fault::memory_at_hand(self.mm, count(&alike) as usize) =>
                {
                    let result = self.fault_in(glimpse);

                    there = result.is_ok();
                    alike.end = alike.start + result.unwrap_or(1);
                    match result {
                        Ok(pages) => self.progress.served += pages,
                        Err(e) if e == EAGAIN => self.progress.defer(alike.clone(), access),
                        Err(e) => self.progress.refuse(alike.clone(), access, Reason::of(e)),
                    }
                }
                _ => {
                    self.locked = Some(glimpse.into_vma());
                    there = state == PageState::Ready;
                    self.singly &= !there;
                    match state {
                        PageState::Ready => {
                            self.progress.served += count(&alike);
                            self.progress.ready += count(&alike);
                        }
                        PageState::Forbidden => {
                            self.progress.refuse(alike.clone(), access, Reason::NoRight);
                        }
                        _ => self.progress.defer(alike.clone(), access),
                    }
                }
            }
            pages.start = alike.end;
        }
        there
    }

    /// Locks the mapping that `page` lies in, if it is not the one that is locked.
    fn lock(&mut self, page: u64) -> Option<LockedVma<'a>> {
        match self.locked.take() {
            Some(vma) if vma.pages().contains(&page) => Some(vma),
            other => {
                // Never two at a time.
                drop(other);
                LockedVma::lock(self.mm, page)
            }
        }
    }

    /// Faults in pages that look alike. Gives how many; at least one.
    ///
    /// Only one if it may bring others, which then should not be faulted in again.
    #[inline(always)]
    fn fault_in(&mut self, mut glimpse: Glimpse<'a>) -> Result<u64> {
        if !self.singly {
            glimpse.narrow();
        }
        let (locked, result) = glimpse.fault_in();

        self.singly = true;
        self.locked = locked;
        result
    }

    /// Faults in what is likely to be asked for after `asked`, whose last page lies in the mapping
    /// that is locked, if one still is.
    fn read_ahead(&mut self, asked: Range<u64>, access: Access) {
        let Activity { stats, streams } = self.activity;
        let max = self.faults.read_ahead.load(Relaxed);
        let plan = match streams.advance(asked.start, asked.end, max) {
            Step::Stream(plan) => plan,
            Step::New { wasted } => {
                if wasted > 0 {
                    stats.wasted.add(wasted);
                }
                return;
            }
        };
        let mut pages = asked.end..asked.end + plan.window;
        let wanted = |vma: &LockedVma<'_>| {
            plan.window > 0
                && !vma.is_random()
                && mm_fault::memory_at_hand(self.mm, (plan.window + SPARE) as usize)
        };

        if let Some(vma) = self.locked.take().filter(wanted) {
            let mut read = 0;

            pages.end = pages.end.min(vma.pages().end);
            self.locked = Some(vma);
            while let (Some(vma), false) = (self.locked.take(), pages.is_empty()) {
                let glimpse = vma.look(glance(&pages), access);

                match glimpse.state() {
                    PageState::Ready => {
                        pages.start = glimpse.pages().end;
                        self.singly = false;
                        self.locked = Some(glimpse.into_vma());
                    }
                    PageState::Absent => {
                        let Ok(there) = self.fault_in(glimpse) else {
                            break;
                        };

                        pages.start += there;
                        read += there;
                    }
                    // To be copied, waited for, or refused: not before it is asked for.
                    _ => break,
                }
            }
            stats.read_ahead.add(read);
        }
        streams.settle(plan, pages.start, pages.start - asked.end);
    }
}

/// The first of `pages`, as many as are looked at at a time.
fn glance(pages: &Range<u64>) -> Range<u64> {
    pages.start..pages.end.min(pages.start + GLANCE)
}

fn count(pages: &Range<u64>) -> u64 {
    pages.end - pages.start
}
