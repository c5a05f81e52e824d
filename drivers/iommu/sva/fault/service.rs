// SPDX-License-Identifier: GPL-2.0

//! The page requests of one attachment: who serves them, and what is known of them.

use super::{
    activity::Begun,
    hearers::Hearers,
    refusal::{Reason, Refusal},
    waiting::Waiting,
    waits::Waits,
    GroupAttachment, //
};
use crate::trace;
use kernel::{
    mm::{Mm, MmWithUser},
    sync::{
        atomic::{ordering::Relaxed, Atomic},
        Arc, ArcBorrow,
    },
};
use kernel_ext::{
    attachment::FaultHandler,
    fault::{FaultGroup, Requests, Response},
};

/// Serves the page requests of one attachment.
///
/// Nothing of it is shared with another: page requests of different attachments do not meet, unless
/// they have to wait.
pub(crate) struct FaultService {
    /// Whether the bonds have `IOPF`; else all that the device touches is pinned.
    pub(crate) serves: bool,
    /// How many bonds use the attachment: changed under the address space's lock.
    users: Atomic<u32>,
    /// How many groups wait.
    pub(super) waiting: Atomic<u32>,
    /// Most pages to read ahead at a time; 0 if that is turned off.
    pub(super) read_ahead: Atomic<u32>,
    pub(super) begun: Begun,
    pub(super) waits: Arc<Waits>,
    pub(crate) hearers: Hearers,
}

impl FaultHandler for FaultService {
    #[inline]
    fn report(
        attachment: ArcBorrow<'_, GroupAttachment>,
        mm: &Mm,
        mut group: FaultGroup<'_, Self>,
    ) {
        trace::page_requests(&mut group);

        let service = attachment.handler();
        let activity = service.activity();
        let stats = &activity.stats;

        let user = match service.serves {
            true => mm.mmget_not_zero(),
            // All that the device may touch is pinned (S7).
            false => None,
        };
        let Some(user) = user else {
            // Or the process is gone; its page tables are being torn down.
            let reason = match service.serves {
                true => Reason::ProcessGone,
                false => Reason::NotAsked,
            };
            let refusal = Refusal::of_all(&group, reason);

            stats.others.add(u64::from(refusal.requests) - 1);
            stats.refused.add(u64::from(refusal.requests));
            service.tell(&group, &refusal);
            answer(group, Response::Invalid);
            return;
        };
        // Were this the last reference, its exit would run right here, and want this thread to
        // get on.
        let user = MmWithUser::into_mmput_async(user);
        let progress = service.serve(activity, &user, &group);

        // Before the answer: who has it may rely on the process's exit not having to wait for us.
        drop(user);
        if progress.requests() > 1 {
            stats.others.add(progress.requests() - 1);
        }
        if progress.ready > 0 {
            stats.ready.add(progress.ready);
        }
        if progress.refused.is_some() {
            stats.refused.add(progress.refused());
        }
        let Some(late) = progress.deferred else {
            // PRI has only one answer for all of a group.
            let response = match &progress.refused {
                None => Response::Success,
                Some(refusal) => {
                    service.tell(&group, refusal);
                    Response::Invalid
                }
            };

            answer(group, response);
            return;
        };

        stats.deferred.add(late.len() as u64);
        Waiting::start(attachment, mm, group, late, progress.refused);
    }

    fn refuse(attachment: ArcBorrow<'_, GroupAttachment>, mut group: FaultGroup<'_, Self>) {
        trace::page_requests(&mut group);

        let service = attachment.handler();
        let refusal = Refusal::of_all(&group, Reason::Ending);

        let stats = &service.activity().stats;

        stats.others.add(u64::from(refusal.requests) - 1);
        stats.refused.add(u64::from(refusal.requests));
        service.tell(&group, &refusal);
        answer(group, Response::Invalid);
    }

    fn detached(&self) {
        if self.waiting.load(Relaxed) > 0 {
            self.waits
                .abandon(|there| core::ptr::eq(there.service(), self).then_some(Reason::Ending));
        }
    }
}

/// Answers a group that did not wait.
#[inline]
fn answer(group: FaultGroup<'_, FaultService>, response: Response) {
    trace::page_response(&group, response);
    group.respond(response);
}

impl FaultService {
    /// The service for an attachment of bonds with `IOPF` if it `serves`, that reads up to
    /// `read_ahead` pages ahead.
    pub(crate) fn new(waits: &Arc<Waits>, serves: bool, read_ahead: u32) -> Self {
        Self {
            serves,
            users: Atomic::new(0),
            waiting: Atomic::new(0),
            read_ahead: Atomic::new(read_ahead),
            begun: Begun::new(),
            waits: waits.clone(),
            hearers: Hearers::new(),
        }
    }

    /// Tells who wants to know of a group that is about to be answered so. May sleep.
    #[cold]
    pub(super) fn tell(&self, group: &Requests, refusal: &Refusal) {
        self.waits.refused(refusal.reason).add(1);
        trace::refusal(group, refusal);
        self.hearers.tell(group, refusal);
    }

    /// Reads nothing ahead from now on.
    pub(crate) fn read_nothing_ahead(&self) {
        self.read_ahead.store(0, Relaxed);
    }

    /// How many bonds use the attachment, as long as nobody else has the address space's lock.
    pub(crate) fn users(&self) -> u32 {
        self.users.load(Relaxed)
    }

    /// As many bonds use the attachment now. Only for who has the address space's lock.
    pub(crate) fn set_users(&self, users: u32) {
        self.users.store(users, Relaxed);
    }
}
