// SPDX-License-Identifier: GPL-2.0

//! Who waits for pages: a device that has sent page requests, or its driver, which needs a page
//! itself. Both wait within the same bounds, and neither longer than the bond lasts.

use super::{
    refusal::{Reason, Refusal},
    service::FaultService,
    waiting::Waiting,
    GroupAttachment,
};
use crate::trace;
use kernel::{
    device::Device,
    mm::Mm,
    new_mutex,
    prelude::*,
    sync::{Arc, Mutex},
};
use kernel_ext::{
    endpoint::Held,
    fault::{PageRequest, Response, WaitingGroup},
    killable::Done,
};

/// Who asks.
pub(super) enum Asker {
    Device(WaitingGroup),
    /// The driver of the device that is held.
    Driver(Arc<Answer>, Held),
}

impl Asker {
    pub(super) fn is_device(&self) -> bool {
        matches!(self, Self::Device(_))
    }

    pub(super) fn device(&self) -> &Device {
        match self {
            Self::Device(group) => group.device(),
            Self::Driver(_, held) => held.dev(),
        }
    }

    /// Whether the device is about to leave.
    pub(super) fn leaves(&self) -> bool {
        match self {
            Self::Device(group) => group.device_leaves(),
            Self::Driver(_, held) => held.leaves(),
        }
    }

    /// Answers, and lets the device go.
    pub(super) fn answer(self, service: &FaultService, refusal: Option<Refusal>) {
        match self {
            Self::Device(group) => {
                let response = match &refusal {
                    None => Response::Success,
                    Some(refusal) => {
                        service.tell(&group, refusal);
                        Response::Invalid
                    }
                };

                trace::page_response(&group, response);
                group.respond(response);
            }
            Self::Driver(answer, _held) => {
                *answer.refusal.lock() = refusal;
                answer.done.set();
            }
        }
    }
}

/// What a driver waits for.
#[pin_data]
pub(super) struct Answer {
    #[pin]
    refusal: Mutex<Option<Refusal>>,
    #[pin]
    done: Done,
}

/// A page that a driver has asked for. It is waited for no more when this is dropped.
pub(crate) struct Asked {
    waiting: Arc<Waiting>,
    answer: Arc<Answer>,
}

impl Asked {
    /// Asks for a page of `mm`, which is attached at `attachment`, on behalf of the driver of the
    /// device that is `held`. To be called at a time when it cannot be detached. May sleep for
    /// memory.
    ///
    /// # Errors
    ///
    /// Why it may not wait.
    pub(crate) fn new(
        attachment: &Arc<GroupAttachment>,
        mm: &Mm,
        held: Held,
        request: PageRequest,
    ) -> Result<Self, Reason> {
        let waits = &attachment.handler().waits;
        let mut requests = KVec::new();

        requests
            .push(request, GFP_KERNEL)
            .map_err(|_| Reason::NoMemory)?;
        let answer = Arc::pin_init(
            pin_init!(Answer {
                refusal <- new_mutex!(None, "sva_answer"),
                done <- Done::new(),
            }),
            GFP_KERNEL,
        )
        .map_err(|_: Error| Reason::NoMemory)?;
        let waiting = Waiting::new(attachment.as_arc_borrow(), mm, held.dev(), requests)
            .map_err(Waiting::why_not)?;

        waiting.set_asker(Asker::Driver(answer.clone(), held), None);
        waits.add(&waiting).map_err(|_| Reason::Ending)?;
        Ok(Self { waiting, answer })
    }

    /// Waits until the page is there, or will not come: why. Sleeps.
    ///
    /// # Errors
    ///
    /// `EINTR`: the task is being killed.
    pub(crate) fn wait(&self) -> Result<Option<Reason>> {
        self.answer.done.wait()?;

        let refusal = self.answer.refusal.lock();

        Ok(refusal.map(|refusal| refusal.reason))
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        // It has been answered already, unless the task is being killed.
        let waits = &self.waiting.service().waits;

        waits.give_up(&self.waiting, Reason::Ending);
    }
}
