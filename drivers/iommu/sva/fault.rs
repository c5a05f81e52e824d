// SPDX-License-Identifier: GPL-2.0

//! Serving page requests.

use crate::{
    features::{Feature, Features},
    stats::FaultStats,
    trace,
};
use kernel::{mm::MmWithUser, prelude::*, sync::Arc};
use kernel_ext::{
    attachment::FaultHandler,
    domain::SvaDomain,
    fault::{FaultGroup, Response},
    mm_fault,
};

/// Serves the page requests of one attachment.
pub(crate) struct FaultService {
    /// Whether the bonds have `IOPF`; else all that the device touches is pinned.
    pub(crate) serves: bool,
    pub(crate) stats: Arc<FaultStats>,
}

impl FaultHandler for FaultService {
    fn report(&self, _domain: &SvaDomain<Self>, mut group: FaultGroup<Self>) {
        trace::page_requests(&mut group);
        if self.serves {
            group.defer();
        } else {
            self.refuse(group);
        }
    }

    fn work(&self, domain: &SvaDomain<Self>, group: FaultGroup<Self>) {
        let response = self.serve(domain, &group);

        answer(group, response);
    }
}

fn answer(group: FaultGroup<FaultService>, response: Response) {
    trace::page_response(&group, response);
    group.respond(response);
}

impl FaultService {
    /// The service for an attachment of bonds with `flags`.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(flags: Features) -> Result<Self> {
        Ok(Self {
            serves: Self::serves(flags),
            stats: Arc::new(FaultStats::default(), GFP_KERNEL)?,
        })
    }

    /// The service for an attachment that takes over from this one's; it goes on counting.
    pub(crate) fn successor(&self) -> Self {
        Self {
            serves: self.serves,
            stats: self.stats.clone(),
        }
    }

    /// Whether bonds with `flags` have page requests served.
    pub(crate) fn serves(flags: Features) -> bool {
        flags.contains(Feature::Iopf)
    }

    /// Answers that the pages cannot be had, and touches none (S7).
    fn refuse(&self, group: FaultGroup<Self>) {
        let asked = group.len() as u64;

        self.stats.groups.add(1);
        self.stats.requests.add(asked);
        self.stats.refused.add(asked);
        answer(group, Response::Invalid);
    }

    /// Faults in what the group asks for.
    ///
    /// One request that fails does not keep the others from being served, but PRI has only one
    /// answer for all of them.
    fn serve(&self, domain: &SvaDomain<Self>, group: &FaultGroup<Self>) -> Response {
        let asked = group.len() as u64;

        self.stats.groups.add(1);
        self.stats.requests.add(asked);

        let Some(mm) = domain.mm().mmget_not_zero() else {
            // The process is gone; its page tables are being torn down.
            self.stats.refused.add(asked);
            return Response::Invalid;
        };
        // Were this the last reference, its exit would run right here and wait for this worker.
        let mm = MmWithUser::into_mmput_async(mm);
        let served = group
            .requests()
            .filter(|request| mm_fault::fault_in(&mm, request.addr, request.access).is_ok())
            .count() as u64;

        self.stats.served.add(served);
        self.stats.refused.add(asked - served);
        if served == asked {
            Response::Success
        } else {
            Response::Invalid
        }
    }
}
