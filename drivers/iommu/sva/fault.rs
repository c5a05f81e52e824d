// SPDX-License-Identifier: GPL-2.0

//! Page requests of one attachment: who serves them, and what is known of them.
//!
//! Most need nothing but memory, and are served at once, in the thread that reports them: see
//! `serve`. What may have to wait goes to a worker: see `deferred`.

use crate::{
    attachments::GroupAttachment,
    core::Core,
    deferred::{Deferred, DeferredGroups},
    features::{Feature, Features},
    module_parameters,
    read_ahead::Streams,
    stats::FaultStats,
    trace,
};
use kernel::{
    mm::{Mm, MmWithUser},
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{ordering::Relaxed, Atomic},
        Arc, ArcBorrow,
    },
};
use kernel_ext::{
    attachment::FaultHandler,
    fault::{FaultGroup, Response},
    group::Endpoint, //
};

/// Serves the page requests of one attachment.
#[pin_data]
pub(crate) struct FaultService {
    /// Whether the bonds have `IOPF`; else all that the device touches is pinned.
    pub(crate) serves: bool,
    /// The last device that had been initialised when this was made. Those that came later may have
    /// come into the group after the attach, which reached its members then.
    pub(crate) newest: u64,
    /// How many bonds use the attachment: changed under the address space's lock.
    users: Atomic<u32>,
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

impl FaultHandler for FaultService {
    #[inline]
    fn report(attachment: ArcBorrow<'_, GroupAttachment>, mm: &Mm, mut group: FaultGroup<Self>) {
        trace::page_requests(&mut group);

        let service = attachment.handler();
        let faults = service.faults();
        let stats = &faults.stats;

        stats.arrived(group.len());

        let user = match service.serves {
            true => mm.mmget_not_zero(),
            // All that the device may touch is pinned (S7).
            false => None,
        };
        let Some(user) = user else {
            // Or the process is gone; its page tables are being torn down.
            stats.refused.add(group.len() as u64);
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
        if Deferred::start(attachment, ARef::from(mm), group, deferred, complete).is_err() {
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
    /// The service for an attachment of bonds with `flags`, made when `newest` was the last device.
    pub(crate) fn new<'a>(
        core: &'a Arc<Core>,
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
            users: Atomic::new(0),
            former: None,
            faults <- Faults::new(core, read_ahead),
        })
    }

    /// The service for an attachment that takes over from `former` and its users.
    pub(crate) fn successor<'a>(
        former: &'a Arc<GroupAttachment>,
        newest: u64,
    ) -> impl PinInit<Self> + 'a {
        let (core, users) = (&former.handler().faults.core, former.handler().users());

        pin_init!(Self {
            serves: former.handler().serves,
            newest,
            users: Atomic::new(users),
            former: Some(former.clone()),
            faults <- Faults::new(core, 0),
        })
    }

    /// How many bonds use the attachment, as long as nobody else has the address space's lock.
    pub(crate) fn users(&self) -> u32 {
        self.users.load(Relaxed)
    }

    /// As many bonds use the attachment now. Only for who has the address space's lock.
    pub(crate) fn set_users(&self, users: u32) {
        self.users.store(users, Relaxed);
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
