// SPDX-License-Identifier: GPL-2.0

//! Strict mode: finds accesses that only a missing or late invalidation lets through.
//!
//! At each hit in a cache the structures in memory are looked up again. If they say something else,
//! the hit is legal as long as the invalidation is under way. So it is only a suspicion, which the
//! command that drops the stale entry clears. It becomes a record if the entry is still there long
//! after ([`OVERDUE`]), or when somebody checks at a time when nothing can be under way; and at
//! once if the memory that the access hits has been freed, which must not happen before the
//! invalidation is complete.

use kernel::{
    alloc::flags::GFP_KERNEL,
    fmt::{
        self,
        Formatter, //
    },
    prelude::*,
    time::{
        Delta,
        Instant,
        Monotonic, //
    }, //
};

use kernel_ext::phys;

use crate::fmt::{
    cd::Cd,
    ste::{
        self,
        Ste, //
    }, //
};

use super::{
    config::{
        self,
        Context,
        Place, //
    },
    engine::Engine,
    pri::ATC_NO_SSID,
    translate::{
        Route,
        Transaction, //
    },
    walk::{
        Access,
        Step,
        Translation,
        LAST_LEVEL, //
    },
    Smmu, //
};

/// How long an invalidation may be under way. It takes microseconds, but whoever is about to issue
/// it may not run for long on a busy machine.
const OVERDUE: Delta = Delta::from_secs(20);

/// Most suspicions at once, and most records that are kept; the counters know of all.
const KEPT: usize = 32;

/// Where a stale entry was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StrictCache {
    /// Stream table entries.
    Ste,
    /// Context descriptors.
    Cd,
    /// The SMMU's translations.
    Tlb,
    /// A device's translations.
    Atc,
    /// Tables of the upper levels.
    Walk,
}

/// Why its use is no longer excused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StrictReason {
    /// The memory has been freed.
    Freed,
    /// No invalidation came for many seconds.
    Overdue,
    /// It was there when [`Smmu::strict_check`] was called.
    Left,
}

/// A use of a stale entry that no invalidation under way explains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StrictRecord {
    /// The cache.
    pub cache: StrictCache,
    /// What speaks against it.
    pub reason: StrictReason,
    /// StreamID of the access.
    pub sid: u32,
    /// Its SubstreamID.
    pub ssid: Option<u32>,
    /// Its address.
    pub va: u64,
    /// The physical address that the entry gave: of the access, or of the table that the entry of
    /// another cache leads to.
    pub pa: u64,
    /// Whether it was a write.
    pub write: bool,
}

impl fmt::Display for StrictRecord {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let cache = match self.cache {
            StrictCache::Ste => "ste",
            StrictCache::Cd => "cd",
            StrictCache::Tlb => "tlb",
            StrictCache::Atc => "atc",
            StrictCache::Walk => "walk",
        };
        let reason = match self.reason {
            StrictReason::Freed => "freed",
            StrictReason::Overdue => "overdue",
            StrictReason::Left => "left",
        };
        write!(f, "{cache} {reason} sid={:#x} ssid=", self.sid)?;
        match self.ssid {
            Some(ssid) => write!(f, "{ssid:#x}")?,
            None => write!(f, "none")?,
        }
        let access = if self.write { "write" } else { "read" };
        write!(f, " va={:#x} pa={:#x} {access}", self.va, self.pa)
    }
}

struct Suspicion {
    transaction: Transaction,
    /// In the TLB: its ASID.
    tag: u32,
    /// What it becomes if nothing clears it.
    record: StrictRecord,
    since: Instant<Monotonic>,
}

/// The state of strict mode.
pub(super) struct Strict {
    on: bool,
    suspicions: KVec<Option<Suspicion>>,
    records: KVec<StrictRecord>,
    /// Records since they were last taken, kept or not.
    count: u64,
}

impl Strict {
    /// Makes room for suspicions and records. May sleep.
    pub(super) fn new(on: bool) -> Result<Self> {
        let mut suspicions = KVec::with_capacity(KEPT, GFP_KERNEL)?;
        for _ in 0..KEPT {
            suspicions.push(None, GFP_KERNEL)?;
        }
        Ok(Self {
            on,
            suspicions,
            records: KVec::with_capacity(KEPT, GFP_KERNEL)?,
            count: 0,
        })
    }

