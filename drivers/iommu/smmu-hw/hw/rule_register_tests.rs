// SPDX-License-Identifier: GPL-2.0

//! Tests of rules of the architecture that were once broken here: registers, addresses, events and
//! page requests. Each is named after its number in the list of those.

use kernel::prelude::*;

#[kunit_tests(smmu_hw_register_rules)]
mod tests {
    use super::*;
    use crate::{
        fmt::{
            cd::{
                self,
                Cd,
                L1CdDesc, //
            },
            cmd::Command,
            event::{
                Event,
                EventId, //
            },
            ppr::{
                PriEntry,
                Response, //
            },
            regs::{
                self,
                Aidr,
                Cr0,
                Cr1,
                Idr3, //
            },
            ste::{
                self,
                L1StreamDesc,
                Ste, //
            }, //
        },
        hw::{
            bench::{
                aborted,
                id,
                kind,
                read,
                rejected,
                set_cd,
                stage1,
                start_write,
                substreams,
                Bench,
                OneSpace,
                Space,
                ASID,
                NO_PRI,
                PLAIN,
                SID,
                SSID,
                USER,
                USER_RW,
                VA, //
            },
            config,
            Attrs,
            Config,
            DmaErrorKind,
            Lies,
            PortConfig, //
        }, //
    };
    use kernel::page::PAGE_SIZE;
    use kernel_ext::phys::PhysPages;

    const REQUEST: fn() -> PriEntry = || {
        PriEntry::default()
            .with_sid(SID)
            .with_ssv(true)
            .with_ssid(SSID)
            .with_read(true)
    };

    /// Not only to the last of a group; and never with the PASID. (8.2.)
    #[test]
    fn a5_failures_while_the_queue_is_off() -> Result {
        for (pps, needs_pasid) in [(false, false), (true, false), (true, true)] {
            let one = OneSpace::with_config(Config {
                pps,
                ..Config::default()
            })?;
            one.bench
                .set_ste(SID, &stage1(&one.cds, 6).with_ppar(true))?;
            let port = one.port(PortConfig {
                needs_pasid,
                timeout_ms: 20,
                ..PortConfig::default()
            })?;
            for cr0 in [
                Cr0::default().with_smmuen(true),
                Cr0::default().with_priqen(true),
            ] {
                one.bench.enable(cr0);
                let taken = (!needs_pasid).then_some(Response::Failure);
                for last in [false, true] {
                    let sent = one.bench.smmu.send_page_request(&REQUEST().with_last(last));
                    assert_eq!(sent, taken);
                }
                let marker = REQUEST().with_read(false).with_last(true);
                assert_eq!(one.bench.smmu.send_page_request(&marker), None);
            }
            one.bench.enable(Cr0::default().with_smmuen(true));
            let before = one.bench.smmu.stats().auto_responses;
            let result = start_write(&port, 3 * PAGE_SIZE)?.join().and_then(kind);
            // The first answer is the group's.
            let (expect, answers) = if needs_pasid {
                (DmaErrorKind::Timeout, 3)
            } else {
                (DmaErrorKind::ResponseFailure, 1)
            };
            assert_eq!(result, Some(expect));
            assert_eq!(one.bench.smmu.stats().auto_responses, before + answers);
        }
        Ok(())
    }

