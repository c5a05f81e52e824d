// SPDX-License-Identifier: GPL-2.0

//! Configuration: how a transaction's StreamID and SubstreamID lead to a stream table entry and a
//! context descriptor, what is wrong with them, and the cache of what was fetched.
//!
//! (SMMUv3, 3.3, 5.2, 5.4 and 7.3.) Structures are read as eight 64-bit words, each in one piece,
//! so that an update in the wrong order is seen torn, as by real hardware.

use kernel::{
    alloc::flags::GFP_KERNEL,
    prelude::*, //
};

use kernel_ext::phys::PhysWindow;

use crate::{
    fmt::{
        cd::{
            self,
            Cd,
            L1CdDesc, //
        },
        event::EventId,
        regs,
        ste::{
            self,
            L1StreamDesc,
            Ste, //
        }, //
    },
    mmio::RegisterFile, //
};

use super::{
    walk::Tables,
    Config, //
};

/// Why a configuration cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reject {
    pub(super) event: EventId,
    /// Physical address of a failed fetch, else 0.
    pub(super) fetch_address: u64,
}

impl From<EventId> for Reject {
    fn from(event: EventId) -> Self {
        Self {
            event,
            fetch_address: 0,
        }
    }
}

/// An address space, as its context descriptor describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Context {
    pub(super) asid: u16,
    /// All accesses fault.
    pub(super) epd0: bool,
    /// The top byte of addresses is ignored.
    pub(super) tbi: bool,
    /// Faults stall the transaction.
    pub(super) stall: bool,
    /// Faults are recorded.
    pub(super) record: bool,
    /// Terminated transactions abort; else reads give zero and writes vanish.
    pub(super) abort: bool,
    pub(super) tables: Tables,
}

/// Reads the words of a structure.
fn fetch<const N: usize>(address: u64, event: EventId) -> Result<[u64; N], Reject> {
    let reject = Reject {
        event,
        fetch_address: address,
    };
    let window = PhysWindow::new(address, 8 * N).map_err(|_| reject)?;
    let mut words = [0; N];
    for (i, word) in words.iter_mut().enumerate() {
        *word = window.load64(8 * i).map_err(|_| reject)?;
    }
    Ok(words)
}

/// The physical address of the entry of `sid`; `l1` reads a first-level descriptor.
fn ste_address(
    regs: &RegisterFile,
    config: &Config,
    sid: u32,
    l1: impl FnOnce(u64) -> Result<u64, Reject>,
) -> Result<u64, Reject> {
    let base = regs::StrtabBase::from_raw(regs.read64(regs::STRTAB_BASE)).base();
    let cfg = regs::StrtabBaseCfg::from_raw(regs.read32(regs::STRTAB_BASE_CFG));
    let log2size = cfg.log2size().min(config.sid_bits);
    if u64::from(sid) >> log2size != 0 {
        return Err(EventId::BadStreamId.into());
    }
    if cfg.fmt() == 0 {
        return Ok(base + u64::from(sid) * Ste::SIZE as u64);
    }
    let split = match cfg.split() {
        split @ (8 | 10) => split,
        _ => 6,
    };
    let desc = L1StreamDesc::from_raw(l1(base + 8 * u64::from(ste::l1_index(sid, split)))?);
    let index = ste::l2_index(sid, split);
    if desc.span() == 0 || desc.span() > split + 1 || index >> (desc.span() - 1) != 0 {
        return Err(EventId::BadStreamId.into());
    }
    Ok(desc.l2_ptr() + u64::from(index) * Ste::SIZE as u64)
}

/// The physical address of the descriptor of `ssid`; `l1` reads a first-level descriptor.
fn cd_address(
    ste: &Ste,
    ssid: u32,
    l1: impl FnOnce(u64) -> Result<u64, Reject>,
) -> Result<u64, Reject> {
    let base = ste.s1_context_ptr();
    if ste.s1_fmt() == ste::S1FMT_LINEAR || ste.s1_cd_max() == 0 {
        return Ok(base + u64::from(ssid) * Cd::SIZE as u64);
    }
    let split = cd::split(ste.s1_fmt());
    let desc = L1CdDesc::from_raw(l1(base + 8 * u64::from(ssid >> split))?);
    if !desc.v() {
        return Err(EventId::BadSubstreamId.into());
    }
    let index = ssid & ((1 << split) - 1);
    // A 64 KiB leaf table is aligned to its size.
    let table = desc.l2_ptr() >> (split + 6) << (split + 6);
    Ok(table + u64::from(index) * Cd::SIZE as u64)
}

/// Reads the entry of `sid`, past the cache.
pub(super) fn fetch_ste(regs: &RegisterFile, config: &Config, sid: u32) -> Result<Ste, Reject> {
    let l1 = |address| fetch::<1>(address, EventId::SteFetch).map(|[word]| word);
    let address = ste_address(regs, config, sid, l1)?;
    fetch(address, EventId::SteFetch).map(Ste::from_words)
}

