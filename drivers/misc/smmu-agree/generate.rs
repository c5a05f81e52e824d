// SPDX-License-Identifier: GPL-2.0

//! Makes cases: structures that are good, of every form, and then a few bits of them wrong.
//!
//! - here: registers, the stream table, what goes wrong
//! - `space`: context descriptors and translation tables

mod space;

use smmuv3::{
    fmt::{
        regs,
        ste, //
    },
    hw::Config, //
};

use crate::{
    arena::{
        Arena,
        CDS,
        DATA,
        L1_CDS,
        L2_STREAMS,
        STREAMS, //
    },
    case::{
        Access,
        Outcome,
        Setup, //
    },
    random::Random,
};

/// Bits that hold no address that would be in memory but outside of the arena.
const NEAR_OR_FAR: [(u64, u64); 2] = [(0, 21), (41, 63)];

/// Where a structure's words lie, and how many they are.
#[derive(Clone, Copy)]
struct Made {
    offset: usize,
    words: usize,
    /// Its words with this bit set have addresses.
    addresses: u8,
    /// Word 0 is that of a context descriptor.
    cd: bool,
}

/// What makes one case.
pub(crate) struct Generator<'a> {
    arena: &'a mut Arena,
    random: &'a mut Random,
    able: &'a Config,
    setup: &'a Setup,
    made: [Option<Made>; 16],
    /// Tables that were placed, to find room for the next.
    tables: u64,
}

/// Random registers.
pub(crate) fn setup(arena: &Arena, random: &mut Random, able: &Config, two_level: bool) -> Setup {
    let log2size = match random.below(16) {
        0 => random.between(0, 5),
        _ => random.between(6, 16),
    };
    let log2size = log2size.min(able.sid_bits.into()) as u8;
    let split = match random.below(32) {
        0 => random.below(32) as u8,
        _ => random.pick(&[6, 8, 10]),
    };
    let bytes = if two_level {
        8 << log2size.saturating_sub(split_used(split))
    } else {
        64 << log2size
    };
    // A table of great alignment begins below.
    let mut base = STREAMS.start & !(bytes - 1);
    if random.one_in(4) {
        // What is below the alignment does not count.
        base |= random.next() as usize & (bytes.max(64) - 1) & !63;
    }
    Setup {
        enabled: !random.one_in(32),
        gbpa_abort: random.one_in(2),
        record_bad_sid: random.one_in(2),
        strtab_base: arena.phys(base),
        two_level,
        log2size,
        split,
    }
}

/// The split that a register's value means.
fn split_used(split: u8) -> u8 {
    match split {
        8 | 10 => split,
        _ => 6,
    }
}

/// A case for one of the streams `sids`, in an arena that is clean.
pub(crate) fn case(
    arena: &mut Arena,
    random: &mut Random,
    able: &Config,
    setup: &Setup,
    sids: &[u32],
) -> Access {
    let sid = random.pick(sids);
    let mut generator = Generator {
        arena,
        random,
        able,
        setup,
        made: [None; 16],
        tables: 0,
    };
    generator.tables = generator.random.next();
    let mut access = generator.space(sid);
    generator.stream(&mut access);
    let wrong = generator.random.pick(&[0, 0, 1, 1, 1, 1, 2, 2, 3]);
    for _ in 0..wrong {
        generator.spoil(&mut access);
    }
    access
}

/// Whether all that an outcome has written is data.
pub(crate) fn is_safe(arena: &Arena, outcome: &Outcome) -> bool {
    let mut places = outcome.places();
    places.all(|(phys, len)| {
        let offset = arena.offset(phys, len);
        offset.is_some_and(|offset| offset >= DATA.start && offset + len <= DATA.end)
    })
}