    /// Tables and queues are aligned to their size, whatever software wrote. (5.1, 6.3.24, 6.3.26.)
    #[test]
    fn a6_low_bits_of_bases() -> Result {
        let one = OneSpace::new()?;
        let regs = &one.bench.regs;
        let spoil = |register, bits| regs.write64(register, regs.read64(register) | bits);
        // 64 entries of 64 bytes; 16, 4 and 8 entries of 16, 32 and 16 bytes.
        spoil(regs::STRTAB_BASE, 0xfc0);
        spoil(regs::CMDQ_BASE, 0xe0);
        spoil(regs::EVTQ_BASE, 0x60);
        spoil(regs::PRIQ_BASE, 0x60);
        one.bench.command(Command::cfgi_all())?;
        assert!(one.bench.idle());
        let port = one.port(PLAIN)?;
        assert!(aborted(read(&port, Some(SSID), VA)));
        assert_eq!(id(one.bench.event()), Some(EventId::Translation as u8));
        let request = REQUEST().with_last(true);
        assert_eq!(one.bench.smmu.send_page_request(&request), None);
        assert_eq!(one.bench.page_request(), Some(request));

        // Two levels: 256 first-level descriptors of 8 bytes, leaves of 4 entries of 64.
        let (l1, l2) = (PhysPages::alloc(PAGE_SIZE)?, PhysPages::alloc(PAGE_SIZE)?);
        regs.write64(regs::STRTAB_BASE, l1.phys() | 0x7c0);
        let cfg = regs::StrtabBaseCfg::default()
            .with_fmt(1)
            .with_split(8)
            .with_log2size(16);
        regs.write32(regs::STRTAB_BASE_CFG, cfg.raw());
        let desc = L1StreamDesc::default()
            .with_span(3)
            .with_l2_ptr(l2.phys() | 0xc0);
        l1.window().store64(0, desc.raw())?;
        l2.window().store64(64, substreams().words()[0])?;
        let entry = config::fetch_ste(regs, &Config::default(), 1);
        assert_eq!(entry.map(|ste| ste.words()[0]), Ok(substreams().words()[0]));
        Ok(())
    }

    fn ttb(config: &Config, cd: Cd) -> Result<u64, Option<EventId>> {
        let context = config::check_cd(config, &substreams(), &cd);
        context
            .map(|context| context.tables.ttb)
            .map_err(|reject| Some(reject.event))
    }

    /// (5.4.)
    #[test]
    fn a6_low_bits_of_ttb() -> Result {
        let config = Config {
            oas: 6,
            ..Config::default()
        };
        const BASE: u64 = 0x8765_4320_0000;
        for (granule, t0sz, ips, bits) in [
            (cd::TG0_4K, 16, 5, 12),
            (cd::TG0_4K, 24, 5, 4),
            (cd::TG0_4K, 39, 5, 7),
            (cd::TG0_16K, 16, 5, 4),
            (cd::TG0_64K, 16, 5, 9),
            // 64 bytes at least where addresses have 52 bits.
            (cd::TG0_16K, 16, 6, 6),
        ] {
            let cd = Space::new(12, 48)?
                .cd(ASID)
                .with_tg0(granule)
                .with_t0sz(t0sz)
                .with_ips(ips);
            let low = (1 << bits) - 1;
            assert_eq!(ttb(&config, cd.with_ttb0(BASE | low)), Ok(BASE));
            assert_eq!(
                ttb(&config, cd.with_ttb0(BASE + low + 1)),
                Ok(BASE + low + 1)
            );
        }
        Ok(())
    }

    /// Larger addresses take another format with all granules but the largest. (5.4.)
    #[test]
    fn a7_ttb_beyond_48_bits() -> Result {
        let config = Config {
            oas: 6,
            ..Config::default()
        };
        for (granule, bad) in [
            (cd::TG0_4K, true),
            (cd::TG0_16K, true),
            (cd::TG0_64K, false),
        ] {
            let cd = Space::new(12, 48)?.cd(ASID).with_tg0(granule).with_ips(6);
            let far = ttb(&config, cd.with_ttb0(1 << 48));
            assert_eq!(far.err().is_some_and(|e| e == Some(EventId::BadCd)), bad);
            assert!(ttb(&config, cd.with_ttb0(1 << 47)).is_ok());
        }
        Ok(())
    }