/// Reads the descriptor of `ssid`, past the cache.
pub(super) fn fetch_cd(ste: &Ste, ssid: u32) -> Result<Cd, Reject> {
    let l1 = |address| fetch::<1>(address, EventId::CdFetch).map(|[word]| word);
    let address = cd_address(ste, ssid, l1)?;
    fetch(address, EventId::CdFetch).map(Cd::from_words)
}

/// Whether an entry is valid and makes sense on this implementation.
pub(super) fn check_ste(config: &Config, ste: &Ste) -> Result<(), Reject> {
    let stage1 = match ste.config() {
        _ if !ste.v() => return Err(EventId::BadSte.into()),
        ste::CONFIG_S1 => true,
        // Stage 2 is not implemented.
        ste::CONFIG_S2 | ste::CONFIG_NESTED => return Err(EventId::BadSte.into()),
        _ => false,
    };
    let illegal = stage1
        && (ste.s1_cd_max() > config.ssid_bits
            || (ste.s1_cd_max() > 0 && (ste.s1_dss() == 3 || ste.s1_fmt() == 3))
            || (config.ats && ste.eats() >= ste::EATS_S1CHK)
            || (ste.s1_stalld() && config.stall_model != regs::STALL_BOTH)
            || ste.strw() != 0);
    if illegal {
        return Err(EventId::BadSte.into());
    }
    Ok(())
}

/// Which descriptor a transaction uses; `None` if it passes stage 1.
pub(super) fn select_cd(ste: &Ste, ssid: Option<u32>) -> Result<Option<u32>, Reject> {
    match (ste.s1_cd_max(), ssid) {
        (0, None) => Ok(Some(0)),
        (0, Some(_)) => Err(EventId::BadSubstreamId.into()),
        (max, Some(ssid)) if ssid >> max != 0 => Err(EventId::BadSubstreamId.into()),
        (_, Some(0)) if ste.s1_dss() == ste::S1DSS_SSID0 => Err(EventId::StreamDisabled.into()),
        (_, Some(ssid)) => Ok(Some(ssid)),
        (_, None) => match ste.s1_dss() {
            ste::S1DSS_BYPASS => Ok(None),
            ste::S1DSS_SSID0 => Ok(Some(0)),
            _ => Err(EventId::StreamDisabled.into()),
        },
    }
}

/// Decodes a descriptor in the table of `ste`, if it is valid and makes sense on this
/// implementation.
pub(super) fn check_cd(config: &Config, ste: &Ste, cd: &Cd) -> Result<Context, Reject> {
    let bad = || Reject::from(EventId::BadCd);
    let stall_fits = match config.stall_model {
        regs::STALL_BOTH => !(cd.s() && ste.s1_stalld()),
        model => cd.s() == (model == regs::STALL_ONLY),
    };
    // Tables are little-endian AArch64.
    if !cd.v() || !cd.aa64() || cd.endi() || !stall_fits {
        return Err(bad());
    }
    let output_bits = regs::address_bits(cd.ips()).min(regs::address_bits(config.oas));
    let mut context = Context {
        asid: cd.asid(),
        epd0: cd.epd0(),
        tbi: cd.tbi0(),
        stall: cd.s(),
        record: cd.r(),
        abort: cd.a(),
        tables: Tables {
            ttb: cd.ttb0(),
            granule: 12,
            input_bits: 48,
            output_bits,
            ha: cd.ha() && config.httu >= 1,
            hd: cd.ha() && cd.hd() && config.httu >= 2,
            haft: cd.ha() && cd.haft() && config.httu >= 3,
        },
    };
    if cd.epd0() {
        // The rest describes tables that are not used.
        return Ok(context);
    }
    context.tables.granule = match cd.tg0() {
        cd::TG0_4K => 12,
        cd::TG0_16K if config.gran16k => 14,
        cd::TG0_64K if config.gran64k => 16,
        _ => return Err(bad()),
    };
    let smallest = if context.tables.granule == 16 && config.va52() {
        12
    } else {
        16
    };
    if !(smallest..=39).contains(&cd.t0sz()) || cd.ttb0() >> output_bits != 0 {
        return Err(bad());
    }
    context.tables.input_bits = 64 - u32::from(cd.t0sz());
    Ok(context)
}

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

    /// The value of `key`, fetched if it is not cached, and kept if it is to be.
    fn get<E>(
        &mut self,
        key: u64,
        fetch: impl FnOnce() -> Result<T, E>,
        keep: impl FnOnce(&T) -> bool,
    ) -> Result<T, E> {
        let index = (key ^ key >> 20) as usize & (self.slots.len() - 1);
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
                        || fetch::<1>(address, EventId::SteFetch).map(|[word]| word),
                        |word| config.cache_invalid || L1StreamDesc::from_raw(*word).span() != 0,
                    )
                };
                let address = ste_address(regs, config, sid, l1)?;
                fetch(address, EventId::SteFetch).map(Ste::from_words)
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
                let address = cd_address(ste, ssid, l1)?;
                fetch(address, EventId::CdFetch).map(Cd::from_words)
            },
            |cd| config.cache_invalid || cd.v(),
        )
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
