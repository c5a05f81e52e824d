// SPDX-License-Identifier: GPL-2.0

//! Devices that break the rules, for tests of who has to live with them.

use kernel::{
    prelude::*,
    time::{
        delay::fsleep,
        Delta,
        Instant,
        Monotonic, //
    }, //
};

use kernel_ext::thread::KThread;

use crate::fmt::ppr::{
    self,
    PriEntry, //
};

use super::{
    dma::Port,
    engine::Engine,
    pri::{
        PortState,
        PAGE, //
    }, //
};

/// How long the SMMU waits for a device to acknowledge an invalidation.
const ACK_LIMIT: Delta = Delta::from_millis(50);

/// What a device does against the rules. By default, nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lies {
    /// Uses this SubstreamID for all that it was told to do with another.
    pub foreign_ssid: Option<u32>,
    /// Never marks a page request as the last of its group.
    pub no_last: bool,
    /// With each group sends so many groups more, for the pages behind, and waits for none.
    pub flood: u16,
    /// Sends each page request twice.
    pub repeat: bool,
    /// Uses page request group index 0 for everything.
    pub one_group: bool,
    /// Looks at the responses to its page requests so many milliseconds late.
    pub late_ms: u32,
    /// Acknowledges invalidations so many milliseconds late. More than 50, and the SMMU gives up
    /// waiting and fails the SYNC.
    pub ack_ms: u32,
    /// Makes accesses of a kind that the SMMU does not know.
    pub unsupported: bool,
    /// Ignores [`Port::stop`].
    pub unstoppable: bool,
}

impl Engine {
    /// The SYNC that comes must wait for an acknowledgement from the port of `sid`.
    pub(super) fn delay_sync(&mut self, sid: u32) {
        let Some(port) = self.port_of(sid).filter(|port| port.lies.ack_ms != 0) else {
            return;
        };
        port.stats.lies += 1;
        let delay = Delta::from_millis(i64::from(port.lies.ack_ms));
        self.acknowledgement = Some(Acknowledgement {
            asked: Instant::now(),
            delay,
        });
    }

    /// Sends page requests that nobody should send, after the one that should be `request`.
    pub(super) fn flood(&mut self, slot: usize, request: &PriEntry) {
        let lies = self.ports[slot].as_ref().map(|port| port.lies);
        let Some(lies) = lies.filter(|lies| lies.flood != 0) else {
            return;
        };
        for i in 1..=lies.flood {
            let group = (u32::from(request.group()) + u32::from(i)) % ppr::GROUPS as u32;
            let request = request
                .with_group(group as u16)
                .with_address(request.address().wrapping_add(u64::from(i) * PAGE))
                .with_last(true);
            self.page_request(&request);
        }
        if let Some(port) = &mut self.ports[slot] {
            port.stats.lies += u64::from(lies.flood);
        }
    }
}

/// An invalidation that a device has not acknowledged.
pub(super) struct Acknowledgement {
    asked: Instant<Monotonic>,
    delay: Delta,
}

/// What a SYNC finds when it waits for an acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ack {
    Here,
    Awaited,
    /// It did not come in time.
    Missing,
}

impl Acknowledgement {
    pub(super) fn state(&self) -> Ack {
        let waited = self.asked.elapsed();
        if waited >= self.delay {
            Ack::Here
        } else if waited >= ACK_LIMIT {
            Ack::Missing
        } else {
            Ack::Awaited
        }
    }
}

impl PortState {
    /// Forgets the groups for which nobody waits.
    fn forget_abandoned(&mut self) {
        self.groups.forget_abandoned(|_| true);
        self.wake.condvar.notify_all();
    }
}

impl Port {
    /// Has the device break the rules as `lies` says from now on. It is reset for that: page
    /// requests that it has given up are forgotten, and responses to them will be strays. Sleeps.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn set_lies(&self, lies: Lies) -> Result {
        // A late acknowledgement needs somebody to have the SMMU look again.
        let thread = if lies.ack_ms != 0 {
            let smmu = self.smmu.clone();
            Some(KThread::spawn(c"mock-smmu-late", move |stop| {
                while !stop.requested() {
                    smmu.poll();
                    fsleep(Delta::from_millis(1));
                }
            })?)
        } else {
            None
        };
        let old = self.with_state(|state| {
            state.lies = lies;
            state.forget_abandoned();
            core::mem::replace(&mut state.late, thread)
        });
        // Waits for the thread's end, so not under the lock.
        drop(old);
        // The SMMU must not wait for an acknowledgement that nobody reminds it of.
        self.smmu.engine().lock().acknowledgement = None;
        self.smmu.poll();
        Ok(())
    }
}
