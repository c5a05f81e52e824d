// SPDX-License-Identifier: GPL-2.0

//! Tests of commands on structures of two levels, and of those that an implementation does not have.

use kernel::prelude::*;

#[kunit_tests(smmu_hw_command)]
mod tests {
    use super::*;
    use crate::{
        fmt::{
            cd::{
                Cd,
                L1CdDesc, //
            },
            cmd::{
                self,
                Command,
                CommandError, //
            },
            event::EventId,
            regs::{
                self,
                CmdqCons, //
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
                read,
                set_cd,
                stage1,
                Bench,
                OneSpace,
                ASID,
                PAGE,
                PLAIN,
                SID,
                SSID,
                USER_RW,
                VA, //
            },
            Config, //
        }, //
    };
    use kernel::page::PAGE_SIZE;
    use kernel_ext::phys::PhysPages;

    /// Leaf: whether first-level descriptors stay cached.
    #[test]
    fn cfgi_cd_leaf() -> Result {
        let mut one = OneSpace::new()?;
        one.map(0, USER_RW)?;
        let l1 = PhysPages::alloc(PAGE_SIZE)?;
        let stream = stage1(&l1, 12).with_s1_fmt(ste::S1FMT_4K_L2);
        one.bench.set_ste(SID, &stream)?;
        let port = one.port(PLAIN)?;
        let ssid = 64 + SSID;
        assert!(aborted(read(&port, Some(ssid), VA)));
        assert_eq!(id(one.bench.event()), Some(EventId::BadSubstreamId as u8));
        let desc = L1CdDesc::default().with_v(true).with_l2_ptr(one.cds.phys());
        l1.window().store64(8, desc.raw())?;
        one.bench.command(Command::cfgi_cd(SID, ssid, true))?;
        assert!(aborted(read(&port, Some(ssid), VA)));
        one.bench.command(Command::cfgi_cd(SID, ssid, false))?;
        assert_eq!(read(&port, Some(ssid), VA), Ok(0));
        Ok(())
    }

    #[test]
    fn cfgi_ste_leaf() -> Result {
        let mut one = OneSpace::new()?;
        one.map(0, USER_RW)?;
        let (l1, regs) = (PhysPages::alloc(PAGE_SIZE)?, &one.bench.regs);
        regs.write64(regs::STRTAB_BASE, l1.phys());
        let cfg = regs::StrtabBaseCfg::default()
            .with_fmt(1)
            .with_split(6)
            .with_log2size(12);
        regs.write32(regs::STRTAB_BASE_CFG, cfg.raw());
        let sid = 64 + SID;
        let port = one.bench.port(sid, PLAIN)?;
        assert!(aborted(read(&port, Some(SSID), VA)));
        assert_eq!(id(one.bench.event()), Some(EventId::BadStreamId as u8));
        let desc = L1StreamDesc::default()
            .with_span(7)
            .with_l2_ptr(one.bench.streams.phys());
        l1.window().store64(8, desc.raw())?;
        one.bench.command(Command::cfgi_ste(sid, true))?;
        assert!(aborted(read(&port, Some(SSID), VA)));
        one.bench.command(Command::cfgi_ste(sid, false))?;
        assert_eq!(read(&port, Some(SSID), VA), Ok(0));
        Ok(())
    }

    /// A stream's entry takes along what was found through it.
    #[test]
    fn cfgi_ste_takes_descriptors_along() -> Result {
        for leaf in [true, false] {
            let mut one = OneSpace::new()?;
            one.map(0, USER_RW)?;
            let port = one.port(PLAIN)?;
            assert_eq!(read(&port, Some(SSID), VA), Ok(0));
            set_cd(&one.cds, SSID as usize, &Cd::default())?;
            one.bench.command(Command::cfgi_ste(SID + 1, leaf))?;
            assert_eq!(read(&port, Some(SSID), VA), Ok(0));
            one.bench.command(Command::cfgi_ste(SID, leaf))?;
            assert!(aborted(read(&port, Some(SSID), VA)));
        }
        Ok(())
    }

    /// Without range invalidation TG, NUM and SCALE are reserved: it is one page.
    #[test]
    fn tlbi_without_ranges() -> Result {
        for (ril, second) in [(true, false), (false, true)] {
            let mut one = OneSpace::with_config(Config {
                ril,
                ..Config::default()
            })?;
            let port = one.port(PLAIN)?;
            for n in 0..2 {
                one.map(n, USER_RW)?;
                assert_eq!(read(&port, Some(SSID), VA + n * PAGE), Ok(0));
                one.unmap(n)?;
            }
            let range = Command::tlbi_va(ASID, VA, true).with_tg(1).with_num(1);
            one.bench.command(range)?;
            assert!(read(&port, Some(SSID), VA).is_err());
            assert_eq!(read(&port, Some(SSID), VA + PAGE).is_ok(), second);
        }
        Ok(())
    }

    /// Commands for what the ID registers do not promise.
    #[test]
    fn cerror_ill_of_what_is_not_offered() -> Result {
        let all = Config::default();
        let no_pri = Config { pri: false, ..all };
        let no_ats = Config {
            ats: false,
            ..no_pri
        };
        let atc_inv = Command::atc_inv(SID, None, 0, cmd::ATC_INV_ALL);
        let pri_resp = Command::new(cmd::OP_PRI_RESP);
        for (config, command, good) in [
            (all, atc_inv, true),
            (no_pri, atc_inv, true),
            (no_ats, atc_inv, false),
            (all, pri_resp, true),
            (no_pri, pri_resp, false),
            (no_ats, pri_resp, false),
        ] {
            let bench = Bench::new(config)?;
            bench.command(command)?;
            let cons = CmdqCons::from_raw(bench.regs.read32(regs::CMDQ_CONS));
            assert_eq!(bench.idle(), good);
            let error = if good { 0 } else { CommandError::Ill as u8 };
            assert_eq!(cons.err(), error);
        }
        Ok(())
    }

    /// Nothing is consumed after an error that is not acknowledged, whatever is rung.
    #[test]
    fn cerror_stops_the_queue() -> Result {
        let bench = Bench::new(Config::default())?;
        bench.set_ste(SID, &Ste::default())?;
        bench.command(Command::new(0xff))?;
        for _ in 0..3 {
            bench.command(Command::sync())?;
            bench.smmu.poll();
        }
        let stats = bench.smmu.stats();
        assert_eq!((stats.command_errors, stats.sync), (1, 0));
        assert_eq!(bench.gerror_line.count(), 1);
        Ok(())
    }
}
