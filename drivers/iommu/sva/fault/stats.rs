// SPDX-License-Identifier: GPL-2.0

//! What is counted.
//!
//! The fault path counts in the attachment that it serves and nowhere else, so that no two
//! address spaces share a cache line. An attachment's counts are added to the totals when it ends.

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

/// Page requests of one attachment, or in total.
#[derive(Default)]
pub(crate) struct FaultStats {
    /// Page request groups, each of which got one response.
    pub(crate) groups: Counter,
    /// Page requests, save one in each group.
    others: Counter,
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

impl FaultStats {
    /// A group of so many page requests has arrived.
    pub(crate) fn arrived(&self, requests: usize) {
        self.groups.add(1);
        if requests > 1 {
            self.others.add(requests as u64 - 1);
        }
    }

    /// Page requests.
    pub(crate) fn requests(&self) -> u64 {
        self.groups.get() + self.others.get()
    }

    /// Page requests after which the page was there: all that were not refused and do not wait. So
    /// the usual end of a request needs no count of its own.
    pub(crate) fn served(&self) -> u64 {
        let waiting = self.deferred.get().saturating_sub(self.waited.get());

        self.requests().saturating_sub(self.refused.get() + waiting)
    }

    /// Adds what `other` counted.
    pub(crate) fn absorb(&self, other: &Self) {
        // Many bonds end without any page request.
        if other.groups.get() == 0 {
            return;
        }
        self.groups.add(other.groups.get());
        self.others.add(other.others.get());
        self.refused.add(other.refused.get());
        self.ready.add(other.ready.get());
        self.deferred.add(other.deferred.get());
        self.waited.add(other.waited.get());
        self.read_ahead.add(other.read_ahead.get());
        self.wasted.add(other.wasted.get());
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
    pub(crate) ended: FaultStats,
}
