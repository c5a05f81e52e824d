// SPDX-License-Identifier: GPL-2.0

//! Tests of the configuration structures: what they lead to and what is wrong with them.

use kernel::prelude::*;

#[kunit_tests(smmu_hw_config)]
mod tests {
    use super::*;
    use crate::{
        fmt::{
            cd::{
                self,
                Cd, //
            },
            event::EventId,
            regs,
            ste::{
                self,
                Ste, //
            }, //
        },
        hw::{
            bench::{
                rejected,
                substreams as stage1,
                Space, //
            },
            config,
            Config, //
        }, //
    };

    #[test]
    fn c_bad_ste() {
        let config = Config::default();
        let check = |ste: Ste| rejected(config::check_ste(&config, &ste));
        assert_eq!(check(stage1()), None);
        let bad = [
            stage1().with_v(false),
            stage1().with_config(ste::CONFIG_S2),
            stage1().with_config(ste::CONFIG_NESTED),
            stage1().with_s1_cd_max(21),
            stage1().with_eats(ste::EATS_S1CHK),
        ];
        for ste in bad {
            assert_eq!(check(ste), Some(EventId::BadSte));
        }
        // What stage 1 needs does not matter when it is not used.
        assert_eq!(
            check(stage1().with_config(ste::CONFIG_BYPASS).with_s1_cd_max(31)),
            None
        );
        assert_eq!(check(stage1().with_config(3).with_s1_cd_max(31)), None);
    }

    /// Reserved values, and fields that mean nothing on an implementation, are no errors.
    #[test]
    fn ste_as_it_is_taken() {
        let taken = |config: &Config, ste: Ste| config::check_ste(config, &ste);
        let all = Config::default();
        assert_eq!(
            taken(&all, stage1().with_strw(2)),
            Ok(stage1().with_strw(2))
        );
        for reserved in [
            stage1().with_s1_dss(3),
            stage1().with_s1_fmt(3),
            stage1().with_eats(3),
        ] {
            assert_eq!(taken(&all, reserved), Ok(stage1()));
        }
        let no_ats = Config {
            ats: false,
            pri: false,
            ..all
        };
        let ats = stage1().with_eats(ste::EATS_S1CHK);
        assert_eq!(taken(&no_ats, ats), Ok(stage1()));
        // Without substreams there is one descriptor, whatever the entry says.
        let single = Config {
            ssid_bits: 0,
            ..all
        };
        let one = stage1().with_s1_cd_max(0);
        assert_eq!(taken(&single, stage1()), Ok(one));
        assert_eq!(config::select_cd(&one, None), Ok(Some(0)));
    }

    #[test]
    fn s1dss() {
        let select = |dss, ssid| config::select_cd(&stage1().with_s1_dss(dss), ssid);
        let disabled = Some(EventId::StreamDisabled);
        assert_eq!(rejected(select(ste::S1DSS_TERMINATE, None)), disabled);
        assert_eq!(select(ste::S1DSS_TERMINATE, Some(0)), Ok(Some(0)));
        assert_eq!(select(ste::S1DSS_BYPASS, None), Ok(None));
        assert_eq!(select(ste::S1DSS_BYPASS, Some(0)), Ok(Some(0)));
        assert_eq!(select(ste::S1DSS_SSID0, None), Ok(Some(0)));
        assert_eq!(rejected(select(ste::S1DSS_SSID0, Some(0))), disabled);
        assert_eq!(select(ste::S1DSS_SSID0, Some(63)), Ok(Some(63)));
    }

    #[test]
    fn c_bad_substreamid() {
        let bad = Some(EventId::BadSubstreamId);
        assert_eq!(rejected(config::select_cd(&stage1(), Some(64))), bad);
        let single = stage1().with_s1_cd_max(0);
        assert_eq!(rejected(config::select_cd(&single, Some(0))), bad);
        assert_eq!(config::select_cd(&single, None), Ok(Some(0)));
    }

    #[test]
    fn c_bad_cd() -> Result {
        let config = Config::default();
        let good = Space::new(12, 48)?.cd(1);
        let check = |cd: Cd| rejected(config::check_cd(&config, &stage1(), &cd));
        assert_eq!(check(good), None);
        let bad = [
            good.with_v(false),
            good.with_aa64(false),
            good.with_endi(true),
            good.with_tg0(3),
            good.with_t0sz(15),
            good.with_t0sz(40),
            good.with_ips(0).with_ttb0(1 << 32),
        ];
        for cd in bad {
            assert_eq!(check(cd), Some(EventId::BadCd));
        }
        assert_eq!(check(good.with_t0sz(16)), None);
        assert_eq!(check(good.with_t0sz(39)), None);
        // With walks disabled the description of the tables does not matter.
        let unused = good.with_t0sz(0).with_tg0(3).with_endi(true);
        assert_eq!(check(unused.with_epd0(true)), None);
        // The upper half's tables are big-endian then.
        let upper = unused.with_epd0(true).with_epd1(false);
        let upper = upper.with_t1sz(16).with_tg1(cd::TG1_4K);
        assert_eq!(check(upper), Some(EventId::BadCd));
        assert_eq!(check(upper.with_endi(false)), None);
        Ok(())
    }

