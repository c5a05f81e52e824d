// SPDX-License-Identifier: GPL-2.0

//! Tests of what the driver makes of ID registers.

use kernel::prelude::*;

#[kunit_tests(smmu_driver_features)]
mod tests {
    use super::*;
    use crate::{
        driver::features::{
            Features,
            SharedTables, //
        },
        fmt::regs,
        mmio::RegisterFile, //
    };
    use kernel_ext::cpu;

    const ALL: Features = Features {
        sid_bits: 16,
        ssid_bits: 20,
        cmdq_bits: 8,
        evtq_bits: 8,
        priq_bits: 8,
        oas: 5,
        ha: true,
        hd: true,
        haft: false,
        any_size: false,
        ats: true,
        pri: true,
        stall_model: regs::STALL_BOTH,
        ranges: true,
        asid16: true,
        granules: 1 << 12 | 1 << 16,
        va52: true,
        attr_types_ovr: false,
    };

    fn tables(page_shift: u32, va_bits: u8, pa_range: u8) -> SharedTables {
        SharedTables {
            page_shift,
            va_bits,
            pa_range,
            table_access_flags: false,
            sizes_change_in_use: false,
            shadow_stacks: false,
        }
    }

    #[test]
    fn g1_eopnotsupp_shadow_stacks() {
        let with_gcs = SharedTables {
            shadow_stacks: true,
            ..tables(12, 48, 5)
        };
        assert_eq!(ALL.can_share(&tables(12, 48, 5)), Ok(()));
        assert_eq!(ALL.can_share(&with_gcs), Err(EOPNOTSUPP));
        assert_eq!(SharedTables::here().shadow_stacks, cpu::shadow_stacks());
    }

    #[test]
    fn layouts_that_can_be_shared() {
        let all = Features {
            granules: 1 << 12 | 1 << 14 | 1 << 16,
            ..ALL
        };
        for (page_shift, va_bits) in [(12, 39), (12, 48), (14, 47), (14, 48), (16, 42), (16, 52)] {
            assert_eq!(all.can_share(&tables(page_shift, va_bits, 5)), Ok(()));
        }
    }

    #[test]
    fn eopnotsupp_52_bits_lpa2() {
        let all = Features {
            granules: 1 << 12 | 1 << 14 | 1 << 16,
            ..ALL
        };
        assert_eq!(all.can_share(&tables(12, 52, 5)), Err(EOPNOTSUPP));
        assert_eq!(all.can_share(&tables(14, 52, 5)), Err(EOPNOTSUPP));
        let no_vax = Features { va52: false, ..all };
        assert_eq!(no_vax.can_share(&tables(16, 52, 5)), Err(EOPNOTSUPP));
    }

    #[test]
    fn eopnotsupp_granule_and_output_size() {
        assert_eq!(ALL.can_share(&tables(14, 47, 5)), Err(EOPNOTSUPP));
        assert_eq!(ALL.can_share(&tables(12, 48, 6)), Err(EOPNOTSUPP));
    }

    /// What the kernel expects of all who walk its tables.
    #[test]
    fn eopnotsupp_unlike_the_cpus() {
        let haft = SharedTables {
            table_access_flags: true,
            ..tables(12, 48, 5)
        };
        let sizes = SharedTables {
            sizes_change_in_use: true,
            ..tables(12, 48, 5)
        };
        for (with_haft, any_size) in [(false, false), (true, false), (false, true)] {
            let features = Features {
                haft: with_haft,
                any_size,
                ..ALL
            };
            assert_eq!(features.can_share(&haft).is_ok(), with_haft);
            assert_eq!(features.can_share(&sizes).is_ok(), any_size);
        }
    }

    #[test]
    fn faults_by_pri_or_stall() {
        for (pri, stall_model, expected) in [
            (true, regs::STALL_NONE, Ok(())),
            (false, regs::STALL_BOTH, Ok(())),
            (false, regs::STALL_ONLY, Ok(())),
            (false, regs::STALL_NONE, Err(EOPNOTSUPP)),
        ] {
            let features = Features {
                pri,
                stall_model,
                ..ALL
            };
            assert_eq!(features.can_share(&tables(12, 48, 5)), expected);
            // What stalls must do so throughout.
            assert_eq!(features.blocked_cd(1).s(), stall_model == regs::STALL_ONLY);
        }
    }

    #[test]
    fn blocked_cd_faults_but_is_valid() {
        let cd = ALL.blocked_cd(3);
        assert!(cd.v() && cd.epd0() && cd.epd1() && cd.aa64() && cd.a());
        assert_eq!((cd.asid(), cd.ttb0(), cd.t0sz()), (3, 0, 0));
    }

    /// The in-tree driver drops R and S of what has no process any more, unless all must stall.
    #[test]
    fn exited_cd_is_silent() {
        for stall_model in [regs::STALL_BOTH, regs::STALL_NONE, regs::STALL_ONLY] {
            let features = Features { stall_model, ..ALL };
            let cd = features.exited_cd(3);
            let forced = stall_model == regs::STALL_ONLY;
            assert!(cd.v() && cd.epd0() && cd.a());
            assert_eq!((cd.r(), cd.s()), (forced, forced));
        }
    }

    /// RES0 where entries do not override attributes.
    #[test]
    fn sh_cfg_of_bypass() {
        assert_eq!(ALL.sh_cfg(), 0);
        let ovr = Features {
            attr_types_ovr: true,
            ..ALL
        };
        assert_eq!(ovr.sh_cfg(), 1);
    }

    #[test]
    fn shared_cd_of_this_kernel() {
        let all = Features {
            haft: true,
            any_size: true,
            ..ALL
        };
        if let Ok(cd) = all.shared_cd(0x4000_1000, 9) {
            assert!(cd.v() && !cd.epd0() && cd.epd1() && !cd.s() && cd.tbi0());
            assert_eq!(cd.ttb0(), 0x4000_1000);
            assert_eq!(64 - cd.t0sz(), cpu::va_bits());
            assert_eq!(cd.ips(), cpu::pa_range());
            assert_eq!(cd.haft(), cpu::table_access_flags());
        }
    }

    #[test]
    fn id_registers() -> Result {
        let regs = RegisterFile::new()?;
        assert_eq!(Features::read(&regs), Err(ENODEV));
        let idr0 = regs::Idr0::default()
            .with_s1p(true)
            .with_ttf(2)
            .with_cohacc(true)
            .with_cd2l(true)
            .with_pri(true)
            .with_httu(1);
        let idr3 = regs::Idr3::default().with_bbm(2);
        regs.hw_write32(regs::IDR3, idr3.raw());
        regs.hw_write32(regs::IDR0, idr0.raw());
        regs.hw_write32(regs::IDR5, 5 | 1 << 4);
        let features = Features::read(&regs)?;
        assert!(features.ha && !features.hd && !features.haft && features.any_size);
        // PRI is of no use without ATS.
        assert!(!features.pri);
        assert_eq!((features.oas, features.granules), (5, 1 << 12));
        Ok(())
    }
}