    fn record(&mut self, record: StrictRecord) {
        self.count += 1;
        // Full: counted only.
        let _ = self.records.push_within_capacity(record);
    }
}

impl Engine {
    /// Where the configuration in memory leads `t`, past all caches.
    fn route_in_memory(&self, t: &Transaction) -> Option<Route> {
        let entry = config::fetch_ste(&self.regs, &self.config, t.sid).ok()?;
        let entry = config::check_ste(&self.config, &entry).ok()?;
        match entry.config() {
            ste::CONFIG_BYPASS => return Some(Route::Bypass),
            ste::CONFIG_S1 => {}
            _ => return None,
        }
        let Some(ssid) = config::select_cd(&entry, t.ssid).ok()? else {
            return Some(Route::Bypass);
        };
        let cd = config::fetch_cd(&self.config, &entry, ssid).ok()?;
        let context = config::check_cd(&self.config, &entry, &cd).ok()?;
        Some(Route::Stage1(context))
    }

    /// The translation of `t` as memory has it now, past all caches.
    pub(super) fn memory_says(&self, t: &Transaction) -> Option<Translation> {
        match self.route_in_memory(t)? {
            Route::Abort => None,
            Route::Bypass => self.bypass(t.va).ok(),
            Route::Stage1(context) => look(&context, t.va, t.access),
        }
    }

    /// A use of `entry`, cached or just fetched, for `t`.
    pub(super) fn strict_ste(&mut self, t: &Transaction, entry: &Ste) {
        let check = self.strict.on
            && entry.v()
            && config::fetch_ste(&self.regs, &self.config, t.sid) != Ok(*entry);
        if check {
            self.suspect(t, StrictCache::Ste, 0, entry.s1_context_ptr());
        }
    }

    /// A use of `cd`, cached or just fetched, for `t`.
    pub(super) fn strict_cd(&mut self, t: &Transaction, entry: &Ste, ssid: u32, cd: &Cd) {
        if self.strict.on && cd.v() && config::fetch_cd(&self.config, entry, ssid) != Ok(*cd) {
            self.suspect(t, StrictCache::Cd, 0, cd.ttb0());
        }
    }

    /// A use of `hit` in the TLB for `t`, whose tables are those of `context`.
    pub(super) fn strict_tlb(&mut self, context: &Context, t: &Transaction, hit: &Translation) {
        if self.strict.on && !agree(look(context, t.va, t.access), t.va, hit) {
            let tag = u32::from(context.asid);
            self.suspect(t, StrictCache::Tlb, tag, hit.address(t.va));
        }
    }

    /// A use of `step`, a cached table on the way of `t` at `place`. Gives whether it is memory that
    /// may be looked into.
    pub(super) fn strict_walk(
        &mut self,
        place: &Place,
        t: &Transaction,
        tag: u32,
        step: &Step,
    ) -> bool {
        if !self.strict.on || place.tables.step_to(place.offset, step.level) == Some(*step) {
            return true;
        }
        self.suspect(t, StrictCache::Walk, tag, step.table);
        !phys::is_free(step.table)
    }

    /// Whether `table` is on the way of `t`, as memory has it now.
    fn leads_to(&self, t: &Transaction, table: u64) -> bool {
        let Some(Route::Stage1(context)) = self.route_in_memory(t) else {
            return false;
        };
        let place = context.place(t.va).filter(|place| place.walks);
        place.is_some_and(|place| {
            (place.tables.first_level() + 1..=LAST_LEVEL).any(|level| {
                let step = place.tables.step_to(place.offset, level);
                step.is_some_and(|step| step.table == table)
            })
        })
    }

    /// A use of `hit` in the ATC of the port that makes the access.
    pub(super) fn strict_atc(&mut self, t: &Transaction, hit: &Translation) {
        if self.strict.on && !agree(self.memory_says(t), t.va, hit) {
            self.suspect(t, StrictCache::Atc, 0, hit.address(t.va));
        }
    }

    pub(super) fn strict_record(&mut self, record: StrictRecord, reason: StrictReason) {
        self.stats.strict_records += 1;
        self.strict.record(StrictRecord { reason, ..record });
    }