    #[test]
    fn c_bad_cd_by_capability() -> Result {
        let mut config = Config::default();
        let cd = Space::new(12, 48)?.cd(1);
        config.gran16k = false;
        assert_eq!(
            rejected(config::check_cd(&config, &stage1(), &cd.with_tg0(2))),
            Some(EventId::BadCd)
        );
        config.oas = 6;
        let wide = cd.with_tg0(1).with_t0sz(12);
        assert_eq!(rejected(config::check_cd(&config, &stage1(), &wide)), None);
        config.gran64k = false;
        assert_eq!(
            rejected(config::check_cd(&config, &stage1(), &wide)),
            Some(EventId::BadCd)
        );
        // Addresses of 52 bits are for that granule only.
        config.gran64k = true;
        config.gran16k = true;
        for tg0 in [cd::TG0_4K, cd::TG0_16K] {
            let cd = cd.with_tg0(tg0);
            for (size, expect) in [
                (16, None),
                (15, Some(EventId::BadCd)),
                (12, Some(EventId::BadCd)),
            ] {
                let wide = config::check_cd(&config, &stage1(), &cd.with_t0sz(size));
                assert_eq!(rejected(wide), expect);
            }
        }
        config.oas = 5;
        assert_eq!(
            rejected(config::check_cd(&config, &stage1(), &wide)),
            Some(EventId::BadCd)
        );
        // Output addresses are never larger than the implementation's.
        config.oas = 1;
        let cd = cd.with_ttb0(0x1000);
        let bits =
            config::check_cd(&config, &stage1(), &cd.with_ips(5)).map(|c| c.tables.output_bits);
        assert_eq!(bits, Ok(36));
        Ok(())
    }

    #[test]
    fn stall_model() -> Result {
        let good = Space::new(12, 48)?.cd(1);
        let bad_ste = Some(EventId::BadSte);
        let bad_cd = Some(EventId::BadCd);
        // By model: what S1STALLD leads to, then CD.S with S1STALLD clear and set.
        let cases = [
            (regs::STALL_BOTH, None, [[None, None], [None, bad_cd]]),
            (regs::STALL_NONE, bad_ste, [[None, bad_cd], [None, bad_cd]]),
            (regs::STALL_ONLY, bad_ste, [[bad_cd, None], [bad_cd, None]]),
        ];
        for (stall_model, disabled, by_disabled) in cases {
            let config = Config {
                stall_model,
                ..Config::default()
            };
            let ste = stage1().with_s1_stalld(true);
            assert_eq!(rejected(config::check_ste(&config, &ste)), disabled);
            for (i, by_s) in by_disabled.iter().enumerate() {
                let ste = stage1().with_s1_stalld(i == 1);
                for (j, expect) in by_s.iter().enumerate() {
                    let cd = good.with_s(j == 1);
                    assert_eq!(rejected(config::check_cd(&config, &ste, &cd)), *expect);
                }
            }
        }
        Ok(())
    }

    #[test]
    fn c_bad_cd_by_httu() -> Result {
        let mut config = Config::default();
        let none = Space::new(12, 48)?.cd(1).with_ha(false).with_hd(false);
        let (ha, hd) = (none.with_ha(true), none.with_hd(true));
        let both = ha.with_hd(true);
        let haft = none.with_haft(true);
        let bad = Some(EventId::BadCd);
        // By IDR0.HTTU: none, HA, HD, both, HAFT, both and HAFT.
        for (httu, expect) in [
            (0, [None, bad, bad, bad, None, bad]),
            (1, [None, None, bad, bad, None, bad]),
            (2, [None; 6]),
            (3, [None, None, None, None, bad, None]),
        ] {
            config.httu = httu;
            for (cd, expect) in [none, ha, hd, both, haft, both.with_haft(true)]
                .iter()
                .zip(expect)
            {
                assert_eq!(rejected(config::check_cd(&config, &stage1(), cd)), expect);
            }
        }
        // What is taken of it.
        let tables = |config: &Config, cd: &Cd| {
            let tables = config::check_cd(config, &stage1(), cd).map(|c| c.tables);
            tables.map(|t| [t.ha, t.hd, t.haft])
        };
        assert_eq!(tables(&config, &both.with_haft(true)), Ok([true; 3]));
        assert_eq!(tables(&config, &hd), Ok([false; 3]));
        config.httu = 2;
        assert_eq!(
            tables(&config, &both.with_haft(true)),
            Ok([true, true, false])
        );
        Ok(())
    }

