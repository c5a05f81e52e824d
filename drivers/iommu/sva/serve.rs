// SPDX-License-Identifier: GPL-2.0

//! Serving page requests in the thread that reports them: what needs nothing but memory.
//!
//! Pages that are asked for in a row are served together, under the lock of the one mapping
//! concerned. What may have to wait is left to a worker, so that no process waits for another's slow
//! page: files, swap, `userfaultfd`, mappings that are just being changed, and everything while
//! memory is short.
//!
//! For a device that goes through memory in order, pages are faulted in ahead: see `read_ahead`.

use crate::{
    fault::{FaultService, Faults},
    read_ahead::Step, //
};
use core::{iter, ops::Range};
use kernel::{
    mm::MmWithUser,
    page::{PAGE_SHIFT, PAGE_SIZE},
    prelude::*, //
};
use kernel_ext::{
    fault::{Access, FaultGroup, PageRequest},
    mm_fault::{self, LockedVma, PageState},
};

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
    /// The process may not do that either, or there is no memory.
    pub(crate) refused: u64,
    /// They may have to wait.
    pub(crate) deferred: Option<KVec<PageRequest>>,
}

impl Progress {
    /// How many pages are there that were not before.
    fn news(&self) -> u64 {
        self.served - self.ready
    }

    #[cold]
    fn defer(&mut self, addr: Range<u64>, access: Access) {
        let deferred = self.deferred.get_or_insert_with(KVec::new);

        for addr in addr.step_by(PAGE_SIZE) {
            if deferred
                .push(PageRequest { addr, access }, GFP_KERNEL)
                .is_err()
            {
                self.refused += 1;
            }
        }
    }
}

/// Pages in a row that are asked for, one after the other, for the same access.
#[derive(Clone, Copy)]
struct Row {
    start: u64,
    end: u64,
    access: Access,
}

impl Row {
    fn new(request: PageRequest) -> Self {
        let start = request.addr & !(PAGE_SIZE as u64 - 1);

        Self {
            start,
            end: start + PAGE_SIZE as u64,
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

impl Faults {
    /// Faults in what the group asks for, as far as that need not wait.
    ///
    /// One request that fails does not keep the others from being served.
    #[inline]
    pub(crate) fn serve(&self, mm: &MmWithUser, group: &FaultGroup<FaultService>) -> Progress {
        let mut service = Service {
            faults: self,
            mm,
            locked: None,
            singly: false,
            progress: Progress::default(),
        };
        let mut rows = rows(group.requests());

        if let Some(first) = rows.next() {
            match rows.next() {
                None => service.batch(&[first]),
                Some(second) => service.scattered(first, second, rows),
            }
        }
        service.progress
    }
}

/// The service of one group.
struct Service<'a> {
    faults: &'a Faults,
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
        let mut addr = row.start..row.end;
        let mut there = false;

        while !addr.is_empty() {
            let Some(vma) = self.lock(addr.start) else {
                self.progress.defer(addr, access);
                return false;
            };
            let (state, mut pages) = vma.look(glance(&addr), access);

            match state {
                PageState::Absent | PageState::Present
                    if mm_fault::memory_at_hand(self.mm, pages as usize) =>
                {
                    let result = self.fault_in(vma, addr.start, pages, access);

                    there = result.is_ok();
                    pages = result.unwrap_or(1);
                    match result {
                        Ok(pages) => self.progress.served += pages,
                        Err(e) if e == EAGAIN => self.progress.defer(first(&addr, 1), access),
                        Err(_) => self.progress.refused += 1,
                    }
                }
                _ => {
                    self.locked = Some(vma);
                    there = state == PageState::Ready;
                    self.singly &= !there;
                    match state {
                        PageState::Ready => {
                            self.progress.served += pages;
                            self.progress.ready += pages;
                        }
                        PageState::Forbidden => self.progress.refused += pages,
                        _ => self.progress.defer(first(&addr, pages), access),
                    }
                }
            }
            addr.start += pages << PAGE_SHIFT;
        }
        there
    }

    /// Locks the mapping at `addr`, if it is not the one that is locked.
    fn lock(&mut self, addr: u64) -> Option<LockedVma<'a>> {
        match self.locked.take() {
            Some(vma) if vma.range().contains(&addr) => Some(vma),
            other => {
                // Never two at a time.
                drop(other);
                LockedVma::lock(self.mm, addr)
            }
        }
    }

    /// Faults in up to `pages` pages that look alike. Gives how many; at least one.
    ///
    /// Only one if it may bring others, which then should not be faulted in again.
    #[inline(always)]
    fn fault_in(
        &mut self,
        vma: LockedVma<'a>,
        start: u64,
        pages: u64,
        access: Access,
    ) -> Result<u64> {
        let pages = if self.singly { pages } else { 1 };
        let (locked, result) = vma.fault_in(start..start + (pages << PAGE_SHIFT), access);

        self.singly = true;
        self.locked = locked;
        result
    }

    /// Faults in what is likely to be asked for after `asked`, whose last page lies in the mapping
    /// that is locked, if one still is.
    fn read_ahead(&mut self, asked: Range<u64>, access: Access) {
        let streams = &self.faults.streams;
        let step = streams.advance(asked.start >> PAGE_SHIFT, asked.end >> PAGE_SHIFT);
        let plan = match step {
            Step::Stream(plan) => plan,
            Step::New { wasted } => {
                if wasted > 0 {
                    self.faults.stats.wasted.add(wasted);
                }
                return;
            }
        };
        let mut addr = asked.end..asked.end + (plan.window << PAGE_SHIFT);
        let wanted = |vma: &LockedVma<'_>| {
            plan.window > 0
                && !vma.is_random()
                && mm_fault::memory_at_hand(self.mm, (plan.window + SPARE) as usize)
        };
        let mut read = 0;

        if let Some(vma) = self.locked.take().filter(wanted) {
            addr.end = addr.end.min(vma.range().end);
            self.locked = Some(vma);
            while let (Some(vma), false) = (self.locked.take(), addr.is_empty()) {
                let (state, mut pages) = vma.look(glance(&addr), access);

                match state {
                    PageState::Ready => {
                        self.singly = false;
                        self.locked = Some(vma);
                    }
                    PageState::Absent => match self.fault_in(vma, addr.start, pages, access) {
                        Ok(there) => {
                            pages = there;
                            read += there;
                        }
                        Err(_) => break,
                    },
                    // To be copied, waited for, or refused: not before it is asked for.
                    _ => break,
                }
                addr.start += pages << PAGE_SHIFT;
            }
            self.faults.stats.read_ahead.add(read);
        }
        let next = addr.start >> PAGE_SHIFT;

        streams.settle(plan, next, next - (asked.end >> PAGE_SHIFT));
    }
}

/// The first of the pages at `addr`, as many as are looked at at a time.
fn glance(addr: &Range<u64>) -> Range<u64> {
    addr.start..addr.end.min(first(addr, GLANCE).end)
}

/// The first `pages` pages at `addr`.
fn first(addr: &Range<u64>, pages: u64) -> Range<u64> {
    addr.start..addr.start + (pages << PAGE_SHIFT)
}
