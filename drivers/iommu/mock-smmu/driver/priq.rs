// SPDX-License-Identifier: GPL-2.0

//! The page request queue's thread: from queue entries to the kernel's I/O page-fault core.

use super::{
    drain::Drain,
    output_queue::{
        OutputQueue,
        Registers, //
    },
    Client,
    Smmu, //
};
use crate::{
    fmt::{
        ppr,
        queue,
        regs, //
    },
    line::Line,
    mmio::RegisterFile, //
};
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    },
};
use kernel_ext::{
    fault::{
        Access,
        AccessKind,
        Response, //
    },
    iopf_queue::FaultReport, //
};

/// How many requests are taken before the hardware gets their places back, at most.
const CHUNK: u32 = 16;

/// Counters of the queue.
pub struct PriStats {
    /// Page requests taken from the queue.
    pub requests: Atomic<u64>,
    /// Of them, those that were the last of their group.
    pub groups: Atomic<u64>,
    /// Stop markers, which are dropped.
    pub stop_markers: Atomic<u64>,
    /// Responses sent.
    pub responses: Atomic<u64>,
    /// Groups that were refused here, since no device or no fault handler takes them.
    pub refused: Atomic<u64>,
    /// How often requests were lost.
    pub overflows: Atomic<u64>,
}

impl PriStats {
    const fn new() -> Self {
        Self {
            requests: Atomic::new(0),
            groups: Atomic::new(0),
            stop_markers: Atomic::new(0),
            responses: Atomic::new(0),
            refused: Atomic::new(0),
            overflows: Atomic::new(0),
        }
    }
}

/// The page request queue of one SMMU.
#[pin_data]
pub struct PriQueue {
    queue: OutputQueue<{ ppr::PriEntry::WORDS }>,
    stats: PriStats,
    #[pin]
    drain: Drain,
}

impl PriQueue {
    /// Makes a queue of 2^`log2size` requests, whose interrupt is `line`. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new(
        regs: Arc<RegisterFile>,
        line: Arc<Line>,
        log2size: u8,
    ) -> Result<impl PinInit<Self>> {
        let at = Registers {
            base: regs::PRIQ_BASE,
            prod: regs::PRIQ_PROD,
            cons: regs::PRIQ_CONS,
        };
        let queue = OutputQueue::new(regs, at, log2size)?;
        Ok(pin_init!(Self {
            queue,
            stats: PriStats::new(),
            drain <- Drain::new(line),
        }))
    }

    /// The queue itself.
    pub fn queue(&self) -> &OutputQueue<{ ppr::PriEntry::WORDS }> {
        &self.queue
    }

    /// The counters.
    pub fn stats(&self) -> &PriStats {
        &self.stats
    }

    /// Waits until all requests that are queued now have been reported.
    ///
    /// Sleeps. Must not be called from the queue's thread, nor with a lock that reporting takes.
    /// The IOMMU group's mutex is none: reporting looks devices up without it.
    pub fn drain(&self) {
        self.drain.wait();
    }

    /// The thread: handles requests until the line is closed.
    pub(super) fn serve(&self, smmu: &Smmu) {
        self.drain.serve(|| self.process(smmu));
    }

    /// Handles the requests that were queued when it was called. Whether there were any.
    fn process(&self, smmu: &Smmu) -> bool {
        let layout = self.queue.layout();
        let (prod, mut cons) = (self.queue.prod(), self.queue.cons());
        let overflowed = queue::overflowed(prod, cons);

        if layout.is_empty(prod, cons) && !overflowed {
            return false;
        }
        while !layout.is_empty(prod, cons) {
            let request = ppr::PriEntry::from_words(self.queue.peek(cons));
            cons = layout.advance(cons, 1);
            // Each time is a write to a register; but serving a group may take long.
            let due = request.last() || cons % CHUNK == 0 || layout.is_empty(prod, cons);

            if due && !overflowed {
                self.queue.consume(cons);
            }
            self.handle(smmu, &request);
        }
        if overflowed {
            // Until it is acknowledged the hardware writes nothing, so this was all. The last
            // requests of groups may be among the lost: the hardware answered those, and what came
            // of them before must not join a later group of the same index. (SMMUv3, 8.2.)
            self.stats.overflows.fetch_add(1, Relaxed);
            smmu.discard_partial_groups();
            self.queue.consume(queue::acknowledge(prod, cons));
        }
        true
    }

    fn handle(&self, smmu: &Smmu, request: &ppr::PriEntry) {
        self.stats.requests.fetch_add(1, Relaxed);
        let Some(decoded) = decode(request) else {
            self.stats.stop_markers.fetch_add(1, Relaxed);
            return;
        };
        if decoded.last {
            self.stats.groups.fetch_add(1, Relaxed);
        }

        let report = |client: &Client| {
            // A detach removes the bond first and then drains. So a device that goes on asking
            // cannot have the core look at what is being freed.
            let addr = client.data().untagged(decoded.pasid, decoded.addr);

            client.faults().report(FaultReport {
                addr: addr.ok_or(ENODEV)?,
                ..decoded
            })
        };
        let refusal = match smmu.client(request.sid()) {
            // Nothing that the device is attached to handles page requests. Other errors mean that
            // the core has seen to the response.
            Some(client) if report(&client) == Err(ENODEV) => Some(Response::Invalid),
            Some(_) => None,
            None => Some(Response::Failure),
        };

        if let (Some(response), true) = (refusal, decoded.last) {
            self.stats.refused.fetch_add(1, Relaxed);
            smmu.respond(request.sid(), decoded.pasid, decoded.group, response);
        }
    }
}

/// What a queue entry asks for; `None` for a stop marker.
fn decode(request: &ppr::PriEntry) -> Option<FaultReport> {
    if request.is_stop_marker() {
        return None;
    }
    let mut access = Access::default();
    for (wanted, kind) in [
        (request.read(), AccessKind::Read),
        (request.write(), AccessKind::Write),
        (request.exec(), AccessKind::Exec),
        (request.privileged(), AccessKind::Privileged),
    ] {
        if wanted {
            access |= kind;
        }
    }
    Some(FaultReport {
        pasid: request.ssv().then(|| request.ssid()),
        group: u32::from(request.group()),
        last: request.last(),
        access,
        addr: request.address(),
    })
}

#[kunit_tests(smmu_driver_priq)]
mod tests {
    use super::*;

    #[test]
    fn decoding() {
        let request = ppr::PriEntry::default()
            .with_sid(7)
            .with_ssid(0xf_ffff)
            .with_ssv(true)
            .with_write(true)
            .with_read(true)
            .with_group(511)
            .with_address(0xffff_ffff_f000);
        let decoded = decode(&request);
        assert_eq!(
            decoded,
            Some(FaultReport {
                pasid: Some(0xf_ffff),
                group: 511,
                last: false,
                access: AccessKind::Read | AccessKind::Write,
                addr: 0xffff_ffff_f000,
            })
        );
        let decoded = decode(&request.with_ssv(false).with_last(true));
        assert!(decoded.is_some_and(|d| d.pasid.is_none() && d.last));
        let fetch = request
            .with_write(false)
            .with_exec(true)
            .with_privileged(true);
        let kinds = AccessKind::Read | AccessKind::Exec | AccessKind::Privileged;
        assert!(decode(&fetch).is_some_and(|d| d.access == kinds));
    }

    #[test]
    fn stop_marker_is_dropped() {
        let marker = ppr::PriEntry::default()
            .with_ssv(true)
            .with_ssid(3)
            .with_last(true);
        assert_eq!(decode(&marker), None);
        assert!(decode(&marker.with_read(true)).is_some());
    }
}
