// SPDX-License-Identifier: GPL-2.0

//! The cache of configuration: stream table entries, context descriptors, and the first-level
//! descriptors that lead to them.

use kernel::{
    alloc::flags::GFP_KERNEL,
    prelude::*, //
};

use crate::{
    fmt::{
        cd::{
            self,
            Cd,
            L1CdDesc, //
        },
        event::EventId,
        ste::{
            L1StreamDesc,
            Ste, //
        }, //
    },
    mmio::RegisterFile, //
};

use super::{
    config::{
        cd_address,
        fetch,
        fetch_table,
        ste_address,
        Reject, //
    },
    Config, //
};

/// A direct-mapped cache of one kind of structure. All memory is allocated at the start.
struct DirectMap<T> {
    slots: KVec<Option<(u64, T)>>,
}

impl<T: Copy> DirectMap<T> {
    fn new(slots: usize) -> Result<Self> {
        Ok(Self {
            slots: KVec::from_elem(None, slots.next_power_of_two(), GFP_KERNEL)?,
        })
    }

    fn index(&self, key: u64) -> usize {
        (key ^ key >> 20) as usize & (self.slots.len() - 1)
    }

    /// The value of `key`, fetched if it is not cached, and kept if it is to be.
    fn get<E>(
        &mut self,
        key: u64,
        fetch: impl FnOnce() -> Result<T, E>,
        keep: impl FnOnce(&T) -> bool,
    ) -> Result<T, E> {
        let index = self.index(key);
        match self.slots[index] {
            Some((cached, value)) if cached == key => Ok(value),
            _ => {
                let value = fetch()?;
                if keep(&value) {
                    self.slots[index] = Some((key, value));
                }
                Ok(value)
            }
        }
    }

    /// The cached value of `key`.
    fn cached(&self, key: u64) -> Option<T> {
        match self.slots[self.index(key)] {
            Some((cached, value)) if cached == key => Some(value),
            _ => None,
        }
    }

    /// Drops what slot `n` holds, counted round and round.
    fn evict(&mut self, n: u64) {
        let slot = n as usize & (self.slots.len() - 1);
        self.slots[slot] = None;
    }

    fn invalidate(&mut self, which: impl Fn(u64) -> bool) {
        for slot in &mut self.slots {
            if slot.as_ref().is_some_and(|(key, _)| which(*key)) {
                *slot = None;
            }
        }
    }
}

/// Keys of structures below a stream: the stream above, 20 bits of SubstreamID or index below.
fn key(sid: u32, low: u32) -> u64 {
    u64::from(sid) << 20 | u64::from(low)
}

/// What was fetched, until a command invalidates it.
///
/// First-level descriptors are cached apart from what they lead to. Fetches that failed are not
/// cached; structures that are invalid are, if [`Config::cache_invalid`] says so.
pub(super) struct Cache {
    stes: DirectMap<Ste>,
    /// By physical address.
    l1_streams: DirectMap<u64>,
    cds: DirectMap<Cd>,
    l1_cds: DirectMap<u64>,
}

