// SPDX-License-Identifier: GPL-2.0

//! Tests of stalled transactions and the commands that end them.

use kernel::prelude::*;

#[kunit_tests(smmu_hw_stall)]
mod tests {
    use super::*;
    use crate::{
        fmt::{
            cmd::{
                self,
                Command,
                Resume, //
            },
            event::{
                self,
                Event,
                EventId, //
            },
            regs::{
                self,
                CmdqCons,
                Cr0, //
            }, //
        },
        hw::{
            bench::{
                aborted,
                id,
                join,
                read,
                set_cd,
                stalling,
                write_at,
                Job,
                ASID,
                NO_PRI,
                PAGE,
                PLAIN,
                READ_ONLY,
                SID,
                SSID,
                USER,
                USER_RW,
                VA, //
            },
            Config,
            DmaErrorKind,
            DmaResult, //
        }, //
    };

    #[test]
    fn resume_retry() -> Result {
        let mut one = stalling(Config::default())?;
        let port = one.port(PLAIN)?;
        let job = write_at(&port, VA + 5)?;
        // Recorded though CD.R is clear.
        let event = one.next_event()?;
        let expect = Event::default()
            .with_id(EventId::Translation as u8)
            .with_sid(SID)
            .with_ssv(true)
            .with_ssid(SSID)
            .with_class(event::CLASS_IN)
            .with_stall(true)
            .with_address(VA + 5);
        assert_eq!(event, expect);
        assert_eq!(one.bench.smmu.stalled(Some(SID)), 1);
        // Still nothing there: it stalls anew, as another transaction.
        one.resume(&event, Resume::Retry)?;
        let again = one.next_event()?;
        assert_eq!(again, expect.with_stag(again.stag()));
        assert_ne!(again.stag(), event.stag());
        one.map(0, USER_RW)?;
        one.resume(&again, Resume::Retry)?;
        assert_eq!(job.join(), Some(Ok(())));
        assert_eq!(one.data.window().load64(0)?, u64::from(b'1') << 40);
        assert_eq!(one.bench.smmu.stalled(None), 0);
        let stats = one.bench.smmu.stats();
        assert_eq!((stats.stalls, stats.resume, stats.resume_stray), (2, 2, 0));
        assert_eq!(port.stats().stalls, 2);
        Ok(())
    }

    #[test]
    fn resume_terminate() -> Result {
        let one = stalling(Config::default())?;
        let port = one.port(PLAIN)?;
        let job = write_at(&port, VA)?;
        one.resume(&one.next_event()?, Resume::Terminate)?;
        assert_eq!(job.join(), Some(Ok(())));
        let reader = port.clone();
        let job = Job::start(move || match read(&reader, Some(SSID), VA)? {
            0 => Ok(()),
            _ => reader.read(None, u64::MAX, &mut [0], USER),
        })?;
        one.resume(&one.next_event()?, Resume::Terminate)?;
        assert_eq!(job.join(), Some(Ok(())));
        Ok(())
    }

    #[test]
    fn resume_abort() -> Result {
        let one = stalling(Config::default())?;
        let port = one.port(PLAIN)?;
        let job = write_at(&port, VA)?;
        one.resume(&one.next_event()?, Resume::Abort)?;
        assert_eq!(join(&job), Some(DmaErrorKind::Refused));
        assert_eq!(port.stats().errors, 1);
        Ok(())
    }

    #[test]
    fn resume_of_what_is_not_stalled() -> Result {
        let one = stalling(Config::default())?;
        let port = one.port(PLAIN)?;
        let job = write_at(&port, VA)?;
        let event = one.next_event()?;
        for (sid, stag) in [
            (SID + 1, event.stag()),
            (SID, event.stag() + 1),
            (SID, u16::MAX),
        ] {
            one.bench
                .command(Command::resume(sid, stag, Resume::Abort))?;
        }
        assert_eq!(one.bench.smmu.stalled(Some(SID)), 1);
        one.resume(&event, Resume::Terminate)?;
        assert_eq!(job.join(), Some(Ok(())));
        // Each stall takes one.
        one.resume(&event, Resume::Abort)?;
        assert!(one.bench.idle());
        assert_eq!(one.bench.smmu.stats().resume_stray, 4);
        Ok(())
    }

    #[test]
    fn stall_term() -> Result {
        let one = stalling(Config::default())?;
        let port = one.port(PLAIN)?;
        let jobs = [write_at(&port, VA)?, write_at(&port, VA)?];
        // The same fault twice is two records.
        let events = [one.next_event()?, one.next_event()?];
        assert_ne!(events[0].stag(), events[1].stag());
        one.bench.command(Command::stall_term(SID + 1))?;
        assert_eq!(one.bench.smmu.stalled(Some(SID)), 2);
        one.bench.command(Command::stall_term(SID))?;
        for job in jobs {
            assert_eq!(join(&job), Some(DmaErrorKind::Aborted));
        }
        assert_eq!(one.bench.smmu.stats().stall_term, 2);
        Ok(())
    }

    #[test]
    fn stalls_outlast_invalidation_and_sync() -> Result {
        let mut one = stalling(Config::default())?;
        let port = one.port(PLAIN)?;
        let job = write_at(&port, VA)?;
        let event = one.next_event()?;
        one.map(0, USER_RW)?;
        for command in [
            Command::tlbi_all(),
            Command::cfgi_all(),
            Command::atc_inv(SID, None, 0, cmd::ATC_INV_ALL),
            Command::sync(),
        ] {
            one.bench.command(command)?;
        }
        assert!(one.bench.idle());
        assert_eq!(one.bench.smmu.stalled(Some(SID)), 1);
        one.resume(&event, Resume::Retry)?;
        assert_eq!(job.join(), Some(Ok(())));
        Ok(())
    }

