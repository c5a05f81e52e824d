// SPDX-License-Identifier: GPL-2.0

//! Page requests and their responses, on both ends: the page request queue of the SMMU, and the
//! groups that each port has under way (SMMUv3, 3.13 and chapter 8; PCIe, 10.4).

use kernel::{
    prelude::*,
    sync::{
        new_condvar,
        Arc,
        CondVar, //
    }, //
};

use kernel_ext::thread::KThread;

use crate::{
    fmt::{
        ppr::{
            PriEntry,
            Response, //
        },
        regs::Gerror, //
    },
    inject::Fault, //
};

use super::{
    config,
    dma::PortConfig,
    engine::Engine,
    fabric::Fabric,
    groups::{
        Group,
        Groups, //
    },
    lies::Lies,
    queue::Push,
    stats::PortStats,
    tlb::Tlb,
    translate::{
        Denied,
        Transaction, //
    }, //
};

/// Most pages that one group asks for.
pub(super) const GROUP_PAGES: usize = 64;

const ATC_ENTRIES: usize = 512;
/// Tags the translations of accesses without a SubstreamID; larger than any of those.
pub(super) const ATC_NO_SSID: u32 = u32::MAX;
/// The unit of page requests, and of accesses.
pub(super) const PAGE: u64 = 4096;

/// Where the threads of a port wait for responses.
#[pin_data]
pub(super) struct Wake {
    #[pin]
    pub(super) condvar: CondVar,
}

/// The state of a port that the hardware has to do with.
pub(super) struct PortState {
    pub(super) sid: u32,
    pub(super) config: PortConfig,
    pub(super) atc: Tlb,
    /// The bus, if there is one.
    pub(super) fabric: Option<Arc<dyn Fabric>>,
    /// When ATS began, of which there may be translations.
    pub(super) ats_since: Option<u32>,
    pub(super) groups: Groups,
    pub(super) stopped: bool,
    pub(super) lies: Lies,
    /// Has the SMMU look for late acknowledgements.
    pub(super) late: Option<KThread>,
    /// Submitted work that has not ended.
    pub(super) pending: u32,
    pub(super) stats: PortStats,
    pub(super) wake: Arc<Wake>,
}

impl PortState {
    /// Makes the state of an idle port. May sleep.
    pub(super) fn new(sid: u32, config: PortConfig) -> Result<Self> {
        Ok(Self {
            sid,
            config,
            atc: Tlb::new(ATC_ENTRIES)?,
            fabric: None,
            ats_since: None,
            groups: Groups::new()?,
            stopped: false,
            lies: Lies::default(),
            late: None,
            pending: 0,
            stats: PortStats::default(),
            wake: Arc::pin_init(
                pin_init!(Wake {
                    condvar <- new_condvar!("mock_smmu_port"),
                }),
                GFP_KERNEL,
            )?,
        })
    }

    /// A free group index.
    fn free_group(&mut self) -> Option<usize> {
        if self.lies.one_group {
            self.stats.lies += 1;
            self.groups.set(0, Group::Free);
            return Some(0);
        }
        self.groups.next_free()
    }
}

#[cfg(CONFIG_KUNIT = "y")]
impl super::Smmu {
    /// For tests: sends a page request. Gives the SMMU's own response, if it answered.
    pub fn send_page_request(&self, request: &PriEntry) -> Option<Response> {
        let mut engine = self.engine().lock();
        let sent = engine.page_request(request);
        engine.signal_page_requests();
        match sent {
            Sent::Answered(response) => Some(response),
            _ => None,
        }
    }
}

/// What became of a page request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    Queued,
    /// Lost without a trace.
    Dropped,
    /// Lost; the SMMU answers the group itself.
    Answered(Response),
    /// Lost; the SMMU's own answer is not one that the device takes.
    Ignored,
}