impl Cache {
    /// Makes an empty cache. May sleep.
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            stes: DirectMap::new(64)?,
            l1_streams: DirectMap::new(16)?,
            cds: DirectMap::new(256)?,
            l1_cds: DirectMap::new(64)?,
        })
    }

    /// The entry of `sid`, not checked.
    pub(super) fn ste(
        &mut self,
        regs: &RegisterFile,
        config: &Config,
        sid: u32,
    ) -> Result<Ste, Reject> {
        let l1_streams = &mut self.l1_streams;
        self.stes.get(
            u64::from(sid),
            || {
                let l1 = |address| {
                    l1_streams.get(
                        address,
                        || fetch_table::<1>(regs, address).map(|[word]| word),
                        |word| config.cache_invalid || L1StreamDesc::from_raw(*word).span() != 0,
                    )
                };
                let address = ste_address(regs, config, sid, l1)?;
                fetch_table(regs, address).map(Ste::from_words)
            },
            |ste| config.cache_invalid || ste.v(),
        )
    }

    /// The descriptor of `ssid` in the table of `ste`, the entry of `sid`; not checked.
    pub(super) fn cd(
        &mut self,
        config: &Config,
        sid: u32,
        ste: &Ste,
        ssid: u32,
    ) -> Result<Cd, Reject> {
        let l1_cds = &mut self.l1_cds;
        self.cds.get(
            key(sid, ssid),
            || {
                let l1 = |address| {
                    l1_cds.get(
                        key(sid, ssid >> cd::split(ste.s1_fmt())),
                        || fetch::<1>(address, EventId::CdFetch).map(|[word]| word),
                        |word| config.cache_invalid || L1CdDesc::from_raw(*word).v(),
                    )
                };
                let address = cd_address(config, ste, ssid, l1)?;
                fetch(address, EventId::CdFetch).map(Cd::from_words)
            },
            |cd| config.cache_invalid || cd.v(),
        )
    }

    /// The entry of `sid`, if it is cached.
    pub(super) fn cached_ste(&self, sid: u32) -> Option<Ste> {
        self.stes.cached(u64::from(sid))
    }

    /// The descriptor of `ssid` in the table of `sid`, if it is cached.
    pub(super) fn cached_cd(&self, sid: u32, ssid: u32) -> Option<Cd> {
        self.cds.cached(key(sid, ssid))
    }

    /// The number of slots for stream table entries, and for context descriptors.
    pub(super) fn slots(&self) -> (usize, usize) {
        (self.stes.slots.len(), self.cds.slots.len())
    }

    /// The entry that a slot holds, after its StreamID.
    pub(super) fn ste_slot(&self, slot: usize) -> Option<(u32, Ste)> {
        let &(sid, ste) = self.stes.slots.get(slot)?.as_ref()?;
        Some((sid as u32, ste))
    }

    /// The descriptor that a slot holds, after its StreamID and SubstreamID.
    pub(super) fn cd_slot(&self, slot: usize) -> Option<(u32, u32, Cd)> {
        let &(key, cd) = self.cds.slots.get(slot)?.as_ref()?;
        Some(((key >> 20) as u32, (key & 0xf_ffff) as u32, cd))
    }

    /// A valid cached descriptor with this ASID.
    pub(super) fn cached_asid(&self, asid: u16) -> Option<(u32, Cd)> {
        let cached = self.cds.slots.iter().flatten();
        let mut cds = cached.map(|&(key, cd)| ((key >> 20) as u32, cd));
        cds.find(|(_, cd)| cd.v() && cd.asid() == asid)
    }

    /// Drops one entry of each kind.
    pub(super) fn evict(&mut self, n: u64) {
        self.stes.evict(n);
        self.l1_streams.evict(n);
        self.cds.evict(n);
        self.l1_cds.evict(n);
    }

    /// CFGI_STE and CFGI_STE_RANGE: drops the entries of `first..=last` and all that was found
    /// through them. With `leaf` first-level descriptors stay.
    pub(super) fn invalidate_streams(&mut self, first: u32, last: u32, leaf: bool) {
        let sids = first..=last;
        self.stes.invalidate(|sid| sids.contains(&(sid as u32)));
        self.cds
            .invalidate(|key| sids.contains(&((key >> 20) as u32)));
        self.l1_cds
            .invalidate(|key| sids.contains(&((key >> 20) as u32)));
        if !leaf {
            self.l1_streams.invalidate(|_| true);
        }
    }

    /// CFGI_CD: drops one descriptor. With `leaf` first-level descriptors stay.
    pub(super) fn invalidate_cd(&mut self, sid: u32, ssid: u32, leaf: bool) {
        self.cds.invalidate(|cached| cached == key(sid, ssid));
        if !leaf {
            self.l1_cds.invalidate(|key| (key >> 20) as u32 == sid);
        }
    }

    /// CFGI_CD_ALL: drops all descriptors of a stream.
    pub(super) fn invalidate_cds(&mut self, sid: u32) {
        self.cds.invalidate(|key| (key >> 20) as u32 == sid);
        self.l1_cds.invalidate(|key| (key >> 20) as u32 == sid);
    }
}
