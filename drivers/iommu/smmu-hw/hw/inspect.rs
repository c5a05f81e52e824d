// SPDX-License-Identifier: GPL-2.0

//! Looking at the state from outside: for tests and for debugfs.

use crate::fmt::{
    cd::Cd,
    event::EventId,
    queue::Layout,
    ste::{
        self,
        Ste, //
    }, //
};

use super::{
    config,
    engine::Engine,
    queue::Queue,
    tlb::Entry as TlbEntry,
    Smmu, //
};

/// One of the three queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhichQueue {
    /// Commands: two words an entry.
    Commands,
    /// Events: four words an entry.
    Events,
    /// Page requests: two words an entry.
    PageRequests,
}

impl Engine {
    fn queue(&self, which: WhichQueue) -> &Queue {
        match which {
            WhichQueue::Commands => &self.cmdq,
            WhichQueue::Events => &self.evtq,
            WhichQueue::PageRequests => &self.priq,
        }
    }

    /// The stream table entry of `sid` as it stands in memory, past the caches, or the event that
    /// tells why there is none.
    pub(super) fn ste_in_memory(&self, sid: u32) -> Result<Ste, EventId> {
        config::fetch_ste(&self.regs, &self.config, sid).map_err(|reject| reject.event)
    }

    /// The context descriptor of `sid` and `ssid`, likewise.
    pub(super) fn cd_in_memory(&self, sid: u32, ssid: u32) -> Result<Cd, EventId> {
        let entry = self.ste_in_memory(sid)?;
        let ste = config::check_ste(&self.config, &entry).map_err(|reject| reject.event)?;
        if ste.config() != ste::CONFIG_S1 || u64::from(ssid) >> ste.s1_cd_max() != 0 {
            return Err(EventId::BadSubstreamId);
        }
        config::fetch_cd(&self.config, &ste, ssid).map_err(|reject| reject.event)
    }
}

impl Smmu {
    /// How many transactions of `sid` are stalled, or of all streams. Any context.
    pub fn stalled(&self, sid: Option<u32>) -> usize {
        self.engine.lock().stalls.count(sid)
    }

    /// The stream table entry of `sid` as it stands in memory, past the caches, or the event that
    /// tells why there is none. Any context.
    pub fn fetch_ste(&self, sid: u32) -> Result<Ste, EventId> {
        self.engine.lock().ste_in_memory(sid)
    }

    /// The context descriptor of `sid` and `ssid`, likewise. Any context.
    pub fn fetch_cd(&self, sid: u32, ssid: u32) -> Result<Cd, EventId> {
        self.engine.lock().cd_in_memory(sid, ssid)
    }

    /// As [`Self::fetch_ste`].
    pub fn ste(&self, sid: u32) -> Option<Ste> {
        self.fetch_ste(sid).ok()
    }

    /// As [`Self::fetch_cd`].
    pub fn cd(&self, sid: u32, ssid: u32) -> Option<Cd> {
        self.fetch_cd(sid, ssid).ok()
    }

    /// What slot `index` of the TLB holds; the outer `None` is past the last slot. Any context.
    pub fn tlb_entry(&self, index: usize) -> Option<Option<TlbEntry>> {
        let engine = self.engine.lock();
        (index < engine.tlb.capacity()).then(|| engine.tlb.entry(index))
    }

    /// What slot `index` of the ATC of `sid` holds; the outer `None` is past the last slot or no
    /// such port. Any context.
    pub fn atc_entry(&self, sid: u32, index: usize) -> Option<Option<TlbEntry>> {
        let mut engine = self.engine.lock();
        let atc = &engine.port_of(sid)?.atc;
        (index < atc.capacity()).then(|| atc.entry(index))
    }

    /// The lowest StreamID from `from` on that has a port. Any context.
    pub fn next_stream(&self, from: u32) -> Option<u32> {
        let engine = self.engine.lock();
        let streams = engine.ports.iter().flatten().map(|port| port.sid);
        streams.filter(|&sid| sid >= from).min()
    }

    /// A register of 32 bits; 0 where there is none. Any context.
    pub fn register32(&self, offset: usize) -> u32 {
        self.engine.lock().regs.read32(offset)
    }

    /// A register of 64 bits; 0 where there is none. Any context.
    pub fn register64(&self, offset: usize) -> u64 {
        self.engine.lock().regs.read64(offset)
    }

    /// How a queue lies in memory, and its PROD and CONS. Any context.
    pub fn queue_pointers(&self, which: WhichQueue) -> (Layout, u32, u32) {
        let engine = self.engine.lock();
        let (queue, regs) = (engine.queue(which), &engine.regs);
        (
            queue.layout(regs),
            regs.read32(queue.prod),
            regs.read32(queue.cons),
        )
    }

    /// The words of entry `index` of a queue, past use if it is not queued now; `None` past the
    /// last entry or if the queue is not in memory. Any context.
    pub fn queue_entry(&self, which: WhichQueue, index: u32) -> Option<[u64; 4]> {
        let engine = self.engine.lock();
        let queue = engine.queue(which);
        if index >= queue.layout(&engine.regs).entries() {
            return None;
        }
        let entry = queue.entry(&engine.regs, index).ok()?;
        let mut words = [0; 4];
        for (i, word) in words.iter_mut().enumerate().take(entry.len() / 8) {
            *word = entry.load64(8 * i).ok()?;
        }
        Some(words)
    }
}
