// SPDX-License-Identifier: GPL-2.0

//! What an invalidation must reach, and what may stay.
//!
//! Two streams with ASIDs of their own share tables. Both SMMUs translate some addresses, and so
//! have them cached. Then all leaves, or the table that they are in, or all of the configuration
//! change, and one command tells of a part of that. What it covers must be the new from then on;
//! all else may be the old or the new, for nobody must keep anything.

use smmuv3::fmt::{
    cd,
    cmd::{
        self,
        Command, //
    },
    ste, //
};

use crate::{
    arena::{
        Arena,
        CDS,
        DATA,
        STREAMS,
        TABLES, //
    },
    case::{
        Access,
        Setup, //
    },
    random::Random, //
};

/// Addresses of a round.
const ADDRESSES: usize = 4;
/// Accesses: of each stream, to each address.
pub(super) const ACCESSES: usize = 2 * ADDRESSES;

/// A page or block.
#[derive(Clone, Copy, Debug, Default)]
struct Leaf {
    va: u64,
    shift: u32,
    level: u32,
    global: bool,
    /// Where its descriptor is.
    at: usize,
    new: u64,
}

/// What changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Leaves,
    /// The table of the leaves goes.
    Table,
    Configuration,
}

/// One round: structures, and the command.
#[derive(Debug)]
pub(super) struct Round {
    leaves: [Leaf; ADDRESSES],
    asids: [u16; 2],
    sids: [u32; 2],
    granule: u32,
    change: Change,
    /// Where the descriptor is that leads to the table of the leaves.
    table_at: usize,
    pub(super) command: Command,
}

/// The registers of all rounds.
pub(super) fn setup(arena: &Arena) -> Setup {
    Setup {
        enabled: true,
        gbpa_abort: true,
        record_bad_sid: true,
        strtab_base: arena.phys(STREAMS.start),
        two_level: false,
        log2size: 10,
        split: 0,
    }
}

impl Round {
    /// Makes the structures of a round.
    pub(super) fn new(arena: &mut Arena, random: &mut Random, sids: [u32; 2]) -> Self {
        let granule = random.pick(&[12, 14, 16]);
        let mut round = Self {
            leaves: [Leaf::default(); ADDRESSES],
            asids: [random.next() as u16; 2],
            sids,
            granule,
            change: random.pick(&[
                Change::Leaves,
                Change::Leaves,
                Change::Table,
                Change::Configuration,
            ]),
            table_at: 0,
            command: Command::default(),
        };
        if !random.one_in(8) {
            round.asids[1] ^= 1 << random.below(16);
        }
        let top = round.tables(arena, random);
        let tg = match granule {
            12 => cd::TG0_4K,
            14 => cd::TG0_16K,
            _ => cd::TG0_64K,
        };
        for (i, sid) in sids.into_iter().enumerate() {
            let at = CDS.start + 64 * i;
            let descriptor = cd::Cd::default()
                .with_v(true)
                .with_aa64(true)
                .with_a(true)
                .with_r(true)
                .with_epd1(true)
                .with_t0sz(25)
                .with_tg0(tg)
                .with_ips(2)
                .with_asid(round.asids[i])
                .with_ttb0(top);
            let entry = ste::Ste::default()
                .with_v(true)
                .with_config(ste::CONFIG_S1)
                .with_s1_context_ptr(arena.phys(at));
            for (word, value) in descriptor.words().into_iter().enumerate() {
                arena.put(at + 8 * word, value);
            }
            for (word, value) in entry.words().into_iter().enumerate() {
                arena.put(STREAMS.start + 64 * sid as usize + 8 * word, value);
            }
        }
        round.command = if round.change == Change::Configuration {
            round.of_configuration(random)
        } else {
            round.of_translations(random)
        };
        round
    }

    /// Tables for addresses of 39 bits, of which the leaves share all but the last.
    fn tables(&mut self, arena: &mut Arena, random: &mut Random) -> u64 {
        const ROOM: usize = 0x1_0000;
        let stride = self.granule - 3;
        let shift = |level: u32| self.granule + stride * (3 - level);
        let first = 4 - (39 - self.granule).div_ceil(stride);
        let base = random.next() & ((1 << 39) - 1) & !((1 << shift(2)) - 1);
        let mut table = TABLES.start;
        let top = arena.phys(table);
        for level in first..3 {
            let next = table + ROOM;
            let width = if level == first {
                39 - shift(level)
            } else {
                stride
            };
            let index = (base >> shift(level)) as usize & ((1 << width) - 1);
            self.table_at = table + 8 * index;
            arena.put(self.table_at, arena.phys(next) | 3);
            table = next;
        }
        let pages = DATA.len() >> self.granule;
        for i in 0..ADDRESSES {
            let index = loop {
                // Some beside others.
                let index = match i {
                    1 => (self.leaves[0].va >> self.granule) ^ 1,
                    _ => random.next(),
                } & ((1 << stride) - 1);
                let va = base | index << self.granule;
                if !self.leaves[..i].iter().any(|leaf| leaf.va == va) {
                    break index;
                }
            };
            let data = |page: usize| {
                DATA.start.next_multiple_of(1 << self.granule) + (page << self.granule)
            };
            let bits = 3 | 1 << 10 | 1 << 6 | (random.next() & 1) << 11;
            let old = arena.phys(data(i)) | bits;
            let new = match random.below(3) {
                0 => 0,
                1 => old | 1 << 7,
                _ => arena.phys(data(pages / 2 + i)) | bits,
            };
            self.leaves[i] = Leaf {
                va: base | index << self.granule,
                shift: self.granule,
                level: 3,
                global: bits & 1 << 11 == 0,
                at: table + 8 * index as usize,
                new,
            };
            arena.put(self.leaves[i].at, old);
        }
        top
    }