    #[test]
    fn c_bad_cd_by_asid_size() -> Result {
        let cd = Space::new(12, 48)?.cd(0xff);
        for (asid16, expect) in [(true, None), (false, Some(EventId::BadCd))] {
            let config = Config {
                asid16,
                ..Config::default()
            };
            let check = |cd: &Cd| rejected(config::check_cd(&config, &stage1(), cd));
            assert_eq!(check(&cd), None);
            assert_eq!(check(&cd.with_asid(0x100)), expect);
        }
        Ok(())
    }

    #[test]
    fn c_bad_cd_by_term_model() -> Result {
        let cd = Space::new(12, 48)?.cd(1);
        for (term_model, expect) in [(false, None), (true, Some(EventId::BadCd))] {
            let config = Config {
                term_model,
                ..Config::default()
            };
            let check = |cd: &Cd| rejected(config::check_cd(&config, &stage1(), cd));
            assert_eq!(check(&cd.with_a(true)), None);
            assert_eq!(check(&cd.with_a(false)), expect);
        }
        Ok(())
    }

    /// With TBI0 the top byte of an address is ignored; without, it must be clear.
    #[test]
    fn tbi0() -> Result {
        const TAGGED: u64 = 0xab << 56 | 0x1234_5000;
        let config = Config::default();
        let cd = Space::new(12, 48)?.cd(1);
        for (tbi0, expect) in [(true, Some((0x1234_5000, 0x1234_5000))), (false, None)] {
            let cd = cd.with_tbi0(tbi0);
            let context = config::check_cd(&config, &stage1(), &cd).map_err(|_| EINVAL)?;
            let place = context.place(TAGGED).map(|place| (place.va, place.offset));
            assert_eq!(place, expect);
            assert!(context.place(0x1234_5000).is_some());
            // Bit 55 tells the halves apart, and what is between the byte and the range counts.
            assert!(context.place(TAGGED | 1 << 55).is_none());
            assert!(context.place(TAGGED | 1 << 48).is_none());
        }
        Ok(())
    }

    /// What a descriptor says of all of its tables reaches the walker.
    #[test]
    fn affd_wxn_and_pan() -> Result {
        let config = Config::default();
        let cd = Space::new(12, 48)?.cd(1);
        for (cd, expect) in [
            (cd, [false; 3]),
            (cd.with_affd(true), [true, false, false]),
            (cd.with_wxn(true), [false, true, false]),
            (cd.with_pan(true), [false, false, true]),
        ] {
            let cd = cd.with_epd1(false).with_t1sz(25).with_tg1(cd::TG1_4K);
            let context = config::check_cd(&config, &stage1(), &cd).map_err(|_| EINVAL)?;
            let (upper, _) = context.upper.ok_or(EINVAL)?;
            for tables in [context.tables, upper] {
                assert_eq!([tables.affd, tables.wxn, tables.pan], expect);
            }
        }
        Ok(())
    }

    /// TTB1 translates the upper addresses, unless EPD1 is set.
    #[test]
    fn ttb1_and_epd1() -> Result {
        let config = Config::default();
        let cd = Space::new(12, 48)?.cd(1);
        let check = |cd: &Cd| config::check_cd(&config, &stage1(), cd);
        let upper = cd
            .with_epd1(false)
            .with_t1sz(25)
            .with_tg1(cd::TG1_16K)
            .with_tbi1(true)
            .with_ttb1(0x8000);
        let context = check(&upper).map_err(|_| EINVAL)?;
        let place = context.place(0xffff_ff80_0000_1000).ok_or(EFAULT)?;
        assert_eq!((place.tables.ttb, place.offset), (0x8000, 0x1000));
        assert_eq!((place.tables.granule, place.tables.input_bits), (14, 39));
        assert_eq!(place.va, 0xffff_ff80_0000_1000);
        // Below the range; with a tag in the top byte.
        assert!(context.place(0xffff_ff7f_ffff_ffff).is_none());
        assert!(context.place(0x12ff_ff80_0000_0000).is_some());
        assert!(context.place(0x0000_ffff_ffff_ffff).is_some());
        for bad in [
            upper.with_t1sz(40),
            upper.with_tg1(0),
            upper.with_ips(0).with_ttb0(0).with_ttb1(1 << 40),
        ] {
            assert_eq!(rejected(check(&bad)), Some(EventId::BadCd));
        }
        let disabled = check(&upper.with_epd1(true).with_tg1(0)).map_err(|_| EINVAL)?;
        assert!(disabled.place(0xffff_ff80_0000_1000).is_none());
        Ok(())
    }
}
