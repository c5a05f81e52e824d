// SPDX-License-Identifier: GPL-2.0

//! A context descriptor, its translation tables, and an address that they map to data.

use smmuv3::fmt::{
    cd,
    regs, //
};

use super::Generator;
use crate::{
    arena::{
        CDS,
        DATA,
        TABLES, //
    },
    case::{
        Access,
        MAX_LEN, //
    }, //
};

/// Room for one table, whatever the granule.
const ROOM: usize = 0x1_0000;

/// The shape of one half of an address space.
struct Shape {
    granule: u32,
    /// TxSZ.
    size: u32,
    first: u32,
    leaf: u32,
}

impl Shape {
    fn shift(&self, level: u32) -> u32 {
        self.granule + (self.granule - 3) * (3 - level)
    }

    fn input_mask(&self) -> u64 {
        u64::MAX >> self.size
    }
}

impl Generator<'_> {
    fn shape(&mut self) -> Shape {
        let mut granule = self.random.pick(&[12, 12, 14, 16]);
        if (granule == 14 && !self.able.gran16k) || (granule == 16 && !self.able.gran64k) {
            granule = 12;
        }
        let wide = granule == 16 && self.able.gran64k && self.able.oas == 6;
        let least = if wide { 12 } else { 16 };
        let size = self.random.between(least, 39) as u32;
        let first = 4 - (64 - size - granule).div_ceil(granule - 3);
        let highest = if granule == 12 { 1 } else { 2 };
        let leaf = if self.random.one_in(4) {
            self.random.between(highest, 3) as u32
        } else {
            3
        };
        Shape {
            granule,
            size,
            first,
            leaf: leaf.max(first),
        }
    }

    /// Room for a table.
    fn table(&mut self) -> usize {
        self.tables = self.tables.wrapping_add(5);
        TABLES.start + ROOM * (self.tables as usize % (TABLES.len() / ROOM))
    }

    /// Bits that table descriptors have and walkers do not look at, at times.
    fn ignored(&mut self) -> u64 {
        if self.random.one_in(2) {
            return 0;
        }
        // Attributes of memory, and what software keeps for itself.
        self.random.next() & (0x7f << 52 | 0x3 << 8 | 0x3f << 2)
    }

    /// The bits of a leaf beside its address.
    fn leaf_bits(&mut self) -> u64 {
        let random = &mut *self.random;
        let mut bits =
            1 << 10 | random.next() & (0xf << 55 | 1 << 53 | 1 << 54 | 1 << 11 | 0x7 << 2);
        if !random.one_in(16) {
            bits |= 1 << 6;
        }
        if random.one_in(8) {
            bits |= 1 << 7 | (random.next() & 1) << 51;
        }
        if random.one_in(8) {
            bits |= 1 << 52;
        }
        if self.able.httu != 0 && random.one_in(2) {
            bits &= !(1 << 10);
        }
        bits
    }

    /// An access of data for `sid`, and all structures from the context descriptor on.
    pub(super) fn space(&mut self, sid: u32) -> Access {
        let shape = self.shape();
        let upper = self.random.one_in(4);
        let len = self.random.pick(&[1, 2, 3, 4, 4, 4, 8, 16, 31, MAX_LEN]);
        let mut data = DATA.start + self.random.below((DATA.len() - MAX_LEN) as u64) as usize;
        if self.random.one_in(8) {
            // Across pages.
            data = (data | 0xfff) - self.random.below(len as u64) as usize;
            data = data.min(DATA.end - MAX_LEN);
        }
        let phys = self.arena.phys(data);
        let leaf_mask = (1 << shape.shift(shape.leaf)) - 1;
        let mut va = self.random.next() & shape.input_mask() & !leaf_mask | phys & leaf_mask;
        if shape.input_mask() & !leaf_mask == 0 {
            va = phys & leaf_mask & shape.input_mask();
        }
        let top = self.tables_for(&shape, va, phys);
        if upper {
            va |= !shape.input_mask();
            // The very last page is not an address to QEMU.
            if va >> 12 == u64::MAX >> 12 {
                va &= !(1 << 12);
            }
        }
        let other = self.shape();
        self.descriptor(upper, &shape, top, &other, &mut va);
        Access {
            sid,
            ssid: None,
            va,
            len,
            write: true,
            exec: false,
            privileged: false,
        }
    }

    /// Tables that lead from `va` to `phys`; gives the physical address of the first.
    fn tables_for(&mut self, shape: &Shape, va: u64, phys: u64) -> u64 {
        let mut top = 0;
        let mut link: Option<usize> = None;
        for level in shape.first..=shape.leaf {
            let mut table = self.table();
            let shift = shape.shift(level);
            let mut width = shape.granule - 3;
            if level == shape.first {
                width = 64 - shape.size - shift;
                let bytes = 8usize << width;
                // Smaller than its room: anywhere in it.
                table += self.random.next() as usize & (ROOM - 1) & !(bytes.max(16) - 1);
                top = self.arena.phys(table);
            } else {
                let bytes = 1usize << shape.granule;
                table += self.random.next() as usize & (ROOM - 1) & !(bytes - 1);
            }
            if let Some(link) = link {
                let descriptor = self.arena.phys(table) | 3 | self.ignored();
                self.make(link, &[descriptor], 1, false);
            }
            let index = (va >> shift) as usize & ((1 << width) - 1);
            let at = table + 8 * index;
            if level < shape.leaf {
                link = Some(at);
                continue;
            }
            let kind = if level == 3 { 3 } else { 1 };
            let base = phys >> shift << shift;
            let bits = self.leaf_bits() | kind;
            self.make(at, &[base | bits], 1, false);
            // The next one too, at times.
            if index + 1 < 1 << width && shift <= 16 && self.random.one_in(2) {
                let bits = self.leaf_bits() | kind;
                self.arena.put(at + 8, (base + (1 << shift)) | bits);
            }
        }
        top
    }

    /// The context descriptor: `shape` at `top` for one half, `other` or nothing for the other.
    fn descriptor(&mut self, upper: bool, shape: &Shape, top: u64, other: &Shape, va: &mut u64) {
        let able = self.able;
        let second = self.table();
        let random = &mut *self.random;
        let tbi = [random.one_in(4), random.one_in(4)];
        if tbi[usize::from(upper)] {
            *va = *va & !(0xff << 56) | random.next() & 0xff << 56;
        }
        let first_bytes = 8u64 << (64 - shape.size - shape.shift(shape.first));
        let mut ttb = top;
        if random.one_in(4) {
            // What is below the alignment does not count.
            ttb |= random.next() & (first_bytes - 1) & !15;
        }
        let ttbs = [ttb, self.arena.phys(second)];
        let shapes = [shape, other];
        let of = |half: usize| half ^ usize::from(upper);
        let tg0 = |granule| match granule {
            12 => cd::TG0_4K,
            14 => cd::TG0_16K,
            _ => cd::TG0_64K,
        };
        let tg1 = |granule| match granule {
            12 => cd::TG1_4K,
            14 => cd::TG1_16K,
            _ => cd::TG1_64K,
        };
        let no_other = random.one_in(2);
        let stall = match able.stall_model {
            regs::STALL_BOTH => random.one_in(8),
            model => model == regs::STALL_ONLY,
        };
        let ips = if able.oas == 6 && random.one_in(2) {
            6
        } else {
            random.below(6) as u8
        };
        let descriptor = cd::Cd::default()
            .with_t0sz(shapes[of(0)].size as u8)
            .with_tg0(tg0(shapes[of(0)].granule))
            .with_t1sz(shapes[of(1)].size as u8)
            .with_tg1(tg1(shapes[of(1)].granule))
            .with_epd0(upper && no_other)
            .with_epd1(!upper && no_other)
            .with_v(true)
            .with_aa64(true)
            .with_ips(ips)
            .with_tbi0(tbi[0])
            .with_tbi1(tbi[1])
            .with_affd(random.one_in(4))
            .with_wxn(random.one_in(8))
            .with_pan(random.one_in(8))
            .with_ha(able.httu >= 1 && random.one_in(2))
            .with_hd(able.httu >= 2 && random.one_in(2))
            .with_s(stall)
            .with_r(!random.one_in(8))
            .with_a(able.term_model || !random.one_in(4))
            .with_aset(random.one_in(2))
            .with_asid(random.next() as u16)
            .with_had0(random.one_in(4))
            .with_had1(random.one_in(4))
            .with_ttb0(ttbs[of(0)])
            .with_ttb1(ttbs[of(1)])
            .with_mair(random.next());
        self.make(CDS.start, &descriptor.words(), 0b110, true);
    }
}
