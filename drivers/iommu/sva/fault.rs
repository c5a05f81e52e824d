// SPDX-License-Identifier: GPL-2.0

//! Page requests of one attachment: who serves them, and what is known of them.
//!
//! Most need nothing but memory, and are served at once, in the thread that reports them: see
//! `serve`. What may have to wait goes to a worker: see `deferred`.

use crate::{
    core::Core,
    deferred::{Deferred, DeferredGroups},
    features::{Feature, Features},
    module_parameters,
    read_ahead::Streams,
    stats::FaultStats,
    trace,
};
use kernel::{
    mm::MmWithUser,
    prelude::*,
    sync::Arc, //
};
use kernel_ext::{
    attachment::FaultHandler,
    domain::SvaDomain,
    fault::{FaultGroup, Response},
    group::Endpoint, //
};

/// Serves the page requests of one attachment.
pub(crate) struct FaultService {
    /// Whether the bonds have `IOPF`; else all that the device touches is pinned.
    pub(crate) serves: bool,
    faults: Arc<Faults>,
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
    /// Answers the groups that wait in workers, or those of one device, since they come too late.
    ///
    /// No new ones may be reported. May sleep; does not wait for pages.
    pub(crate) fn abandon(&self, only: Option<&Endpoint>) {
        self.deferred.abandon(only);
    }
}

impl FaultHandler for FaultService {
    #[inline]
    fn report(&self, domain: &SvaDomain<Self>, mut group: FaultGroup<Self>) {
        trace::page_requests(&mut group);

        let stats = &self.faults.stats;

        stats.arrived(group.len());

        let mm = match self.serves {
            true => domain.mm().mmget_not_zero(),
            // All that the device may touch is pinned (S7).
            false => None,
        };
        let Some(mm) = mm else {
            // Or the process is gone; its page tables are being torn down.
            stats.refused.add(group.len() as u64);
            answer(group, Response::Invalid);
            return;
        };
        // Were this the last reference, its exit would run right here, and want this thread to
        // get on.
        let mm = MmWithUser::into_mmput_async(mm);
        let progress = self.faults.serve(&mm, &group);

        if progress.served > 0 {
            stats.served.add(progress.served);
        }
        if progress.ready > 0 {
            stats.ready.add(progress.ready);
        }
        if progress.refused > 0 {
            stats.refused.add(progress.refused);
        }
        let complete = progress.refused == 0;
        let Some(deferred) = progress.deferred else {
            // PRI has only one answer for all of a group.
            let response = match complete {
                true => Response::Success,
                false => Response::Invalid,
            };

            answer(group, response);
            return;
        };
        let late = deferred.len() as u64;

        stats.deferred.add(late);
        if Deferred::start(&self.faults, domain.mm_ref(), group, deferred, complete).is_err() {
            stats.refused.add(late);
        }
    }

    fn detached(&self) {
        self.faults.abandon(None);
    }
}

/// Answers a group.
pub(crate) fn answer(group: FaultGroup<FaultService>, response: Response) {
    trace::page_response(&group, response);
    group.respond(response);
}

impl FaultService {
    /// The service for an attachment of bonds with `flags`.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(core: &Arc<Core>, flags: Features) -> Result<Self> {
        let read_ahead = match flags.contains(Feature::NoReadAhead) {
            true => 0,
            false => module_parameters::read_ahead.value(),
        };
        let faults = Arc::pin_init(
            pin_init!(Faults {
                core: core.clone(),
                stats: FaultStats::default(),
                streams: Streams::new(read_ahead),
                deferred <- DeferredGroups::new(),
            }),
            GFP_KERNEL,
        )?;

        Ok(Self {
            serves: Self::serves(flags),
            faults,
        })
    }

    /// The service for an attachment that takes over from this one's; it goes on counting.
    pub(crate) fn successor(&self) -> Self {
        Self {
            serves: self.serves,
            faults: self.faults.clone(),
        }
    }

    /// Whether bonds with `flags` have page requests served.
    pub(crate) fn serves(flags: Features) -> bool {
        flags.contains(Feature::Iopf)
    }

    pub(crate) fn faults(&self) -> &Arc<Faults> {
        &self.faults
    }
}