impl Engine {
    /// Takes in a page request.
    pub(super) fn page_request(&mut self, request: &PriEntry) -> Sent {
        let cr0 = self.cr0();
        let sent = if !cr0.smmuen() || !cr0.priqen() || self.active_errors().priq_abt_err() {
            self.refused(request)
        } else if self.priq.overflowed(&self.regs) {
            // Nothing is written until software has seen that something is missing.
            self.lost(request)
        } else {
            let push = if self.strikes(Fault::QueueFull) {
                Push::Full
            } else {
                self.priq.push(&mut self.regs, &request.words())
            };
            match push {
                Push::Done => Sent::Queued,
                Push::Full => {
                    self.priq.overflow(&mut self.regs);
                    self.lost(request)
                }
                Push::Unwritable => {
                    self.global_error(Gerror::default().with_priq_abt_err(true));
                    self.refused(request)
                }
            }
        };
        match sent {
            Sent::Queued => self.stats.page_requests += 1,
            Sent::Dropped => self.stats.page_requests_lost += 1,
            Sent::Answered(_) | Sent::Ignored => {
                self.stats.page_requests_lost += 1;
                self.stats.auto_responses += 1;
            }
        }
        sent
    }

    /// A request while the queue is off or broken. The SMMU answers each itself, without the PASID.
    /// (SMMUv3, 8.2.)
    fn refused(&mut self, request: &PriEntry) -> Sent {
        if request.is_stop_marker() {
            return Sent::Dropped;
        }
        self.answered(request, None, Response::Failure)
    }

    /// A request for which there is no room. The SMMU answers the last of a group itself: a response
    /// of success has the device try again. (SMMUv3, 8.1.)
    fn lost(&mut self, request: &PriEntry) -> Sent {
        if !request.last() || request.is_stop_marker() {
            return Sent::Dropped;
        }
        let ssid = request.ssv().then_some(request.ssid());
        if ssid.is_none() || self.config.pps {
            return self.answered(request, ssid, Response::Success);
        }
        // Whether the response carries the PASID is up to the stream.
        let entry = self.cache.ste(&self.regs, &self.config, request.sid());
        match entry.and_then(|ste| config::check_ste(&self.config, &ste)) {
            Ok(ste) => self.answered(request, ssid.filter(|_| ste.ppar()), Response::Success),
            Err(_) => self.answered(request, None, Response::Failure),
        }
    }

    /// What the device makes of an automatic response with this PASID.
    fn answered(&mut self, request: &PriEntry, ssid: Option<u32>, response: Response) -> Sent {
        let own = request.ssv().then_some(request.ssid());
        let port = self.port_of(request.sid());
        if port.is_none_or(|port| port.config.accepts(ssid, own)) {
            Sent::Answered(response)
        } else {
            Sent::Ignored
        }
    }

    /// PRI_RESP: hands the response to the port that waits for it. A response that fits no group
    /// is dropped.
    pub(super) fn respond(&mut self, sid: u32, ssid: Option<u32>, group: u16, response: Response) {
        if self.strikes(Fault::ResponseDrop) {
            self.stats.pri_resp_lost += 1;
            return;
        }
        let answered = self
            .port_of(sid)
            .is_some_and(|port| port.respond(ssid, group, response));
        if !answered {
            self.stats.pri_resp_stray += 1;
        }
    }