    #[test]
    fn a9_version_and_features() -> Result {
        for (ril, minor) in [(true, 2), (false, 1)] {
            let bench = Bench::off(Config {
                ril,
                ..Config::default()
            })?;
            let aidr = Aidr::from_raw(bench.regs.read32(regs::AIDR));
            let idr3 = Idr3::from_raw(bench.regs.read32(regs::IDR3));
            assert_eq!((aidr.major(), aidr.minor()), (0, minor));
            // Mandatory from 3.1 on, and from 3.2 on.
            assert!(idr3.had());
            assert_eq!((idr3.ril(), idr3.fwb()), (ril, ril));
            assert!(!ril || idr3.bbm() > 0);
        }
        Ok(())
    }

    /// From 3.1 on it is settled what comes of addresses that there are not. (3.4.3.)
    #[test]
    fn a9_addresses_out_of_range() -> Result {
        const FAR: u64 = 1 << 40;
        let config = Config {
            oas: 1,
            ..Config::default()
        };
        let fetch = |ste: &Ste| rejected(config::fetch_cd(&config, ste, 1));
        assert_eq!(
            fetch(&substreams().with_s1_context_ptr(FAR)),
            Some(EventId::BadSte)
        );
        let l1 = PhysPages::alloc(PAGE_SIZE)?;
        let two = substreams()
            .with_s1_fmt(ste::S1FMT_64K_L2)
            .with_s1_context_ptr(FAR);
        assert_eq!(fetch(&two), Some(EventId::BadSte));
        let desc = L1CdDesc::default().with_v(true).with_l2_ptr(FAR);
        l1.window().store64(0, desc.raw())?;
        let two = two.with_s1_context_ptr(l1.phys());
        assert_eq!(fetch(&two), Some(EventId::BadSubstreamId));

        // Those of queues are cut off.
        let one = OneSpace::with_config(config)?;
        let regs = &one.bench.regs;
        regs.write64(regs::CMDQ_BASE, regs.read64(regs::CMDQ_BASE) | FAR);
        one.bench.command(Command::sync())?;
        assert!(one.bench.idle());
        regs.write64(regs::STRTAB_BASE, FAR);
        let port = one.port(PLAIN)?;
        assert!(aborted(read(&port, Some(SSID), VA)));
        assert_eq!(id(one.bench.event()), Some(EventId::SteFetch as u8));
        Ok(())
    }

    /// CD.HAD0: what table descriptors say of all below them does not count.
    #[test]
    fn a9_limits_of_tables_disabled() -> Result {
        const READ_ONLY_BELOW: u64 = 1 << 62;
        let mut one = OneSpace::new()?;
        one.map(0, USER_RW)?;
        let table = one.space.get(VA, 2)?;
        one.space.set(VA, 2, table | READ_ONLY_BELOW)?;
        let cd = one.space.cd(ASID);
        set_cd(&one.cds, 2, &cd.with_asid(ASID + 1).with_had0(true))?;
        set_cd(&one.cds, 3, &cd.with_asid(ASID + 2).with_had1(true))?;
        let port = one.port(PLAIN)?;
        for (ssid, allowed) in [(SSID, false), (2, true), (3, false)] {
            assert_eq!(port.write(Some(ssid), VA, b"1", USER).is_ok(), allowed);
        }
        Ok(())
    }

    /// What software writes there is gone; but a queue that is off is set up so. (6.3.)
    #[test]
    fn a10_read_only_registers() -> Result {
        let one = OneSpace::new()?;
        let regs = &one.bench.regs;
        one.bench.command(Command::sync())?;
        for register in [
            regs::IDR0,
            regs::IDR1,
            regs::IDR2,
            regs::IDR3,
            regs::IDR4,
            regs::IDR5,
            regs::IIDR,
            regs::AIDR,
            regs::CR0ACK,
            regs::IRQ_CTRLACK,
            regs::GERROR,
            regs::CMDQ_CONS,
            regs::EVTQ_PROD,
            regs::PRIQ_PROD,
        ] {
            let before = regs.read32(register);
            regs.write32(register, before ^ 0x5a5a);
            assert_eq!(regs.read32(register), before);
            // Half of a write of 64 bits.
            let pair = register & !7;
            regs.write64(
                pair,
                regs.read64(pair) ^ 0xffff_ffff << (8 * (register & 7)),
            );
            assert_eq!(regs.read32(register), before);
        }
        // Unnoticed writes do not get in either.
        regs.hw_write32(regs::EVTQ_PROD, 3);
        let port = one.port(PLAIN)?;
        assert!(aborted(read(&port, Some(SSID), VA)));
        assert_eq!(regs.read32(regs::EVTQ_PROD), 1);
        one.bench.enable(Cr0::default());
        for register in [regs::CMDQ_CONS, regs::EVTQ_PROD, regs::PRIQ_PROD] {
            regs.write32(register, 2);
            assert_eq!(regs.read32(register), 2);
        }
        Ok(())
    }

