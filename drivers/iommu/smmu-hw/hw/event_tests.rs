// SPDX-License-Identifier: GPL-2.0

//! Tests of faults and the event queue, on an instance programmed as a driver would.

use kernel::prelude::*;

#[kunit_tests(smmu_hw_event)]
mod tests {
    use super::*;
    use crate::{
        fmt::{
            cmd::Command,
            event::{
                self,
                Event,
                EventId, //
            },
            regs,
            ste, //
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
                PLAIN,
                READ_ONLY,
                SID,
                SSID,
                USER,
                USER_RW,
                VA, //
            },
            Attrs,
            Config,
            DmaError,
            DmaErrorKind,
            Lies,
            PortConfig, //
        }, //
    };

    #[test]
    fn f_translation() -> Result {
        let one = OneSpace::new()?;
        let port = one.port(PLAIN)?;
        let result = port.write(Some(SSID), VA + 0xabc, b"1", USER);
        let expect = DmaError {
            kind: DmaErrorKind::Aborted,
            addr: VA + 0xabc,
        };
        assert_eq!(result, Err(expect));
        assert!(one.bench.evtq_line.take());
        let event = Event::default()
            .with_id(EventId::Translation as u8)
            .with_sid(SID)
            .with_ssv(true)
            .with_ssid(SSID)
            .with_class(event::CLASS_IN)
            .with_address(VA + 0xabc);
        assert_eq!(one.bench.event(), Some(event));
        let attrs = Attrs {
            privileged: true,
            exec: true,
        };
        assert!(port.read(Some(SSID), VA, &mut [0], attrs).is_err());
        let event = event
            .with_rnw(true)
            .with_pnu(true)
            .with_ind(true)
            .with_address(VA);
        assert_eq!(one.bench.event(), Some(event));
        Ok(())
    }

    #[test]
    fn faults_by_kind() -> Result {
        let mut one = OneSpace::new()?;
        let port = one.port(PLAIN)?;
        one.map(0, USER_RW | READ_ONLY)?;
        assert!(read(&port, Some(SSID), VA).is_ok());
        assert!(aborted(port.write(Some(SSID), VA, b"1", USER)));
        assert_eq!(id(one.bench.event()), Some(EventId::Permission as u8));
        let cd = one.space.cd(ASID);
        set_cd(&one.cds, 2, &cd.with_ha(false))?;
        set_cd(&one.cds, 3, &cd.with_epd0(true))?;
        set_cd(&one.cds, 4, &cd.with_t0sz(25))?;
        set_cd(&one.cds, 5, &cd.with_ttb0(0))?;
        one.bench.command(Command::tlbi_all())?;
        one.map(0, USER_RW & !(1 << 10))?;
        let cases = [
            (2, VA, EventId::Access),
            (3, VA, EventId::Translation),
            (4, 1 << 40, EventId::Translation),
            (5, VA, EventId::WalkEabt),
            (6, VA, EventId::BadCd),
            (64, VA, EventId::BadSubstreamId),
            (0, VA, EventId::StreamDisabled),
        ];
        for (ssid, va, expect) in cases {
            assert!(aborted(read(&port, Some(ssid), va)));
            assert_eq!(id(one.bench.event()), Some(expect as u8));
        }
        Ok(())
    }

    /// A table that is not there: the fault is one of the walk.
    #[test]
    fn f_walk_eabt() -> Result {
        let one = OneSpace::new()?;
        let port = one.port(PLAIN)?;
        set_cd(&one.cds, 2, &one.space.cd(ASID).with_ttb0(0x1000))?;
        assert!(aborted(read(&port, Some(2), VA)));
        let index = one.space.tables.index(VA, 0);
        let event = Event::default()
            .with_id(EventId::WalkEabt as u8)
            .with_sid(SID)
            .with_ssv(true)
            .with_ssid(2)
            .with_rnw(true)
            .with_class(event::CLASS_TT)
            .with_address(VA)
            .with_fetch_address(0x1000 + 8 * index);
        assert_eq!(one.bench.event(), Some(event));
        Ok(())
    }

    #[test]
    fn c_bad_streamid() -> Result {
        let bench = Bench::new(Config::default())?;
        let port = bench.port(64, PLAIN)?;
        assert!(aborted(read(&port, None, 0)));
        assert_eq!(id(bench.event()), Some(EventId::BadStreamId as u8));
        bench.regs.write32(regs::CR2, 0);
        assert!(aborted(read(&port, None, 0)));
        assert_eq!(id(bench.event()), None);
        Ok(())
    }

    /// Without stage 1 there are no substreams; nor is there one to translate for.
    #[test]
    fn c_bad_substreamid_of_a_bypassed_stream() -> Result {
        let one = OneSpace::new()?;
        let bypass = ste::Ste::default()
            .with_v(true)
            .with_config(ste::CONFIG_BYPASS);
        one.bench.set_ste(SID, &bypass)?;
        let port = one.port(PLAIN)?;
        assert!(aborted(read(&port, Some(SSID), one.data.phys())));
        let event = one.bench.event();
        assert_eq!(id(event), Some(EventId::BadSubstreamId as u8));
        assert_eq!(event.map(|e| e.ssid()), Some(SSID));
        assert_eq!(read(&port, None, one.data.phys()), Ok(0));
        assert!(one.bench.event().is_none());
        Ok(())
    }

    #[test]
    fn unrecorded_and_ignored_faults() -> Result {
        let one = OneSpace::new()?;
        let port = one.port(PLAIN)?;
        set_cd(&one.cds, 2, &one.space.cd(ASID).with_r(false))?;
        assert!(aborted(read(&port, Some(2), VA)));
        assert_eq!(id(one.bench.event()), None);
        set_cd(&one.cds, 3, &one.space.cd(ASID).with_a(false))?;
        assert_eq!(read(&port, Some(3), VA), Ok(0));
        assert!(port.write(Some(3), VA, b"1", USER).is_ok());
        assert_eq!(one.bench.smmu.stats().events, 2);
        Ok(())
    }

    #[test]
    fn evtq_overflow() -> Result {
        let one = OneSpace::new()?;
        let port = one.port(PLAIN)?;
        for i in 0..6 {
            assert!(aborted(read(&port, Some(SSID), VA + i)));
        }
        let stats = one.bench.smmu.stats();
        assert_eq!((stats.events, stats.events_lost), (4, 2));
        // Four entries, full, and the overflow flag once.
        assert_eq!(one.bench.regs.read32(regs::EVTQ_PROD), 1 << 31 | 4);
        // With room, records go on even before the overflow is acknowledged.
        assert_eq!(one.bench.event().map(|e| e.address()), Some(VA));
        assert!(aborted(read(&port, Some(SSID), VA + 9)));
        assert_eq!(one.bench.regs.read32(regs::EVTQ_PROD), 1 << 31 | 5);
        one.bench.acknowledge(regs::EVTQ_PROD);
        for expect in [1, 2, 3, 9] {
            assert_eq!(one.bench.event().map(|e| e.address()), Some(VA + expect));
        }
        assert_eq!(id(one.bench.event()), None);
        // A new loss toggles the flag back.
        for i in 0..5 {
            assert!(aborted(read(&port, Some(SSID), VA + i)));
        }
        assert_eq!(one.bench.regs.read32(regs::EVTQ_PROD), 1);
        Ok(())
    }

    #[test]
    fn event_merging() -> Result {
        let one = OneSpace::with_config(Config {
            merge_events: true,
            ..Config::default()
        })?;
        let port = one.port(PLAIN)?;
        // Not allowed for this stream.
        for _ in 0..2 {
            assert!(aborted(read(&port, Some(SSID), VA)));
            assert!(one.bench.event().is_some());
            assert!(aborted(read(&port, Some(SSID), VA)));
        }
        let stream = stage1(&one.cds, 6).with_mev(true);
        one.bench.set_ste(SID, &stream)?;
        one.bench.command(Command::cfgi_ste(SID, true))?;
        while one.bench.event().is_some() {}
        // The same page, thrice; another page; another kind of access; another address space.
        for offset in [0, 8, 0, 0x1000] {
            assert!(aborted(read(&port, Some(SSID), VA + offset)));
        }
        assert!(aborted(port.write(Some(SSID), VA + 0x1000, b"1", USER)));
        assert!(aborted(read(&port, Some(9), VA)));
        for expect in [
            (0x10, VA),
            (0x10, VA + 0x1000),
            (0x10, VA + 0x1000),
            (0x0a, 0),
        ] {
            let event = one.bench.event();
            assert_eq!(event.map(|e| (e.id(), e.address())), Some(expect));
        }
        assert!(one.bench.event().is_none());
        // What software has read is not merged with.
        assert!(aborted(read(&port, Some(9), VA)));
        assert_eq!(id(one.bench.event()), Some(EventId::BadCd as u8));
        assert_eq!(one.bench.smmu.stats().events_merged, 2);
        Ok(())
    }

    #[test]
    fn stalls_are_never_merged() -> Result {
        let one = OneSpace::with_config(Config {
            merge_events: true,
            ..Config::default()
        })?;
        set_cd(&one.cds, 2, &one.space.cd(ASID).with_s(true))?;
        let stream = stage1(&one.cds, 6).with_mev(true);
        one.bench.set_ste(SID, &stream)?;
        let port = one.port(PortConfig {
            timeout_ms: 1,
            ..PLAIN
        })?;
        for _ in 0..2 {
            assert!(read(&port, Some(2), VA).is_err());
        }
        let events = [one.bench.event(), one.bench.event()];
        assert!(events.iter().all(|e| e.is_some_and(|e| e.stall())));
        Ok(())
    }

    #[test]
    fn f_uut() -> Result {
        let mut one = OneSpace::new()?;
        one.map(0, USER_RW)?;
        let port = one.port(PLAIN)?;
        port.set_lies(Lies {
            unsupported: true,
            ..Lies::default()
        })?;
        assert!(aborted(read(&port, Some(SSID), VA)));
        let event = one.bench.event();
        let what = event.map(|e| (e.id(), e.sid(), e.ssid(), e.address()));
        assert_eq!(what, Some((EventId::Uut as u8, SID, SSID, VA)));
        Ok(())
    }

    #[test]
    fn f_stream_disabled() -> Result {
        let one = OneSpace::new()?;
        let port = one.port(PLAIN)?;
        let stream = stage1(&one.cds, 6);
        // Without SubstreamID, when that is to terminate; with 0, when that is for those without.
        for (dss, ssid) in [(ste::S1DSS_TERMINATE, None), (ste::S1DSS_SSID0, Some(0))] {
            one.bench.set_ste(SID, &stream.with_s1_dss(dss))?;
            one.bench.command(Command::cfgi_ste(SID, true))?;
            assert!(aborted(read(&port, ssid, VA)));
            let event = one.bench.event();
            assert_eq!(id(event), Some(EventId::StreamDisabled as u8));
            assert_eq!(event.map(|e| e.ssv()), Some(ssid.is_some()));
        }
        Ok(())
    }

    #[test]
    fn evtq_abt_err() -> Result {
        let one = OneSpace::new()?;
        let port = one.port(PLAIN)?;
        one.bench.regs.write64(regs::EVTQ_BASE, 0);
        assert!(aborted(read(&port, Some(SSID), VA)));
        assert!(one.bench.gerror_line.take());
        assert_eq!(one.bench.regs.read32(regs::GERROR), 1 << 2);
        Ok(())
    }

    #[test]
    fn interrupts_can_be_disabled() -> Result {
        let one = OneSpace::new()?;
        let port = one.port(PLAIN)?;
        one.bench.regs.write32(regs::IRQ_CTRL, 0);
        assert!(aborted(read(&port, Some(SSID), VA)));
        one.bench.command(Command::new(0))?;
        assert_eq!(one.bench.evtq_line.count(), 0);
        assert_eq!(one.bench.gerror_line.count(), 0);
        assert_eq!(id(one.bench.event()), Some(EventId::Translation as u8));
        Ok(())
    }
}