    fn of_configuration(&self, random: &mut Random) -> Command {
        let sid = random.pick(&self.sids);
        match random.below(5) {
            0 => Command::cfgi_ste(sid, random.one_in(2)),
            1 => Command::cfgi_cd(sid, 0, random.one_in(2)),
            2 => Command::cfgi_cd_all(sid),
            3 => Command::cfgi_all(),
            _ => Command::new(cmd::OP_CFGI_STE_RANGE)
                .with_sid(sid)
                .with_range(random.below(10) as u8),
        }
    }

    fn of_translations(&self, random: &mut Random) -> Command {
        let leaf = self.leaves[random.below(ADDRESSES as u64) as usize];
        let asid = random.pick(&self.asids);
        let op = random.pick(&[
            cmd::OP_TLBI_NH_ALL,
            cmd::OP_TLBI_NSNH_ALL,
            cmd::OP_TLBI_NH_ASID,
            cmd::OP_TLBI_NH_VA,
            cmd::OP_TLBI_NH_VA,
            cmd::OP_TLBI_NH_VA,
            cmd::OP_TLBI_NH_VAA,
            cmd::OP_TLBI_NH_VAA,
        ]);
        let command = Command::new(op);
        match op {
            cmd::OP_TLBI_NH_ALL | cmd::OP_TLBI_NSNH_ALL => return command,
            cmd::OP_TLBI_NH_ASID => return command.with_asid(asid),
            _ => {}
        }
        let mut va = leaf.va;
        if random.one_in(4) {
            va ^= 1 << random.between(12, 38);
        }
        let mut command = command.with_address(va).with_leaf(random.one_in(2));
        if op == cmd::OP_TLBI_NH_VA {
            command = command.with_asid(asid);
        }
        if random.one_in(2) {
            return command;
        }
        let tg = match self.granule {
            12 => 1,
            14 => 2,
            _ => 3,
        };
        command = command
            .with_tg(tg)
            .with_ttl(random.pick(&[0, 3, 3, 2]))
            .with_num(random.below(32) as u8)
            .with_scale(random.below(6) as u8);
        if cmd::tlbi_reserved(&command) {
            command = command.with_ttl(3);
        }
        command
    }

    /// The accesses, each with the number of its stream and of its address.
    pub(super) fn accesses(&self) -> impl Iterator<Item = (usize, usize, Access)> + '_ {
        (0..2).flat_map(move |stream| {
            (0..ADDRESSES).map(move |leaf| {
                let access = Access {
                    sid: self.sids[stream],
                    ssid: None,
                    va: self.leaves[leaf].va,
                    len: 4,
                    write: true,
                    ..Access::default()
                };
                (stream, leaf, access)
            })
        })
    }

    /// Changes everything.
    pub(super) fn change(&self, arena: &Arena) {
        match self.change {
            Change::Leaves => {
                for leaf in &self.leaves {
                    arena.set(leaf.at, leaf.new);
                }
            }
            Change::Table => arena.set(self.table_at, 0),
            Change::Configuration => {
                // One loses its descriptor, the other its entry.
                let entry = STREAMS.start + 64 * self.sids[1] as usize;
                for at in [CDS.start, entry] {
                    arena.set(at, 0);
                }
            }
        }
    }

    /// Whether the command names another ASID than the stream's, and reaches `leaf` only since that
    /// is global: QEMU keeps it.
    pub(super) fn reaches_as_global(&self, stream: usize, leaf: usize) -> bool {
        self.change == Change::Leaves
            && self.command.op() == cmd::OP_TLBI_NH_VA
            && self.command.asid() != self.asids[stream]
            && self.leaves[leaf].global
    }

    /// Whether the command reaches the translation of `leaf` that `stream` has, or the stream's
    /// configuration (SMMUv3, 4.3 and 4.4).
    pub(super) fn covers(&self, stream: usize, leaf: usize) -> bool {
        let (command, sid) = (&self.command, self.sids[stream]);
        if self.change == Change::Configuration {
            return match command.op() {
                cmd::OP_CFGI_STE_RANGE => {
                    let bits = u32::from(command.range()) + 1;
                    u64::from(command.sid()) >> bits == u64::from(sid) >> bits
                }
                // The entry of the second stream has changed, not its descriptors.
                cmd::OP_CFGI_STE => command.sid() == sid,
                _ => command.sid() == sid && stream == 0,
            };
        }
        let leaf = &self.leaves[leaf];
        let asid = command.asid() == self.asids[stream];
        match command.op() {
            cmd::OP_TLBI_NH_ALL | cmd::OP_TLBI_NSNH_ALL => return true,
            cmd::OP_TLBI_NH_ASID => return asid && !leaf.global,
            cmd::OP_TLBI_NH_VA if !asid && !leaf.global => return false,
            // What is above leaves is never global, and may lead another ASID to leaves that are;
            // and leaves alone may be meant, or those of a level.
            cmd::OP_TLBI_NH_VA if self.change == Change::Table && (!asid || leaf.global) => {
                return false;
            }
            _ if self.change == Change::Table && (command.leaf() || command.ttl() != 0) => {
                return false;
            }
            _ => {}
        }
        let page = command.address() >> leaf.shift;
        let pages = match command.tg() {
            0 => 1,
            // With a level it need not reach others.
            _ if !matches!(command.ttl(), 0) && u32::from(command.ttl()) != leaf.level => {
                return false
            }
            _ => u64::from(command.num() + 1) << command.scale(),
        };
        (page..page + pages).contains(&(leaf.va >> leaf.shift))
    }
}
