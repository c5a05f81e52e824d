// SPDX-License-Identifier: GPL-2.0

//! Configuration: how a transaction's StreamID and SubstreamID lead to a stream table entry and a
//! context descriptor, and what is wrong with them.
//!
//! (SMMUv3, 3.3, 5.2, 5.4 and 7.3.) Structures are read as eight 64-bit words, each in one piece,
//! so that an update in the wrong order is seen torn, as by real hardware.

use kernel::prelude::*;

use crate::{
    bus::BUS,
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
    /// The tables are not walked. What the TLB has is used all the same.
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
    /// The tables of the upper addresses, and whether the top byte of those is ignored; accesses
    /// there fault if there are none.
    pub(super) upper: Option<(Tables, bool)>,
}

/// Where an address is looked up.
pub(super) struct Place {
    /// Whether the tables may be walked where the TLB has nothing.
    pub(super) walks: bool,
    pub(super) tables: Tables,
    /// The address, as the TLB knows it.
    pub(super) va: u64,
    /// The address in the tables.
    pub(super) offset: u64,
}

impl Context {
    /// Where `va` is looked up; `None` if `va` is out of range.
    pub(super) fn place(&self, va: u64) -> Option<Place> {
        const TOP_BYTE: u64 = 0xff << 56;

        if va & 1 << 55 == 0 {
            let va = if self.tbi { cd::untagged(va) } else { va };
            let inside = va >> self.tables.input_bits == 0;
            return inside.then_some(Place {
                walks: !self.epd0,
                tables: self.tables,
                va,
                offset: va,
            });
        }
        let (tables, tbi) = self.upper?;
        let va = if tbi { va | TOP_BYTE } else { va };
        let inside = !va >> tables.input_bits == 0;
        inside.then_some(Place {
            walks: true,
            tables,
            va,
            offset: va & ((1 << tables.input_bits) - 1),
        })
    }
}

/// Reads the words of a structure.
pub(super) fn fetch<const N: usize>(address: u64, event: EventId) -> Result<[u64; N], Reject> {
    let reject = Reject {
        event,
        fetch_address: address,
    };
    let window = BUS.window(address, 8 * N).map_err(|_| reject)?;
    let mut words = [0; N];
    for (i, word) in words.iter_mut().enumerate() {
        *word = window.load64(8 * i).map_err(|_| reject)?;
    }
    Ok(words)
}

/// The physical address of the entry of `sid`; `l1` reads a first-level descriptor.
pub(super) fn ste_address(
    regs: &RegisterFile,
    config: &Config,
    sid: u32,
    l1: impl FnOnce(u64) -> Result<u64, Reject>,
) -> Result<u64, Reject> {
    let base = regs::StrtabBase::from_raw(regs.read64(regs::STRTAB_BASE)).base();
    let cfg = regs::StrtabBaseCfg::from_raw(regs.read32(regs::STRTAB_BASE_CFG));
    let log2size = cfg.log2size().min(config.sid_bits);
    let checked = |address| {
        if config.reaches(address) {
            return Ok(address);
        }
        Err(Reject {
            event: EventId::SteFetch,
            fetch_address: address,
        })
    };
    if u64::from(sid) >> log2size != 0 {
        return Err(EventId::BadStreamId.into());
    }
    if cfg.fmt() == 0 {
        let table = align(base, u32::from(log2size) + STE_BITS);
        return checked(table + u64::from(sid) * Ste::SIZE as u64);
    }
    let split = match cfg.split() {
        split @ (8 | 10) => split,
        _ => 6,
    };
    let bits = u32::from(log2size.saturating_sub(split)) + 3;
    let first = align(base, bits.max(STE_BITS)) + 8 * u64::from(ste::l1_index(sid, split));
    let desc = L1StreamDesc::from_raw(l1(checked(first)?)?);
    let index = ste::l2_index(sid, split);
    if desc.span() == 0 || desc.span() > split + 1 || index >> (desc.span() - 1) != 0 {
        return Err(EventId::BadStreamId.into());
    }
    let table = align(desc.l2_ptr(), u32::from(desc.span() - 1) + STE_BITS);
    checked(table + u64::from(index) * Ste::SIZE as u64)
}

/// log2 of the size of a stream table entry.
const STE_BITS: u32 = Ste::SIZE.trailing_zeros();

/// The address with the lowest `bits` taken for 0: tables are aligned to their size, whatever
/// software wrote.
fn align(address: u64, bits: u32) -> u64 {
    address & (u64::MAX << bits)
}

/// The physical address of the descriptor of `ssid`; `l1` reads a first-level descriptor.
///
/// What lies beyond the addresses that there are is the fault of the entry that says so. (SMMUv3,
/// 3.4.3.)
pub(super) fn cd_address(
    config: &Config,
    ste: &Ste,
    ssid: u32,
    l1: impl FnOnce(u64) -> Result<u64, Reject>,
) -> Result<u64, Reject> {
    let checked = |address, event: EventId| {
        if config.reaches(address) {
            return Ok(address);
        }
        Err(Reject::from(event))
    };
    let base = ste.s1_context_ptr();
    if ste.s1_fmt() == ste::S1FMT_LINEAR || ste.s1_cd_max() == 0 {
        return checked(base + u64::from(ssid) * Cd::SIZE as u64, EventId::BadSte);
    }
    let split = cd::split(ste.s1_fmt());
    let first = checked(base + 8 * u64::from(ssid >> split), EventId::BadSte)?;
    let desc = L1CdDesc::from_raw(l1(first)?);
    if !desc.v() {
        return Err(EventId::BadSubstreamId.into());
    }
    let index = ssid & ((1 << split) - 1);
    let table = align(desc.l2_ptr(), u32::from(split) + 6);
    checked(
        table + u64::from(index) * Cd::SIZE as u64,
        EventId::BadSubstreamId,
    )
}

