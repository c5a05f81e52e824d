// SPDX-License-Identifier: GPL-2.0

//! Stalled transactions: from events to the kernel's I/O page-fault core, and back by RESUME.
//!
//! A transaction that stalls waits in the SMMU until software resumes it. Each gets exactly one
//! RESUME: from who serves the fault, or here if nobody does. (SMMUv3, 3.12.2 and 4.6.)

use super::{
    report,
    Smmu, //
};
use crate::fmt::{
    cmd::{
        Command,
        Resume, //
    },
    event::{
        Event,
        EventId, //
    }, //
};
use kernel::{
    page::PAGE_SIZE,
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};
use kernel_ext::{
    fault::{
        Access,
        AccessKind,
        Response, //
    },
    iopf_queue::FaultReport, //
};

/// Marks the group index of a stalled transaction: those of page request groups are smaller.
const STALLED: u32 = 1 << 16;

/// Counters of stalled transactions.
pub struct StallStats {
    /// Events of stalled transactions.
    pub events: Atomic<u64>,
    /// Of them, those that were ended here, since nobody serves them.
    pub refused: Atomic<u64>,
    /// RESUME commands sent.
    pub resumes: Atomic<u64>,
}

impl StallStats {
    pub(super) const fn new() -> Self {
        Self {
            events: Atomic::new(0),
            refused: Atomic::new(0),
            resumes: Atomic::new(0),
        }
    }
}

/// The STAG behind the group index of a response, if it is for a stalled transaction.
pub(super) fn stag_of(group: u32) -> Option<u16> {
    // CAST: The STAG is the lower half.
    (group & STALLED != 0).then_some(group as u16)
}

/// What a stalled transaction asks for; `None` if no page can help it.
fn decode(event: &Event) -> Option<FaultReport> {
    let served = [EventId::Translation, EventId::Access, EventId::Permission];
    if !served.iter().any(|&id| id as u8 == event.id()) {
        return None;
    }
    let mut access = Access::default();
    for (wanted, kind) in [
        (event.rnw(), AccessKind::Read),
        (!event.rnw(), AccessKind::Write),
        (event.ind(), AccessKind::Exec),
        (event.pnu(), AccessKind::Privileged),
    ] {
        if wanted {
            access |= kind;
        }
    }
    Some(FaultReport {
        pasid: event.ssv().then(|| event.ssid()),
        group: STALLED | u32::from(event.stag()),
        last: true,
        access,
        addr: event.address() & !(PAGE_SIZE as u64 - 1),
    })
}

impl Smmu {
    /// Has somebody serve the fault of a stalled transaction. For the event queue's thread.
    pub(super) fn serve_stall(&self, event: &Event) {
        self.stalls.events.fetch_add(1, Relaxed);

        let request = decode(event);
        // A detach removes the bond first and then drains. So a device that goes on cannot have the
        // core look at what is being freed.
        let client = self.client(event.sid());
        let served = client.zip(request).is_some_and(|(client, request)| {
            let addr = client.data().untagged(request.pasid, request.addr);

            // Errors but this one mean that the core has seen to the response.
            addr.is_some_and(|addr| {
                client.faults().report(FaultReport { addr, ..request }) != Err(ENODEV)
            })
        });
        if !served {
            self.stalls.refused.fetch_add(1, Relaxed);
            self.resume(event.sid(), event.stag(), Response::Invalid);
        }
    }

    /// Aborts all of a stream that still waits in the SMMU. Nothing of the stream may stall any more.
    /// Any context.
    pub(super) fn terminate_stalls(&self, sid: u32) -> Result {
        self.cmdq.run(|batch| batch.push(Command::stall_term(sid)))
    }

    /// Ends a stall: the transaction is looked up again, or aborts. Any context.
    pub(super) fn resume(&self, sid: u32, stag: u16, response: Response) {
        let resume = match response {
            Response::Success => Resume::Retry,
            Response::Invalid | Response::Failure => Resume::Abort,
        };
        self.stalls.resumes.fetch_add(1, Relaxed);
        report(
            self.cmdq
                .run(|batch| batch.push(Command::resume(sid, stag, resume))),
        );
    }
}

#[kunit_tests(smmu_driver_stall)]
mod tests {
    use super::*;

    #[test]
    fn decoding() {
        let event = Event::default()
            .with_id(EventId::Translation as u8)
            .with_sid(7)
            .with_ssv(true)
            .with_ssid(0xf_ffff)
            .with_stall(true)
            .with_stag(0xffff)
            .with_rnw(true)
            .with_ind(true)
            .with_address(0xffff_ffff_ffff);
        let request = decode(&event);
        assert_eq!(
            request,
            Some(FaultReport {
                pasid: Some(0xf_ffff),
                group: 0x1_ffff,
                last: true,
                access: AccessKind::Read | AccessKind::Exec,
                addr: 0xffff_ffff_ffff & !(PAGE_SIZE as u64 - 1),
            })
        );
        let write = decode(&event.with_rnw(false).with_ind(false).with_ssv(false));
        assert!(write.is_some_and(|w| w.pasid.is_none() && w.access == AccessKind::Write.into()));
        for id in [EventId::Access, EventId::Permission] {
            assert!(decode(&event.with_id(id as u8)).is_some());
        }
        assert_eq!(decode(&event.with_id(EventId::AddrSize as u8)), None);
    }

    #[test]
    fn stags_are_not_groups() {
        for group in 0..512 {
            assert_eq!(stag_of(group), None);
        }
        for stag in [0, 1, 511, 512, 0xffff] {
            assert_eq!(stag_of(STALLED | u32::from(stag)), Some(stag));
        }
    }
}