impl Generator<'_> {
    /// Writes a structure, and remembers where.
    fn make(&mut self, offset: usize, words: &[u64], addresses: u8, cd: bool) {
        for (i, word) in words.iter().enumerate() {
            self.arena.put(offset + 8 * i, *word);
        }
        if let Some(slot) = self.made.iter_mut().find(|slot| slot.is_none()) {
            *slot = Some(Made {
                offset,
                words: words.len(),
                addresses,
                cd,
            });
        }
    }

    /// The stream table entry for `access`, and what leads to it.
    fn stream(&mut self, access: &mut Access) {
        let random = &mut *self.random;
        let config = match random.below(32) {
            0 => ste::CONFIG_ABORT,
            1..=3 => ste::CONFIG_BYPASS,
            _ => ste::CONFIG_S1,
        };
        let base = self.arena.phys(CDS.start);
        let mut entry = ste::Ste::default()
            .with_v(true)
            .with_config(config)
            .with_s1_fmt(random.below(4) as u8)
            .with_s1_context_ptr(base)
            .with_s1_dss(random.below(4) as u8)
            .with_sh_cfg(random.below(4) as u8)
            .with_mev(random.one_in(2))
            .with_s1_cir(random.below(4) as u8);
        if self.able.ats {
            entry = entry.with_eats(random.below(2) as u8);
        }
        if config == ste::CONFIG_BYPASS && !random.one_in(4) {
            access.va = self
                .arena
                .phys(DATA.start + random.below(DATA.len() as u64 - 64) as usize);
        }
        let mut words = entry.words();
        self.substream(access, &mut words);

        let (sid, setup) = (access.sid as usize, self.setup);
        let split = split_used(setup.split);
        let base = setup.strtab_base;
        let start = self.arena.offset(base, 0).unwrap_or(STREAMS.start);
        if !setup.two_level {
            let table = start & !((64usize << setup.log2size) - 1);
            self.make(table + 64 * sid, &words, 1, false);
            return;
        }
        let bytes = (8usize << setup.log2size.saturating_sub(split)).max(64);
        let index = sid & ((1 << split) - 1);
        let enough = u64::from(usize::BITS - index.leading_zeros());
        let span = self.random.between(enough, split.into()) + 1;
        let mut table = L2_STREAMS.start;
        self.make(table + 64 * index, &words, 1, false);
        if self.random.one_in(4) {
            table |= self.random.next() as usize & ((64 << (span - 1)) - 1) & !63;
        }
        let descriptor = self.arena.phys(table) | span;
        let first = (start & !(bytes - 1)) + 8 * (sid >> split);
        self.make(first, &[descriptor], 1, false);
    }

    /// The SubstreamID of `access`, and what leads from a stream table entry to its descriptor,
    /// which is the one at the start of [`CDS`].
    fn substream(&mut self, access: &mut Access, entry: &mut [u64; 8]) {
        if self.able.ssid_bits == 0 || self.random.one_in(8) {
            return;
        }
        let max = self.random.between(1, self.able.ssid_bits.into());
        let ssid = self.random.below(1 << max) as usize;
        let format = self.random.below(3);
        access.ssid = match self.random.below(8) {
            0 => None,
            1 => Some(0),
            2 => Some(self.random.below(1 << self.able.ssid_bits) as u32),
            _ => Some(ssid as u32),
        };
        let (base, index) = match format {
            // Linear: all that the room for descriptors allows.
            0 => (CDS.start, ssid & 0x3ff),
            _ => (
                CDS.start,
                ssid & ((1 << if format == 1 { 6 } else { 10 }) - 1),
            ),
        };
        if format == 0 {
            access.ssid = access.ssid.map(|ssid| ssid & 0x3ff);
        }
        // The descriptor was made for index 0.
        for i in 0..8 {
            let word = self.arena.get(CDS.start + 8 * i);
            self.arena.put(CDS.start + 64 * index + 8 * i, word);
        }
        if let Some(made) = self.made.iter_mut().flatten().find(|made| made.cd) {
            made.offset = CDS.start + 64 * index;
        }
        let pointer = if format == 0 {
            base
        } else {
            let split = if format == 1 { 6 } else { 10 };
            let at = L1_CDS.start + 8 * ((ssid >> split) & 0x3ff);
            // More than the room for first-level tables has is not asked for.
            access.ssid = access.ssid.map(|ssid| ssid & ((0x400 << split) - 1));
            let descriptor = self.arena.phys(base) | 1;
            self.make(at, &[descriptor], 1, false);
            L1_CDS.start
        };
        let ste = ste::Ste::from_words(*entry)
            .with_s1_fmt(format as u8)
            .with_s1_cd_max(max as u8)
            .with_s1_context_ptr(self.arena.phys(pointer));
        *entry = ste.words();
    }

    /// Makes something wrong.
    fn spoil(&mut self, access: &mut Access) {
        let count = self.made.iter().flatten().count() as u64;
        let which = self.random.below(count + 1) as usize;
        let Some(made) = self.made.iter().flatten().nth(which).copied() else {
            access.va ^= 1 << self.random.below(64);
            return;
        };
        // Most fields are in the first words.
        let word = self
            .random
            .below(made.words.min(4) as u64)
            .min(self.random.below(4)) as usize;
        let bit = if made.addresses & 1 << word != 0 {
            let (low, high) = self.random.pick(&NEAR_OR_FAR);
            self.random.between(low, high)
        } else {
            self.random.below(64)
        };
        let offset = made.offset + 8 * word;
        let mut value = self.arena.get(offset) ^ 1 << bit;
        if made.cd && word == 0 && self.able.oas != 6 {
            value = without_reserved_ips(value);
        }
        self.arena.put(offset, value);
    }
}

/// QEMU does not survive an IPS that is reserved, or for 52 bits.
fn without_reserved_ips(cd: u64) -> u64 {
    let cd = smmuv3::fmt::cd::Cd::from_words([cd, 0, 0, 0, 0, 0, 0, 0]);
    let ips = if cd.ips() > 5 { 5 } else { cd.ips() };
    cd.with_ips(ips).words()[0]
}

/// Ability codes that QEMU's registers tell.
pub(crate) fn able(idr0: u32, idr1: u32, idr3: u32, idr5: u32) -> Config {
    let idr0 = regs::Idr0::from_raw(idr0);
    let idr1 = regs::Idr1::from_raw(idr1);
    let idr3 = regs::Idr3::from_raw(idr3);
    let idr5 = regs::Idr5::from_raw(idr5);
    Config {
        sid_bits: idr1.sidsize(),
        ssid_bits: idr1.ssidsize(),
        cmdq_bits: idr1.cmdqs(),
        evtq_bits: idr1.evtqs(),
        priq_bits: idr1.priqs(),
        oas: idr5.oas(),
        gran16k: idr5.gran16k(),
        gran64k: idr5.gran64k(),
        httu: idr0.httu(),
        ats: idr0.ats(),
        pri: idr0.pri(),
        ril: idr3.ril(),
        asid16: idr0.asid16(),
        term_model: idr0.term_model(),
        stall_model: idr0.stall_model(),
        // Forget no more than must be.
        walk_cache: true,
        cache_invalid: true,
        ..Config::default()
    }
}