    /// Asks for the page of `t` and for what else is missing in the `len` bytes from there, in one
    /// group. Gives its index and how many pages it asks for, or `None` if the port has too much
    /// under way already.
    pub(super) fn send_group(
        &mut self,
        slot: usize,
        t: &Transaction,
        len: u64,
    ) -> Option<(usize, usize)> {
        let port = self.ports[slot].as_mut()?;
        let budget = port.groups.room(port.config.max_outstanding, t.ssid);
        let budget = budget.min(GROUP_PAGES);
        if budget == 0 {
            return None;
        }
        let lies = port.lies;
        let group = port.free_group()?;

        let first = t.va & !(PAGE - 1);
        let span = len.saturating_add(t.va - first).div_ceil(PAGE);
        let mut missing = [first; GROUP_PAGES];
        let mut pages = 1;
        for i in 1..span.min(GROUP_PAGES as u64) {
            if pages == budget {
                break;
            }
            let va = first.wrapping_add(i * PAGE);
            match self.locate(slot, &Transaction { va, ..*t }) {
                Ok(_) => {}
                Err(Denied::Missing) => {
                    missing[pages] = va;
                    pages += 1;
                }
                Err(_) => break,
            }
        }

        let request = PriEntry::default()
            .with_sid(t.sid)
            .with_ssv(t.ssid.is_some())
            .with_ssid(t.ssid.unwrap_or(0))
            .with_read(t.access.read)
            .with_write(t.access.write)
            .with_exec(t.access.exec)
            .with_privileged(t.access.privileged)
            .with_group(group as u16);
        let mut sent = Sent::Dropped;
        for (i, va) in missing[..pages].iter().enumerate() {
            let last = i + 1 == pages && !lies.no_last;
            let request = request.with_address(*va).with_last(last);
            sent = self.page_request(&request);
            if lies.repeat {
                self.page_request(&request);
            }
            if matches!(sent, Sent::Answered(_)) {
                break;
            }
        }
        self.flood(slot, &request.with_address(missing[pages - 1]));
        self.signal_page_requests();

        let port = self.ports[slot].as_mut()?;
        if lies.repeat || lies.no_last {
            port.stats.lies += 1;
        }
        port.stats.page_requests += pages as u64;
        port.stats.groups += 1;
        let state = match sent {
            Sent::Answered(response) => Group::Answered {
                response,
                auto: true,
            },
            _ => Group::Waiting {
                pages: pages as u16,
                ssid: t.ssid,
            },
        };
        port.groups.set(group, state);
        Some((group, pages))
    }

    /// Sends a stop marker: no more requests of the port for `ssid` follow. The device waits for no
    /// response to those that it gave up.
    pub(super) fn stop_marker(&mut self, sid: u32, ssid: u32) {
        if let Some(port) = self.port_of(sid) {
            port.groups.forget_abandoned(|own| own == Some(ssid));
            port.wake.condvar.notify_all();
        }
        let marker = PriEntry::default()
            .with_sid(sid)
            .with_ssv(true)
            .with_ssid(ssid)
            .with_last(true);
        self.page_request(&marker);
        self.signal_page_requests();
    }
}

impl PortState {
    /// Takes a response. Gives whether a group waited for it.
    fn respond(&mut self, ssid: Option<u32>, group: u16, response: Response) -> bool {
        let index = usize::from(group);
        let next = match self.groups.get(index) {
            Some(Group::Waiting { ssid: own, .. }) if self.config.accepts(ssid, own) => {
                Group::Answered {
                    response,
                    auto: false,
                }
            }
            Some(Group::Abandoned { ssid: own }) if self.config.accepts(ssid, own) => Group::Free,
            _ => return false,
        };
        self.groups.set(index, next);
        match response {
            Response::Success => self.stats.responses_success += 1,
            Response::Invalid => self.stats.responses_invalid += 1,
            Response::Failure => self.stats.responses_failure += 1,
        }
        self.wake.condvar.notify_all();
        true
    }

    /// Takes the response to `group`, if it has come.
    pub(super) fn take_response(&mut self, group: usize) -> Option<(Response, bool)> {
        match self.groups.get(group) {
            Some(Group::Answered { response, auto }) => {
                self.groups.set(group, Group::Free);
                // Somebody may wait for an index.
                self.wake.condvar.notify_all();
                Some((response, auto))
            }
            _ => None,
        }
    }

    /// Waits for `group` no longer.
    pub(super) fn abandon(&mut self, group: usize) {
        if let Some(Group::Waiting { ssid, .. }) = self.groups.get(group) {
            self.groups.set(group, Group::Abandoned { ssid });
            self.stats.abandoned += 1;
            // Somebody may wait for credits.
            self.wake.condvar.notify_all();
        }
    }
}
