// SPDX-License-Identifier: GPL-2.0

//! From a transaction to a physical address: configuration, TLB, walk, and what a failure leads to.

use kernel::prelude::*;

use crate::fmt::{
    event::{
        self,
        Event,
        EventId, //
    },
    regs::{
        self,
        Cr2,
        Gbpa, //
    },
    ste, //
};

use super::{
    config::{
        self,
        Context,
        Place,
        Reject, //
    },
    engine::Engine,
    pri::PAGE,
    walk::{
        Access,
        Fault,
        Perms,
        Step,
        Translation, //
    }, //
};

/// A transaction that is not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denied {
    /// The device gets an abort.
    Abort,
    /// Reads give zero, writes vanish.
    Ignore,
    /// It waits in the SMMU, under this STAG.
    Stalled(u16),
    /// It would stall if there were room; until there is, it waits outside.
    Crowded,
    /// ATS: nothing there with these permissions; the device may ask for it.
    Missing,
}

/// A transaction on its way in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Transaction {
    pub(super) sid: u32,
    pub(super) ssid: Option<u32>,
    pub(super) va: u64,
    pub(super) access: Access,
}

impl Transaction {
    fn event(&self, id: EventId) -> Event {
        // In one kind of event the SubstreamID always counts.
        let ssv = self.ssid.is_some() && id != EventId::BadSubstreamId;
        Event::default()
            .with_id(id as u8)
            .with_sid(self.sid)
            .with_ssv(ssv)
            .with_ssid(self.ssid.unwrap_or(0))
    }

    fn ats_event(&self, id: EventId) -> Event {
        let event = self.event(id).with_address(self.va & !(PAGE - 1));
        if id == EventId::TranslForbidden {
            return event.with_rnw(!self.access.write);
        }
        // A request asks for reading in any case, and ours for one page.
        event
            .with_treq_read(true)
            .with_treq_write(self.access.write)
            .with_treq_exec(self.access.exec)
            .with_treq_priv(self.access.privileged)
            .with_span(1)
    }

    /// An event of kind `id` that tells what access it was.
    fn access_event(&self, id: EventId) -> Event {
        self.event(id)
            .with_pnu(self.access.privileged)
            .with_ind(self.access.exec)
            .with_rnw(!self.access.write)
            .with_address(self.va)
    }

    fn fault_event(&self, id: EventId) -> Event {
        self.access_event(id).with_class(event::CLASS_IN)
    }
}

impl From<Fault> for EventId {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Walk(_) => EventId::WalkEabt,
            Fault::Translation => EventId::Translation,
            Fault::AddrSize => EventId::AddrSize,
            Fault::Access => EventId::Access,
            Fault::Permission => EventId::Permission,
        }
    }
}

/// Where a transaction's configuration leads.
pub(super) enum Route {
    Abort,
    Bypass,
    Stage1(Context),
}

impl Engine {
    /// The address space of a transaction, by the stream table.
    pub(super) fn route(&mut self, t: &Transaction, ats: bool) -> Result<Route, Reject> {
        let entry = self.cache.ste(&self.regs, &self.config, t.sid)?;
        self.strict_ste(t, &entry);
        let entry = config::check_ste(&self.config, &entry)?;
        match entry.config() {
            ste::CONFIG_BYPASS if ats => return Err(EventId::BadAtsTreq.into()),
            // Without stage 1 there are no substreams.
            ste::CONFIG_BYPASS if t.ssid.is_some() => return Err(EventId::BadSubstreamId.into()),
            ste::CONFIG_BYPASS => return Ok(Route::Bypass),
            ste::CONFIG_S1 => {}
            _ => return Ok(Route::Abort),
        }
        if ats && entry.eats() != ste::EATS_TRANS {
            return Err(EventId::BadAtsTreq.into());
        }
        let Some(ssid) = config::select_cd(&entry, t.ssid)? else {
            return Ok(Route::Bypass);
        };
        let cd = self.cache.cd(&self.config, t.sid, &entry, ssid)?;
        self.strict_cd(t, &entry, ssid, &cd);
        config::check_cd(&self.config, &entry, &cd).map(Route::Stage1)
    }

    /// Whether the event of a configuration error is recorded.
    fn reject(&mut self, t: &Transaction, reject: Reject, ats: bool) -> Denied {
        let recorded = match reject.event {
            EventId::BadStreamId => Cr2::from_raw(self.regs.read32(regs::CR2)).recinvsid(),
            _ => true,
        };
        // Of ATS only its own kinds of errors are.
        let own = matches!(reject.event, EventId::BadAtsTreq | EventId::TranslForbidden);
        if own {
            self.record(&t.ats_event(reject.event));
        } else if recorded && !ats {
            let event = t
                .event(reject.event)
                .with_fetch_address(reject.fetch_address);
            self.record(&event);
        }
        Denied::Abort
    }

    /// The identity, if the address is one that can be put out.
    pub(super) fn bypass(&self, va: u64) -> Result<Translation, Fault> {
        if va >> regs::address_bits(self.config.oas) != 0 {
            return Err(Fault::AddrSize);
        }
        Ok(Translation {
            base: va >> 12 << 12,
            shift: 12,
            perms: Perms::ALL,
            global: true,
        })
    }

