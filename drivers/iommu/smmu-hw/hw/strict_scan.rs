// SPDX-License-Identifier: GPL-2.0

//! Strict mode: looks through all caches for what is stale, whether or not somebody uses it.

use kernel::time::{
    delay::fsleep,
    Delta, //
};

use super::{
    config,
    engine::Engine,
    pri::ATC_NO_SSID,
    strict::{
        agree,
        look,
        StrictCache,
        StrictReason,
        StrictRecord, //
    },
    tlb::Entry,
    translate::Transaction,
    walk::{
        Access,
        Translation, //
    },
    Smmu, //
};

/// How often, and how long each time, a scan waits for invalidations that are under way.
const PATIENCE: u32 = 100;
const PAUSE: Delta = Delta::from_millis(10);

/// A slot of a cache.
enum Slot {
    Ste(usize),
    Cd(usize),
    Tlb(usize),
    Atc { port: usize, index: usize },
    Walk(usize),
}

/// That something about `sid` and `ssid` is in a cache still.
fn left(cache: StrictCache, sid: u32, ssid: Option<u32>, va: u64, pa: u64) -> StrictRecord {
    StrictRecord {
        cache,
        reason: StrictReason::Left,
        sid,
        ssid,
        va,
        pa,
        write: false,
    }
}

/// Whether `entry` permits an access that `memory` does not, or leads elsewhere.
fn gives_too_much(entry: &Entry, memory: impl Fn(u64, Access) -> Option<Translation>) -> bool {
    let cached = entry.translation();
    let mut accesses = entry.perms.accesses();
    accesses.any(|access| {
        let mut va = entry.va;
        // Memory may have it in smaller parts by now.
        while va.wrapping_sub(entry.va) >> entry.shift == 0 {
            match memory(va, access) {
                Some(now) if agree(Some(now), va, &cached) => {
                    va = (va | ((1 << now.shift) - 1)).wrapping_add(1);
                }
                _ => return true,
            }
        }
        false
    })
}

impl Engine {
    /// What `slot` holds, if memory disagrees.
    fn stale(&self, slot: Slot) -> Option<StrictRecord> {
        match slot {
            Slot::Ste(index) => self.stale_ste(index),
            Slot::Cd(index) => self.stale_cd(index),
            Slot::Tlb(index) => self.stale_in_tlb(index),
            Slot::Atc { port, index } => self.stale_in_atc(port, index),
            Slot::Walk(index) => self.stale_in_walks(index),
        }
    }

    fn stale_ste(&self, index: usize) -> Option<StrictRecord> {
        let (sid, old) = self.cache.ste_slot(index)?;
        let stale = old.v() && self.ste_in_memory(sid) != Ok(old);
        stale.then(|| left(StrictCache::Ste, sid, None, 0, old.s1_context_ptr()))
    }

    fn stale_cd(&self, index: usize) -> Option<StrictRecord> {
        let (sid, ssid, old) = self.cache.cd_slot(index)?;
        let stale = old.v() && self.cd_in_memory(sid, ssid) != Ok(old);
        stale.then(|| left(StrictCache::Cd, sid, Some(ssid), 0, old.ttb0()))
    }

    /// Entries whose address space no cached descriptor names cannot be hit, and are passed over.
    fn stale_in_tlb(&self, index: usize) -> Option<StrictRecord> {
        let entry = self.tlb.entry(index).filter(|entry| !entry.global)?;
        // CAST: Tags of the TLB are ASIDs.
        let (sid, cd) = self.cache.cached_asid(entry.tag as u16)?;
        let stream = self.cache.cached_ste(sid).unwrap_or_default();
        let context = config::check_cd(&self.config, &stream, &cd).ok();
        let stale = gives_too_much(&entry, |va, access| look(&context?, va, access));
        stale.then(|| left(StrictCache::Tlb, sid, None, entry.va, entry.pa))
    }

    /// As for the TLB.
    fn stale_in_walks(&self, index: usize) -> Option<StrictRecord> {
        let entry = self.walks.entry(index)?;
        // CAST: Tags of the walk cache are ASIDs.
        let (sid, cd) = self.cache.cached_asid(entry.asid as u16)?;
        let stream = self.cache.cached_ste(sid).unwrap_or_default();
        let context = config::check_cd(&self.config, &stream, &cd).ok();
        let place = context.and_then(|context| context.place(entry.va));
        let place = place.filter(|place| place.walks);
        let now = place.and_then(|place| place.tables.step_to(place.offset, entry.step.level));
        (now != Some(entry.step))
            .then(|| left(StrictCache::Walk, sid, None, entry.va, entry.step.table))
    }

    fn stale_in_atc(&self, port: usize, index: usize) -> Option<StrictRecord> {
        let port = self.ports[port].as_ref()?;
        let entry = port.atc.entry(index)?;
        let (sid, ssid) = (port.sid, (entry.tag != ATC_NO_SSID).then_some(entry.tag));
        let stale = gives_too_much(&entry, |va, access| {
            self.memory_says(&Transaction {
                sid,
                ssid,
                va,
                access,
            })
        });
        stale.then(|| left(StrictCache::Atc, sid, ssid, entry.va, entry.pa))
    }

    /// The slots of the ATC of `port`, if there is such a port.
    fn atc_slots(&self, port: usize) -> usize {
        let port = self.ports[port].as_ref();
        port.map_or(0, |port| port.atc.capacity())
    }
}

impl Smmu {
    /// Does `f` with each entry that is stale. The lock is let go between entries, so that
    /// interrupts are not off for long.
    fn each_stale(&self, mut f: impl FnMut(&mut Engine, StrictRecord)) {
        let (stes, cds, tlb, walks, ports) = {
            let engine = self.engine().lock();
            let (stes, cds) = engine.cache.slots();
            let (tlb, walks) = (engine.tlb.capacity(), engine.walks.capacity());
            (stes, cds, tlb, walks, engine.ports.len())
        };
        let mut check = |slot| {
            let mut engine = self.engine().lock();
            if let Some(record) = engine.stale(slot) {
                f(&mut engine, record);
            }
        };
        (0..stes).for_each(|index| check(Slot::Ste(index)));
        (0..cds).for_each(|index| check(Slot::Cd(index)));
        (0..tlb).for_each(|index| check(Slot::Tlb(index)));
        (0..walks).for_each(|index| check(Slot::Walk(index)));
        for port in 0..ports {
            let slots = self.engine().lock().atc_slots(port);
            (0..slots).for_each(|index| check(Slot::Atc { port, index }));
        }
    }

    /// Looks through all caches and records what is stale. Gives how many records there are that
    /// nobody has taken. To be called when no mapping and no configuration is being changed. Any
    /// context.
    pub fn strict_check(&self) -> u64 {
        self.engine().lock().settle(|_| Some(StrictReason::Left));
        self.each_stale(|engine, record| engine.strict_record(record, StrictReason::Left));
        self.strict_count()
    }

    /// As [`Self::strict_check`], at any time: gives invalidations that are under way a second to
    /// complete. Sleeps.
    pub fn strict_scan(&self) -> u64 {
        for _ in 0..PATIENCE {
            let mut stale = false;
            self.each_stale(|_, _| stale = true);
            if !stale {
                break;
            }
            fsleep(PAUSE);
        }
        self.strict_check()
    }
}
