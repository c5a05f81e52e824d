// SPDX-License-Identifier: GPL-2.0

//! What is counted.
//!
//! The fault path counts in the attachment that it serves and nowhere else, so that no two
//! address spaces share a cache line. An attachment's counts are added to the totals when it ends.

use super::{
    waits::Waits,
    GroupAttachment, //
};
use kernel::sync::atomic::{ordering::Relaxed, Atomic};

/// A number that only grows.
pub(crate) struct Counter(Atomic<u64>);

impl Default for Counter {
    fn default() -> Self {
        Self(Atomic::new(0))
    }
}

impl Counter {
    pub(crate) fn add(&self, n: u64) {
        self.0.add(n, Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Page requests of one attachment, in groups that the attachment counts.
#[derive(Default)]
pub(crate) struct FaultStats {
    /// Page requests, save one in each group.
    pub(super) others: Counter,
    /// Page requests that were refused.
    pub(crate) refused: Counter,
    /// Of those served: the page was there before, for this access.
    pub(crate) ready: Counter,
    /// Of all: had to wait, and did so in a worker.
    pub(crate) deferred: Counter,
    /// Of those that had to wait: have been answered.
    pub(super) waited: Counter,
    /// Pages that were faulted in before the device asked for them.
    pub(crate) read_ahead: Counter,
    /// Of them, those that belong to streams which did not go on, as far as could be seen.
    pub(crate) wasted: Counter,
}

/// Page requests of some attachments together.
#[derive(Default)]
pub(crate) struct FaultTotals {
    /// Page request groups, each of which got one response.
    pub(crate) groups: Counter,
    pub(crate) all: FaultStats,
}

impl FaultTotals {
    /// Page requests.
    pub(crate) fn requests(&self) -> u64 {
        self.groups.get() + self.all.others.get()
    }

    /// Page requests after which the page was there: all that were not refused and do not wait. So
    /// the usual end of a request needs no count of its own.
    pub(crate) fn served(&self) -> u64 {
        let waiting = self
            .all
            .deferred
            .get()
            .saturating_sub(self.all.waited.get());

        self.requests()
            .saturating_sub(self.all.refused.get() + waiting)
    }

    /// Those of one attachment.
    pub(crate) fn of(attachment: &GroupAttachment) -> Self {
        let totals = Self::default();

        totals.add(attachment);
        totals
    }

    /// Adds what arrived at an attachment.
    pub(crate) fn add(&self, attachment: &GroupAttachment) {
        self.groups.add(attachment.groups());
        if let Some(stats) = attachment.handler().stats() {
            self.absorb(stats);
        }
    }

    /// Adds what belongs to attachments that there was no memory for.
    pub(crate) fn add_spare(&self, waits: &Waits) {
        self.absorb(&waits.spare.stats);
    }

    /// Adds what `other` has.
    pub(crate) fn add_totals(&self, other: &Self) {
        self.groups.add(other.groups.get());
        self.absorb(&other.all);
    }

    fn absorb(&self, other: &FaultStats) {
        self.all.others.add(other.others.get());
        self.all.refused.add(other.refused.get());
        self.all.ready.add(other.ready.get());
        self.all.deferred.add(other.deferred.get());
        self.all.waited.add(other.waited.get());
        self.all.read_ahead.add(other.read_ahead.get());
        self.all.wasted.add(other.wasted.get());
    }
}

/// Totals since the module was loaded, or since a device was initialised.
#[derive(Default)]
pub(crate) struct Totals {
    /// Bonds made; a repeated bind is not one.
    pub(crate) binds: Counter,
    /// Bonds ended, however.
    pub(crate) unbinds: Counter,
    /// Bonds that a process's exit ended.
    pub(crate) exits: Counter,
    /// Page requests of attachments that have ended.
    pub(crate) ended: FaultTotals,
}