    /// Translates by TLB or tables.
    pub(super) fn stage1(
        &mut self,
        context: &Context,
        t: &Transaction,
    ) -> Result<Translation, Fault> {
        let Some(place) = context.place(t.va) else {
            return Err(Fault::Translation);
        };
        let tag = u32::from(context.asid);
        if let Some(hit) = self.tlb.lookup(tag, place.va) {
            if hit.perms.allows(t.access) {
                self.stats.tlb_hits += 1;
                self.strict_tlb(context, t, &hit);
                return Ok(hit);
            }
            // Software may widen permissions without an invalidation, and a clean page becomes
            // writable by a walk: an entry that does not do is evicted and walked anew.
            self.tlb.invalidate_va(Some(tag), place.va);
        }
        if !place.walks {
            return Err(Fault::Translation);
        }
        self.stats.walks += 1;
        let from = self.begin(&place, t, tag);
        let walks = &mut self.walks;
        let translation = place
            .tables
            .walk_from(from, place.offset, t.access, |step| {
                walks.insert(tag, place.va, &place.tables, step);
            })?;
        self.tlb.insert(tag, place.va, translation);
        Ok(translation)
    }

    /// Where the walk for `t` begins: at the deepest table that is cached, else at the top.
    fn begin(&mut self, place: &Place, t: &Transaction, tag: u32) -> Step {
        match self.walks.lookup(tag, place.va, &place.tables) {
            // What was freed is another's by now: not even a driver's mistake is worth that.
            Some(step) if self.strict_walk(place, t, tag, &step) => {
                self.stats.walk_hits += 1;
                step
            }
            _ => place.tables.top(),
        }
    }

    /// A request of a kind that is not supported.
    pub(super) fn unsupported(&mut self, t: &Transaction) -> Denied {
        if self.cr0().smmuen() {
            self.record(&t.access_event(EventId::Uut));
        }
        Denied::Abort
    }

    /// An untranslated request of the port in `slot`.
    pub(super) fn untranslated(
        &mut self,
        slot: usize,
        t: &Transaction,
    ) -> Result<Translation, Denied> {
        if !self.cr0().smmuen() {
            let gbpa = Gbpa::from_raw(self.regs.read32(regs::GBPA));
            return match self.bypass(t.va) {
                Ok(translation) if !gbpa.abort() => Ok(translation),
                _ => Err(Denied::Abort),
            };
        }
        let (result, stall, record, abort) = match self.route(t, false) {
            Ok(Route::Abort) => return Err(Denied::Abort),
            Ok(Route::Bypass) => (self.bypass(t.va), false, true, true),
            Ok(Route::Stage1(context)) => {
                let result = self.stage1(&context, t);
                (result, context.stall, context.record, context.abort)
            }
            Err(reject) => return Err(self.reject(t, reject, false)),
        };
        result.map_err(|fault| {
            if let Fault::Walk(address) = fault {
                let event = t.fault_event(fault.into());
                let event = event.with_class(event::CLASS_TT);
                self.record(&event.with_fetch_address(address));
                return Denied::Abort;
            }
            let event = t.fault_event(fault.into());
            if stall {
                let stag = self.stall(slot, &event);
                return stag.map_or(Denied::Crowded, Denied::Stalled);
            }
            if record {
                self.record(&event);
            }
            if abort {
                Denied::Abort
            } else {
                Denied::Ignore
            }
        })
    }

    /// An ATS translation request. Its failures are told to the device, not to software.
    pub(super) fn ats_request(&mut self, t: &Transaction) -> Result<Translation, Denied> {
        self.stats.ats_requests += 1;
        if !self.cr0().smmuen() {
            return Err(self.reject(t, EventId::BadAtsTreq.into(), true));
        }
        self.find(t, true)
    }

    /// The translation of `t`, as by ATS or as for an untranslated request. No failure is told to
    /// software, but for those that only ATS has.
    pub(super) fn find(&mut self, t: &Transaction, ats: bool) -> Result<Translation, Denied> {
        let result = match self.route(t, ats) {
            Ok(Route::Abort) => return Err(Denied::Abort),
            // What cannot be put out cannot be asked for either.
            Ok(Route::Bypass) => return self.bypass(t.va).map_err(|_| Denied::Abort),
            Ok(Route::Stage1(context)) => self.stage1(&context, t),
            Err(reject) => return Err(self.reject(t, reject, true)),
        };
        result.map_err(|fault| match fault {
            Fault::Walk(_) => Denied::Abort,
            _ => Denied::Missing,
        })
    }

    /// A request that the device has translated: checked if software wants that.
    pub(super) fn translated(&mut self, t: &Transaction) -> Result<(), Denied> {
        let cr0 = self.cr0();
        if !cr0.smmuen() {
            return Err(self.reject(t, EventId::TranslForbidden.into(), true));
        }
        if !cr0.atschk() {
            return Ok(());
        }
        let allowed = self
            .cache
            .ste(&self.regs, &self.config, t.sid)
            .and_then(|entry| {
                let entry = config::check_ste(&self.config, &entry)?;
                match (entry.config(), entry.eats()) {
                    (ste::CONFIG_S1, ste::EATS_TRANS) => Ok(true),
                    (ste::CONFIG_ABORT..=3, _) => Ok(false),
                    _ => Err(EventId::TranslForbidden.into()),
                }
            });
        match allowed {
            Ok(true) => Ok(()),
            Ok(false) => Err(Denied::Abort),
            Err(reject) => Err(self.reject(t, reject, true)),
        }
    }
}