    #[test]
    fn a11_f_uut_says_what_it_was() -> Result {
        let one = OneSpace::new()?;
        let port = one.port(PLAIN)?;
        port.set_lies(Lies {
            unsupported: true,
            ..Lies::default()
        })?;
        let attrs = Attrs {
            privileged: true,
            exec: true,
        };
        assert!(aborted(port.read(Some(SSID), VA, &mut [0], attrs)));
        let event = Event::default()
            .with_id(EventId::Uut as u8)
            .with_sid(SID)
            .with_ssv(true)
            .with_ssid(SSID)
            .with_rnw(true)
            .with_ind(true)
            .with_pnu(true)
            .with_address(VA);
        assert_eq!(one.bench.event(), Some(event));
        Ok(())
    }

    #[test]
    fn a11_c_bad_substreamid_has_no_ssv() -> Result {
        let one = OneSpace::new()?;
        let port = one.port(PLAIN)?;
        assert!(aborted(read(&port, Some(64), VA)));
        let event = Event::default()
            .with_id(EventId::BadSubstreamId as u8)
            .with_sid(SID)
            .with_ssid(64);
        assert_eq!(one.bench.event(), Some(event));
        Ok(())
    }

    #[test]
    fn a11_f_bad_ats_treq_says_what_was_asked_for() -> Result {
        let one = OneSpace::new()?;
        one.bench.set_ste(SID, &stage1(&one.cds, 6).with_eats(0))?;
        let port = one.port(NO_PRI)?;
        let event = Event::default()
            .with_id(EventId::BadAtsTreq as u8)
            .with_sid(SID)
            .with_ssv(true)
            .with_ssid(SSID)
            .with_treq_read(true)
            .with_span(1)
            .with_address(VA);
        let attrs = Attrs {
            privileged: true,
            exec: false,
        };
        assert!(aborted(port.write(Some(SSID), VA, b"1", attrs)));
        let expect = event.with_treq_write(true).with_treq_priv(true);
        assert_eq!(one.bench.event(), Some(expect));
        let attrs = Attrs {
            privileged: false,
            exec: true,
        };
        assert!(aborted(port.read(Some(SSID), VA, &mut [0], attrs)));
        assert_eq!(one.bench.event(), Some(event.with_treq_exec(true)));
        Ok(())
    }

    /// Past the CPUs' caches there is nothing of what software wrote. (6.3.11.)
    #[test]
    fn cr1_must_fit_the_memory() -> Result {
        let one = OneSpace::new()?;
        let regs = &one.bench.regs;
        let port = one.port(PLAIN)?;
        let cr1 = Cr1::like_the_cpus();
        regs.write32(regs::CR1, cr1.with_table_sh(0).raw());
        assert!(aborted(read(&port, Some(SSID), VA)));
        assert_eq!(id(one.bench.event()), Some(EventId::BadSte as u8));
        regs.write32(regs::CR1, cr1.with_queue_ic(0).raw());
        assert!(aborted(read(&port, Some(SSID), VA)));
        assert_eq!(id(one.bench.event()), Some(0));
        one.bench.command(Command::sync())?;
        assert_eq!(regs.read32(regs::GERROR), 1);
        Ok(())
    }
}
