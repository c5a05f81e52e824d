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
            regs, //
        },
        hw::{
            bench::{
                aborted,
                id,
                read,
                set_cd,
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
            DmaErrorKind, //
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
