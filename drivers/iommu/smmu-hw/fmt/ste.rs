// SPDX-License-Identifier: GPL-2.0

//! Stream table entries and their first-level descriptors (SMMUv3, 5.1 and 5.2).

use super::record;

/// [`Ste::config`]: abort without a record.
pub const CONFIG_ABORT: u8 = 0;
/// [`Ste::config`]: pass untranslated.
pub const CONFIG_BYPASS: u8 = 4;
/// [`Ste::config`]: stage 1 translates.
pub const CONFIG_S1: u8 = 5;
/// [`Ste::config`]: stage 2 translates.
pub const CONFIG_S2: u8 = 6;
/// [`Ste::config`]: both stages translate.
pub const CONFIG_NESTED: u8 = 7;

/// [`Ste::s1_fmt`]: one table of context descriptors.
pub const S1FMT_LINEAR: u8 = 0;
/// [`Ste::s1_fmt`]: two levels, leaf tables of 64 descriptors (4 KiB).
pub const S1FMT_4K_L2: u8 = 1;
/// [`Ste::s1_fmt`]: two levels, leaf tables of 1024 descriptors (64 KiB).
pub const S1FMT_64K_L2: u8 = 2;

/// [`Ste::s1_dss`]: traffic without a SubstreamID is terminated.
pub const S1DSS_TERMINATE: u8 = 0;
/// [`Ste::s1_dss`]: traffic without a SubstreamID passes stage 1 untranslated.
pub const S1DSS_BYPASS: u8 = 1;
/// [`Ste::s1_dss`]: traffic without a SubstreamID uses context descriptor 0.
pub const S1DSS_SSID0: u8 = 2;

/// [`Ste::eats`]: ATS is refused.
pub const EATS_ABORT: u8 = 0;
/// [`Ste::eats`]: full ATS.
pub const EATS_TRANS: u8 = 1;
/// [`Ste::eats`]: split-stage ATS.
pub const EATS_S1CHK: u8 = 2;

record! {
    /// A stream table entry: how the traffic of one StreamID is treated.
    pub struct Ste([u64; 8]) {
        /// The entry is valid.
        0 0:0 v: bool;
        /// One of the `CONFIG_*`.
        0 3:1 config: u8;
        /// One of the `S1FMT_*`.
        0 5:4 s1_fmt: u8;
        /// Physical address of the context descriptors.
        0 51:6 s1_context_ptr: addr;
        /// log2 of the number of context descriptors; 0 is a single one, and no SubstreamIDs.
        0 63:59 s1_cd_max: u8;
        /// One of the `S1DSS_*`.
        1 1:0 s1_dss: u8;
        /// Inner cacheability of context descriptor fetches.
        1 3:2 s1_cir: u8;
        /// Outer cacheability of context descriptor fetches.
        1 5:4 s1_cor: u8;
        /// Shareability of context descriptor fetches.
        1 7:6 s1_csh: u8;
        /// Default for the PASID of an automatic response to a page request.
        1 18:18 ppar: bool;
        /// Events may be merged.
        1 19:19 mev: bool;
        /// Stage 1 faults must not stall.
        1 27:27 s1_stalld: bool;
        /// One of the `EATS_*`.
        1 29:28 eats: u8;
        /// Exception level of the stream: 0 is EL1 and EL0.
        1 31:30 strw: u8;
        /// Shareability override: 1 is as incoming.
        1 45:44 sh_cfg: u8;
        /// Virtual machine identifier.
        2 15:0 s2_vmid: u16;
        /// Physical address of the stage 2 tables.
        3 51:4 s2_ttb: addr;
    }
}

record! {
    /// A first-level descriptor of a two-level stream table.
    pub struct L1StreamDesc(u64) {
        /// 0 invalid, else log2 of the number of entries at `l2_ptr`, plus one.
        4:0 span: u8;
        /// Physical address of the second-level table.
        51:6 l2_ptr: addr;
    }
}

/// The index of the first-level descriptor of `sid` in a table split at `split` bits.
pub const fn l1_index(sid: u32, split: u8) -> u32 {
    sid >> split
}

/// The index of `sid` in its second-level table.
pub const fn l2_index(sid: u32, split: u8) -> u32 {
    sid & ((1 << split) - 1)
}

#[kernel::prelude::kunit_tests(smmu_fmt_ste)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_word_0() {
        let ste = Ste::default()
            .with_v(true)
            .with_config(CONFIG_S1)
            .with_s1_fmt(S1FMT_64K_L2)
            .with_s1_context_ptr(0x000f_1234_5678_9ac0)
            .with_s1_cd_max(20);
        assert_eq!(ste.words()[0], 0xa00f_1234_5678_9aeb);
        assert_eq!(ste.s1_context_ptr(), 0x000f_1234_5678_9ac0);
        assert_eq!(ste.s1_cd_max(), 20);
        assert_eq!(ste.config(), 5);
        assert_eq!(Ste::SIZE, 64);
    }

    #[test]
    fn fields_of_words_1_to_3() {
        let ste = Ste::default()
            .with_s1_dss(S1DSS_SSID0)
            .with_s1_cir(1)
            .with_s1_cor(1)
            .with_s1_csh(3)
            .with_ppar(true)
            .with_mev(true)
            .with_s1_stalld(true)
            .with_eats(EATS_TRANS)
            .with_strw(2)
            .with_sh_cfg(1)
            .with_s2_vmid(0xbeef)
            .with_s2_ttb(u64::MAX);
        assert_eq!(ste.words()[1], 0x0000_1000_980c_00d6);
        assert_eq!(ste.words()[2], 0xbeef);
        assert_eq!(ste.words()[3], 0x000f_ffff_ffff_fff0);
    }

    #[test]
    fn setting_a_field_keeps_the_others() {
        let ste = Ste::from_words([u64::MAX; 8]).with_config(CONFIG_ABORT);
        assert_eq!(ste.words()[0], !0xe);
        assert_eq!(ste.words()[1..], [u64::MAX; 7]);
    }

    #[test]
    fn two_level_indexes() {
        assert_eq!(l1_index(0x1ff, 8), 1);
        assert_eq!(l2_index(0x1ff, 8), 0xff);
        assert_eq!(l1_index(0xffff_ffff, 10), 0x3f_ffff);
        assert_eq!(l2_index(0, 6), 0);
        let desc = L1StreamDesc::default()
            .with_span(9)
            .with_l2_ptr(0x8000_4000);
        assert_eq!(desc.raw(), 0x8000_4009);
    }
}
