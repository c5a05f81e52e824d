// SPDX-License-Identifier: GPL-2.0

//! Stalled transactions (SMMUv3, 3.12.2, 4.6 and 7.3).
//!
//! A transaction that faults in a context that stalls waits inside the SMMU. Its event carries a
//! tag, the STAG, and software ends the wait with one RESUME, or with a STALL_TERM for the whole
//! stream. Nothing else does: invalidations do not look at stalled transactions, and a SYNC does
//! not wait for them. A transaction whose event finds the queue full, off or broken waits too, and
//! is looked up anew when there is room: by then it may do without, or fault in another way. (7.2.1.)

use kernel::{
    alloc::flags::GFP_KERNEL,
    prelude::*, //
};

use crate::{
    fmt::{
        cmd::Resume,
        event::Event, //
    },
    inject::Fault, //
};

use super::{
    engine::Engine,
    queue::Push, //
};

/// How a stall ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Software has decided about this transaction.
    Resumed(Resume),
    /// Software does not know of it: it is as if it had just come.
    Anew,
    /// Software has ended all of the stream, or turned the SMMU off.
    Terminated,
}

/// Where a stalled transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StallState {
    /// The tag is not in use.
    Free,
    /// There was no room for its event.
    Unrecorded,
    /// Software has been told.
    Recorded,
    /// It is over, and the device has not noticed yet.
    Ended(End),
}

/// What stands behind a STAG.
#[derive(Clone, Copy)]
struct Stalled {
    state: StallState,
    event: Event,
    /// The slot of the port that waits; `None` once it has given up.
    port: Option<usize>,
}

/// All stalled transactions of an SMMU. A STAG is an index.
pub(super) struct Stalls {
    tags: KVec<Stalled>,
    /// Where the search for a free tag begins.
    next: usize,
    /// How many wait for room in the event queue.
    unrecorded: usize,
    /// Somebody waits for a free tag.
    starved: bool,
}

impl Stalls {
    /// Makes room for `max` stalled transactions. May sleep.
    pub(super) fn new(max: u16) -> Result<Self> {
        let free = Stalled {
            state: StallState::Free,
            event: Event::default(),
            port: None,
        };
        Ok(Self {
            tags: KVec::from_elem(free, usize::from(max), GFP_KERNEL)?,
            next: 0,
            unrecorded: 0,
            starved: false,
        })
    }

    /// The transactions of `sid`, or of all streams, that wait for software.
    pub(super) fn count(&self, sid: Option<u32>) -> usize {
        let waiting =
            |tag: &&Stalled| matches!(tag.state, StallState::Unrecorded | StallState::Recorded);
        let of = |tag: &&Stalled| sid.is_none_or(|sid| sid == tag.event.sid());
        self.tags.iter().filter(waiting).filter(of).count()
    }

    /// The next free tag, round and round, so that a late RESUME seldom meets a new transaction.
    fn free_tag(&mut self) -> Option<usize> {
        let count = self.tags.len();
        let tag = (0..count)
            .map(|i| (self.next + i) % count)
            .find(|&i| self.tags[i].state == StallState::Free)?;
        self.next = (tag + 1) % count;
        Some(tag)
    }
}

impl Engine {
    /// Stalls the transaction of the port in `slot` that `event` is about. Gives its tag, or `None`
    /// if there are as many already as there can be.
    pub(super) fn stall(&mut self, slot: usize, event: &Event) -> Option<u16> {
        let Some(tag) = self.stalls.free_tag() else {
            self.stalls.starved = true;
            return None;
        };
        // CAST: There are at most 2^16 - 1 tags.
        let event = event.with_stall(true).with_stag(tag as u16);
        let recorded = self.write_event(&event) == Some(Push::Done);
        self.stalls.unrecorded += usize::from(!recorded);
        self.stalls.tags[tag] = Stalled {
            state: if recorded {
                StallState::Recorded
            } else {
                StallState::Unrecorded
            },
            event,
            port: Some(slot),
        };
        if recorded {
            self.stats.stalls += 1;
            if let Some(port) = &mut self.ports[slot] {
                port.stats.stalls += 1;
            }
        }
        Some(tag as u16)
    }

    /// Has the transactions whose events found no room looked up anew, if there is room now.
    pub(super) fn retry_stalls(&mut self) {
        if self.stalls.unrecorded == 0 || !self.events_writable() {
            return;
        }
        for tag in 0..self.stalls.tags.len() {
            if self.stalls.tags[tag].state == StallState::Unrecorded {
                self.stalls.unrecorded -= 1;
                self.end_stall(tag, End::Anew);
            }
        }
    }

    /// RESUME: ends the stall of `stag`. One that is not a stalled transaction of `sid` is ignored.
    pub(super) fn resume(&mut self, sid: u32, stag: u16, resume: Resume) {
        if self.strikes(Fault::ResponseDrop) {
            self.stats.resume_lost += 1;
            return;
        }
        let tag = usize::from(stag);
        let known = self.stalls.tags.get(tag).is_some_and(|stalled| {
            stalled.state == StallState::Recorded && stalled.event.sid() == sid
        });
        if known {
            self.end_stall(tag, End::Resumed(resume));
        } else {
            self.stats.resume_stray += 1;
        }
    }

    /// STALL_TERM: aborts all stalled transactions of `sid`, or of all streams. Events that are not
    /// written yet never will be.
    pub(super) fn terminate_stalls(&mut self, sid: Option<u32>) {
        for tag in 0..self.stalls.tags.len() {
            let Stalled { state, event, .. } = self.stalls.tags[tag];
            if sid.is_some_and(|sid| sid != event.sid()) {
                continue;
            }
            match state {
                StallState::Free | StallState::Ended(_) => continue,
                StallState::Unrecorded => self.stalls.unrecorded -= 1,
                StallState::Recorded => {}
            }
            self.end_stall(tag, End::Terminated);
        }
    }

    fn end_stall(&mut self, tag: usize, end: End) {
        let Some(slot) = self.stalls.tags[tag].port else {
            return self.free_stag(tag);
        };
        self.stalls.tags[tag].state = StallState::Ended(end);
        if let Some(port) = &self.ports[slot] {
            port.wake.condvar.notify_all();
        }
    }

    fn free_stag(&mut self, tag: usize) {
        self.stalls.tags[tag].state = StallState::Free;
        if core::mem::take(&mut self.stalls.starved) {
            for port in self.ports.iter().flatten() {
                port.wake.condvar.notify_all();
            }
        }
    }

    /// How the stall of `stag` has ended, once it has.
    pub(super) fn take_end(&mut self, stag: u16) -> Option<End> {
        let tag = usize::from(stag);
        match self.stalls.tags[tag].state {
            StallState::Ended(end) => {
                self.free_stag(tag);
                Some(end)
            }
            _ => None,
        }
    }

    /// The device waits no longer for the transaction of `stag`. If software has been told of it,
    /// the tag stays in use until it is resumed: software cannot know.
    pub(super) fn abandon_stall(&mut self, stag: u16) {
        let tag = usize::from(stag);
        self.stalls.tags[tag].port = None;
        match self.stalls.tags[tag].state {
            StallState::Unrecorded => self.stalls.unrecorded -= 1,
            StallState::Ended(_) => {}
            StallState::Free | StallState::Recorded => return,
        }
        self.free_stag(tag);
    }
}