    fn suspect(&mut self, t: &Transaction, cache: StrictCache, tag: u32, pa: u64) {
        let record = StrictRecord {
            cache,
            reason: StrictReason::Overdue,
            sid: t.sid,
            ssid: t.ssid,
            va: t.va,
            pa,
            write: t.access.write,
        };
        let of_memory = !matches!(cache, StrictCache::Ste | StrictCache::Cd);
        if of_memory && phys::is_free(pa) {
            return self.strict_record(record, StrictReason::Freed);
        }
        self.stats.strict_suspicions += 1;
        let suspicions = &mut self.strict.suspicions;
        if suspicions.iter().flatten().any(|old| old.record == record) {
            return self.strict_sweep();
        }
        // Full: others are being watched already.
        if let Some(free) = suspicions.iter_mut().find(|slot| slot.is_none()) {
            *free = Some(Suspicion {
                transaction: *t,
                tag,
                record,
                since: Instant::now(),
            });
        }
    }

    /// Whether the entry that raised a suspicion is still cached, and still wrong.
    fn still_stale(&mut self, suspicion: &Suspicion) -> bool {
        let Suspicion {
            transaction: t,
            tag,
            record,
            ..
        } = suspicion;
        let hit = match record.cache {
            StrictCache::Ste => {
                let now = config::fetch_ste(&self.regs, &self.config, t.sid);
                return self
                    .cache
                    .cached_ste(t.sid)
                    .is_some_and(|old| old.v() && now != Ok(old));
            }
            StrictCache::Cd => {
                let Some(entry) = self.cache.cached_ste(t.sid) else {
                    return false;
                };
                let ssid = t.ssid.unwrap_or(0);
                let now = config::fetch_cd(&self.config, &entry, ssid);
                return self
                    .cache
                    .cached_cd(t.sid, ssid)
                    .is_some_and(|old| old.v() && now != Ok(old));
            }
            StrictCache::Walk => {
                return self.walks.knows(*tag, record.pa) && !self.leads_to(t, record.pa);
            }
            StrictCache::Tlb => self.tlb.lookup(*tag, t.va),
            StrictCache::Atc => {
                let tag = t.ssid.unwrap_or(ATC_NO_SSID);
                let port = self.port_of(t.sid);
                port.and_then(|port| port.atc.lookup(tag, t.va))
            }
        };
        hit.is_some_and(|hit| {
            hit.address(t.va) == record.pa && !agree(self.memory_says(t), t.va, &hit)
        })
    }

    /// Forgets the suspicions whose stale entry is gone, and records those that are overdue.
    pub(super) fn strict_sweep(&mut self) {
        self.settle(|since| (since.elapsed() > OVERDUE).then_some(StrictReason::Overdue));
    }

    pub(super) fn settle(&mut self, reason: impl Fn(Instant<Monotonic>) -> Option<StrictReason>) {
        for i in 0..self.strict.suspicions.len() {
            let Some(suspicion) = self.strict.suspicions[i].take() else {
                continue;
            };
            if !self.still_stale(&suspicion) {
                continue;
            }
            match reason(suspicion.since) {
                Some(reason) => self.strict_record(suspicion.record, reason),
                None => self.strict.suspicions[i] = Some(suspicion),
            }
        }
    }
}

/// What the tables of `context` give for `access` at `va`.
pub(super) fn look(context: &Context, va: u64, access: Access) -> Option<Translation> {
    let place = context.place(va).filter(|place| place.walks)?;
    place.tables.peek(place.offset, access).ok()
}

/// Whether memory and a cache put `va` at the same place.
pub(super) fn agree(memory: Option<Translation>, va: u64, cached: &Translation) -> bool {
    memory.is_some_and(|now| now.address(va) == cached.address(va))
}

impl Smmu {
    /// Turns strict mode on or off. Any context.
    pub fn set_strict(&self, on: bool) {
        let mut engine = self.engine().lock();
        engine.strict.on = on;
        engine.strict.suspicions.iter_mut().for_each(|s| *s = None);
    }

    /// Records that nobody has taken. Any context.
    pub fn strict_count(&self) -> u64 {
        self.engine().lock().strict.count
    }

    /// Record `index` of those that nobody has taken; the first few are kept. Any context.
    pub fn strict_record(&self, index: usize) -> Option<StrictRecord> {
        self.engine().lock().strict.records.get(index).copied()
    }

    /// Takes all records, and gives how many there were. Any context.
    pub fn take_strict_records(&self) -> u64 {
        let mut engine = self.engine().lock();
        engine.strict.records.clear();
        core::mem::take(&mut engine.strict.count)
    }
}
