// SPDX-License-Identifier: GPL-2.0

//! Context descriptors and their first-level descriptors (SMMUv3, 5.3 and 5.4).

use super::record;
use super::ste;

/// [`Cd::tg0`]: 4 KiB granule.
pub const TG0_4K: u8 = 0;
/// [`Cd::tg0`]: 64 KiB granule.
pub const TG0_64K: u8 = 1;
/// [`Cd::tg0`]: 16 KiB granule.
pub const TG0_16K: u8 = 2;

/// [`Cd::tg1`]: 16 KiB granule.
pub const TG1_16K: u8 = 1;
/// [`Cd::tg1`]: 4 KiB granule.
pub const TG1_4K: u8 = 2;
/// [`Cd::tg1`]: 64 KiB granule.
pub const TG1_64K: u8 = 3;

record! {
    /// A context descriptor: the address space of one SubstreamID.
    pub struct Cd([u64; 8]) {
        /// The input addresses have 64 - `t0sz` bits.
        0 5:0 t0sz: u8;
        /// One of the `TG0_*`.
        0 7:6 tg0: u8;
        /// Inner cacheability of table walks.
        0 9:8 ir0: u8;
        /// Outer cacheability of table walks.
        0 11:10 or0: u8;
        /// Shareability of table walks.
        0 13:12 sh0: u8;
        /// Walks from TTB0 are disabled: every access faults.
        0 14:14 epd0: bool;
        /// The tables are big-endian.
        0 15:15 endi: bool;
        /// The upper addresses have 64 - `t1sz` bits.
        0 21:16 t1sz: u8;
        /// One of the `TG1_*`.
        0 23:22 tg1: u8;
        /// Walks from TTB1 are disabled: every access to the upper addresses faults.
        0 30:30 epd1: bool;
        /// The descriptor is valid.
        0 31:31 v: bool;
        /// Size of the output addresses, a code as in [`super::regs::Idr5::oas`].
        0 34:32 ips: u8;
        /// A clear access flag is no fault.
        0 35:35 affd: bool;
        /// Memory that may be written is not executed.
        0 36:36 wxn: bool;
        /// The top byte of addresses in the lower half is ignored.
        0 38:38 tbi0: bool;
        /// The top byte of addresses in the upper half is ignored.
        0 39:39 tbi1: bool;
        /// Data of unprivileged accesses is not for privileged ones.
        0 40:40 pan: bool;
        /// The tables have the AArch64 format.
        0 41:41 aa64: bool;
        /// Hardware updates the dirty state.
        0 42:42 hd: bool;
        /// Hardware updates the access flag.
        0 43:43 ha: bool;
        /// Faults stall.
        0 44:44 s: bool;
        /// Faults are recorded.
        0 45:45 r: bool;
        /// Terminated transactions abort; else reads give zero and writes vanish.
        0 46:46 a: bool;
        /// The ASID is not shared with the CPUs.
        0 47:47 aset: bool;
        /// Address space identifier.
        0 63:48 asid: u16;
        /// Limits in table descriptors of the lower half do not count.
        1 1:1 had0: bool;
        /// Hardware updates the access flag of table descriptors.
        1 3:3 haft: bool;
        /// Physical address of the translation table.
        1 51:4 ttb0: addr;
        /// Limits in table descriptors of the upper half do not count.
        2 1:1 had1: bool;
        /// Physical address of the translation table of the upper addresses.
        2 51:4 ttb1: addr;
        /// Memory attributes.
        3 63:0 mair: u64;
    }
}

record! {
    /// A first-level descriptor of a two-level table of context descriptors.
    pub struct L1CdDesc(u64) {
        /// The descriptor is valid.
        0:0 v: bool;
        /// Physical address of the leaf table.
        51:12 l2_ptr: addr;
    }
}

/// An address of the lower half without its top byte, as [`Cd::tbi0`] has it; others as they are.
pub const fn untagged(addr: u64) -> u64 {
    match addr & 1 << 55 {
        0 => addr & ((1 << 56) - 1),
        _ => addr,
    }
}

/// SubstreamID bits that a leaf table resolves, for a two-level [`ste::Ste::s1_fmt`].
pub const fn split(s1_fmt: u8) -> u8 {
    match s1_fmt {
        ste::S1FMT_4K_L2 => 6,
        _ => 10,
    }
}

#[kernel::prelude::kunit_tests(smmu_fmt_cd)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_word_0() {
        let cd = Cd::default()
            .with_t0sz(16)
            .with_ir0(1)
            .with_or0(1)
            .with_sh0(3)
            .with_epd1(true)
            .with_v(true)
            .with_ips(5)
            .with_aa64(true)
            .with_hd(true)
            .with_ha(true)
            .with_r(true)
            .with_a(true)
            .with_aset(true)
            .with_asid(0x1234);
        assert_eq!(cd.words()[0], 0x1234_ee05_c000_3510);
        assert_eq!(cd.asid(), 0x1234);
        assert_eq!(Cd::SIZE, 64);
    }

    #[test]
    fn remaining_flags() {
        assert_eq!(Cd::default().with_epd0(true).words()[0], 1 << 14);
        assert_eq!(Cd::default().with_endi(true).words()[0], 1 << 15);
        assert_eq!(Cd::default().with_tbi0(true).words()[0], 1 << 38);
        assert_eq!(Cd::default().with_s(true).words()[0], 1 << 44);
        let cd = Cd::default().with_affd(true).with_wxn(true).with_pan(true);
        assert_eq!(cd.words()[0], 1 << 35 | 1 << 36 | 1 << 40);
        assert_eq!(Cd::default().with_tg0(TG0_16K).words()[0], 2 << 6);
        assert_eq!(Cd::default().with_haft(true).words()[1], 8);
        let cd = Cd::default().with_had0(true).with_had1(true);
        assert_eq!(cd.words()[..3], [0, 2, 2]);
    }

    #[test]
    fn addresses() {
        let cd = Cd::default().with_ttb0(u64::MAX).with_mair(0xff44);
        assert_eq!(cd.words()[1], 0x000f_ffff_ffff_fff0);
        assert_eq!(cd.words()[3], 0xff44);
        let desc = L1CdDesc::default().with_v(true).with_l2_ptr(u64::MAX);
        assert_eq!(desc.raw(), 0x000f_ffff_ffff_f001);
    }

    #[test]
    fn upper_half() {
        let cd = Cd::default()
            .with_t1sz(25)
            .with_tg1(TG1_4K)
            .with_tbi1(true)
            .with_ttb1(u64::MAX);
        assert_eq!(cd.words()[0], 0x80_0099_0000);
        assert_eq!(cd.words()[2], 0x000f_ffff_ffff_fff0);
    }

    #[test]
    fn t1_tags_are_in_the_lower_half() {
        assert_eq!(untagged(0xab00_1234_5678_9abc), 0x1234_5678_9abc);
        assert_eq!(untagged(0x0001_0000_0000_0000), 0x0001_0000_0000_0000);
        assert_eq!(untagged(0xab80_0000_0000_0000), 0xab80_0000_0000_0000);
        assert_eq!(untagged(u64::MAX), u64::MAX);
    }

    #[test]
    fn leaf_sizes() {
        assert_eq!(split(ste::S1FMT_4K_L2), 6);
        assert_eq!(split(ste::S1FMT_64K_L2), 10);
    }
}