    #[test]
    fn retry_looks_everything_up_again() -> Result {
        let one = stalling(Config::default())?;
        let port = one.port(PLAIN)?;
        let job = write_at(&port, VA)?;
        let event = one.next_event()?;
        set_cd(&one.cds, SSID as usize, &Default::default())?;
        one.bench.command(Command::cfgi_cd(SID, SSID, true))?;
        one.resume(&event, Resume::Retry)?;
        assert_eq!(join(&job), Some(DmaErrorKind::Aborted));
        assert_eq!(id(one.bench.event()), Some(EventId::BadCd as u8));
        Ok(())
    }

    #[test]
    fn which_faults_stall() -> Result {
        let mut one = stalling(Config::default())?;
        let port = one.port(PLAIN)?;
        let cd = one.space.cd(ASID).with_s(true);
        // Accessed, but by hardware only; too large; read-only.
        one.map(0, USER_RW & !(1 << 10))?;
        one.space.set(VA + PAGE, 3, 1 << 47 | USER_RW)?;
        one.map(2, USER_RW | READ_ONLY)?;
        set_cd(&one.cds, 2, &cd.with_ha(false).with_hd(false))?;
        set_cd(&one.cds, 3, &cd.with_ips(4))?;
        set_cd(&one.cds, 4, &cd.with_epd0(true))?;
        for (ssid, va, expect) in [
            (2, VA, EventId::Access),
            (3, VA + PAGE, EventId::AddrSize),
            (2, VA + 2 * PAGE, EventId::Permission),
            (4, VA, EventId::Translation),
        ] {
            let writer = port.clone();
            let job = Job::start(move || writer.write(Some(ssid), va, b"1", USER))?;
            let event = one.next_event()?;
            assert_eq!((event.id(), event.stall()), (expect as u8, true));
            one.resume(&event, Resume::Abort)?;
            assert_eq!(join(&job), Some(DmaErrorKind::Refused));
        }
        // Configuration errors and failed walks do not.
        set_cd(&one.cds, 5, &cd.with_ttb0(0))?;
        for (ssid, expect) in [
            (5, EventId::WalkEabt),
            (6, EventId::BadCd),
            (64, EventId::BadSubstreamId),
        ] {
            assert!(aborted(read(&port, Some(ssid), VA)));
            let event = one.next_event()?;
            assert_eq!((event.id(), event.stall()), (expect as u8, false));
        }
        Ok(())
    }

    #[test]
    fn turning_off_aborts_stalls() -> Result {
        let one = stalling(Config::default())?;
        let port = one.port(PLAIN)?;
        let job = write_at(&port, VA)?;
        one.next_event()?;
        let on = Cr0::from_raw(one.bench.regs.read32(regs::CR0));
        one.bench.enable(on.with_smmuen(false));
        assert_eq!(join(&job), Some(DmaErrorKind::Aborted));
        assert_eq!(one.bench.smmu.stalled(None), 0);
        Ok(())
    }

    #[test]
    fn ats_requests_never_stall() -> Result {
        let one = stalling(Config::default())?;
        let port = one.port(NO_PRI)?;
        let result: DmaResult<u8> = read(&port, Some(SSID), VA);
        assert!(aborted(result));
        assert_eq!(one.bench.smmu.stats().stalls, 0);
        assert!(one.bench.event().is_none());
        Ok(())
    }

    #[test]
    fn stall_model_terminate_only() -> Result {
        let one = stalling(Config {
            stall_model: regs::STALL_NONE,
            ..Config::default()
        })?;
        let regs = &one.bench.regs;
        assert_eq!(regs.read32(regs::IDR5) >> 16, 0);
        let port = one.port(PLAIN)?;
        assert!(aborted(read(&port, Some(SSID), VA)));
        assert_eq!(id(one.bench.event()), Some(EventId::BadCd as u8));
        for command in [
            Command::resume(SID, 0, Resume::Abort),
            Command::stall_term(SID),
        ] {
            one.bench.command(command)?;
            let cons = CmdqCons::from_raw(regs.read32(regs::CMDQ_CONS));
            assert_eq!(cons.err(), cmd::CommandError::Ill as u8);
            // A driver would write a SYNC over it.
            one.bench.replace_command(Command::sync())?;
            regs.write32(regs::GERRORN, regs.read32(regs::GERROR));
            assert!(one.bench.idle());
        }
        Ok(())
    }

    /// With TERM_MODEL, what is terminated is aborted, and no descriptor may say otherwise.
    #[test]
    fn term_model() -> Result {
        let one = stalling(Config {
            term_model: true,
            ..Config::default()
        })?;
        let port = one.port(PLAIN)?;
        for how in [Resume::Terminate, Resume::Abort] {
            let job = write_at(&port, VA)?;
            one.resume(&one.next_event()?, how)?;
            assert_eq!(join(&job), Some(DmaErrorKind::Refused));
        }
        set_cd(&one.cds, 2, &one.space.cd(ASID).with_a(false))?;
        assert!(aborted(read(&port, Some(2), VA)));
        assert_eq!(id(one.bench.event()), Some(EventId::BadCd as u8));
        Ok(())
    }
}
