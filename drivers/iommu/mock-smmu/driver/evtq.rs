// SPDX-License-Identifier: GPL-2.0

//! The event queue's thread: has stalled transactions and hints served, counts all events and
//! prints some.

use super::{
    drain::Drain,
    output_queue::{
        OutputQueue,
        Registers, //
    },
    ratelimit::RateLimit,
    Smmu, //
};
use crate::{
    fmt::{
        event::{
            Event,
            EventId, //
        },
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

/// Kinds of events that are counted one by one; others are counted in the last place.
const KINDS: usize = 0x26;

/// The event queue of one SMMU.
#[pin_data]
pub struct EventQueue {
    queue: OutputQueue<{ Event::WORDS }>,
    counts: [Atomic<u64>; KINDS],
    overflows: Atomic<u64>,
    limit: RateLimit,
    #[pin]
    drain: Drain,
}

impl EventQueue {
    /// Makes a queue of 2^`log2size` events, whose interrupt is `line`. May sleep.
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
            base: regs::EVTQ_BASE,
            prod: regs::EVTQ_PROD,
            cons: regs::EVTQ_CONS,
        };
        let queue = OutputQueue::new(regs, at, log2size)?;
        Ok(pin_init!(Self {
            queue,
            counts: [const { Atomic::new(0) }; KINDS],
            overflows: Atomic::new(0),
            limit: RateLimit::new(),
            drain <- Drain::new(line),
        }))
    }

    /// The queue itself.
    pub fn queue(&self) -> &OutputQueue<{ Event::WORDS }> {
        &self.queue
    }

    /// How many events of the kind `id` there were.
    pub fn count(&self, id: u8) -> u64 {
        self.counter(id).load(Relaxed)
    }

    /// The kinds of which there were any, with their counts.
    pub fn counts(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        let counts = self.counts.iter().map(|count| count.load(Relaxed));
        counts.enumerate().filter(|&(_, count)| count != 0)
    }

    /// How often events were lost.
    pub fn overflows(&self) -> u64 {
        self.overflows.load(Relaxed)
    }

    fn counter(&self, id: u8) -> &Atomic<u64> {
        &self.counts[usize::from(id).min(KINDS - 1)]
    }

    /// Waits until all events that are queued now have been handled: what stalled before has been
    /// reported, or ended.
    ///
    /// Sleeps. Must not be called from the queue's thread, nor with a lock that reporting takes.
    /// The IOMMU group's mutex is none: reporting looks devices up without it.
    pub fn drain(&self) {
        self.drain.wait();
    }

    /// The thread: handles events until the line is closed.
    pub(super) fn serve(&self, smmu: &Smmu) {
        self.drain.serve(|| self.process(smmu));
    }

    /// Handles the events that are there now, not those that come meanwhile: a device that makes
    /// them as fast as they are handled must not keep anybody waiting. Whether there were any.
    fn process(&self, smmu: &Smmu) -> bool {
        let layout = self.queue.layout();
        let (prod, mut cons) = (self.queue.prod(), self.queue.cons());

        if queue::overflowed(prod, cons) {
            self.overflows.fetch_add(1, Relaxed);
            cons = queue::acknowledge(prod, cons);
            self.queue.consume(cons);
        }
        let any = !layout.is_empty(prod, cons);

        while !layout.is_empty(prod, cons) {
            let event = Event::from_words(self.queue.peek(cons));
            cons = layout.advance(cons, 1);
            self.queue.consume(cons);
            self.handle(smmu, &event);
        }
        any
    }

    fn handle(&self, smmu: &Smmu, event: &Event) {
        self.counter(event.id()).fetch_add(1, Relaxed);
        if event.stall() {
            smmu.serve_stall(event);
            return;
        }
        if event.id() == EventId::PageRequest as u8 {
            smmu.serve_hint(event);
            return;
        }
        if !self.limit.allows() {
            return;
        }
        // CAST: One of a few values.
        let (kind, [_, flags, address, _]) = (event.id(), event.words());
        match smmu.client(event.sid()) {
            Some(client) => dev_info!(
                client.device(),
                "event {kind:#04x}, ssid {:#x}, flags {flags:#x}, address {address:#x}\n",
                event.ssid()
            ),
            None => pr_info!("event {kind:#04x} of unknown stream {:#x}\n", event.sid()),
        }
    }
}