/// Reads words of the stream table. Past the CPUs' caches there are zeros: what software wrote has
/// not got there.
pub(super) fn fetch_table<const N: usize>(
    regs: &RegisterFile,
    address: u64,
) -> Result<[u64; N], Reject> {
    let words = fetch(address, EventId::SteFetch)?;
    let coherent = regs::Cr1::from_raw(regs.read32(regs::CR1)).coherent_tables();
    Ok(if coherent { words } else { [0; N] })
}

/// Reads the entry of `sid`, past the cache.
pub(super) fn fetch_ste(regs: &RegisterFile, config: &Config, sid: u32) -> Result<Ste, Reject> {
    let l1 = |address| fetch_table::<1>(regs, address).map(|[word]| word);
    let address = ste_address(regs, config, sid, l1)?;
    fetch_table(regs, address).map(Ste::from_words)
}

/// Reads the descriptor of `ssid`, past the cache.
pub(super) fn fetch_cd(config: &Config, ste: &Ste, ssid: u32) -> Result<Cd, Reject> {
    let l1 = |address| fetch::<1>(address, EventId::CdFetch).map(|[word]| word);
    let address = cd_address(config, ste, ssid, l1)?;
    fetch(address, EventId::CdFetch).map(Cd::from_words)
}

/// The entry of a stream as this implementation takes it, if it is valid and makes sense there: what
/// means nothing here is clear, and reserved values are what they behave as. (SMMUv3, 5.2.)
pub(super) fn check_ste(config: &Config, ste: &Ste) -> Result<Ste, Reject> {
    match ste.config() {
        _ if !ste.v() => return Err(EventId::BadSte.into()),
        ste::CONFIG_S1 => {}
        // Stage 2 is not implemented.
        ste::CONFIG_S2 | ste::CONFIG_NESTED => return Err(EventId::BadSte.into()),
        _ => return Ok(*ste),
    }
    let known = |value| if value == 3 { 0 } else { value };
    let substreams = config.ssid_bits != 0;
    let effective = ste
        .with_s1_cd_max(if substreams { ste.s1_cd_max() } else { 0 })
        .with_s1_fmt(known(ste.s1_fmt()))
        .with_s1_dss(known(ste.s1_dss()))
        .with_eats(if config.ats { known(ste.eats()) } else { 0 });
    let illegal = effective.s1_cd_max() > config.ssid_bits
        || effective.eats() == ste::EATS_S1CHK
        || (ste.s1_stalld() && config.stall_model != regs::STALL_BOTH);
    if illegal {
        return Err(EventId::BadSte.into());
    }
    Ok(effective)
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
    let updates_fit = match config.httu {
        0 => !cd.ha() && !cd.hd(),
        1 => !cd.hd(),
        2 => true,
        _ => cd.ha() || !cd.haft(),
    };
    let fits = stall_fits
        && updates_fit
        && (cd.a() || !config.term_model)
        && (cd.asid() <= 0xff || config.asid16);
    // Tables are little-endian AArch64.
    let big_endian = cd.endi() && !(cd.epd0() && cd.epd1());
    if !cd.v() || !cd.aa64() || big_endian || !fits {
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
            ha: cd.ha(),
            hd: cd.ha() && cd.hd(),
            haft: cd.haft() && config.httu >= 3,
            had: cd.had0(),
            affd: cd.affd(),
            wxn: cd.wxn(),
            pan: cd.pan(),
        },
        upper: None,
    };
    // What describes tables that are not used does not matter.
    if !cd.epd0() {
        let granule = match cd.tg0() {
            cd::TG0_4K => 12,
            cd::TG0_16K => 14,
            cd::TG0_64K => 16,
            _ => return Err(bad()),
        };
        context.tables = check_tables(config, context.tables, granule, cd.t0sz(), cd.ttb0())?;
    }
    if !cd.epd1() {
        let granule = match cd.tg1() {
            cd::TG1_4K => 12,
            cd::TG1_16K => 14,
            cd::TG1_64K => 16,
            _ => return Err(bad()),
        };
        let like = Tables {
            had: cd.had1(),
            ..context.tables
        };
        let tables = check_tables(config, like, granule, cd.t1sz(), cd.ttb1())?;
        context.upper = Some((tables, cd.tbi1()));
    }
    Ok(context)
}

/// The tables at `ttb`, otherwise like `like`, if this implementation can walk them.
fn check_tables(
    config: &Config,
    like: Tables,
    granule: u32,
    size: u8,
    ttb: u64,
) -> Result<Tables, Reject> {
    let supported = match granule {
        12 => true,
        14 => config.gran16k,
        _ => config.gran64k,
    };
    let smallest = if granule == 16 && config.va52() {
        12
    } else {
        16
    };
    // 52 bits take another format with all granules but the largest.
    let reach = match granule {
        16 => like.output_bits,
        _ => like.output_bits.min(48),
    };
    if !supported || !(smallest..=39).contains(&size) || ttb >> reach != 0 {
        return Err(EventId::BadCd.into());
    }
    let tables = Tables {
        ttb,
        granule,
        input_bits: 64 - u32::from(size),
        ..like
    };
    let least = if like.output_bits == 52 { 6 } else { 4 };
    Ok(Tables {
        ttb: align(ttb, tables.first_bits().max(least)),
        ..tables
    })
}
