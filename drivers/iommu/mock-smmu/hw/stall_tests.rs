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
                kind,
                read,
                set_cd,
                Job,
                OneSpace,
                ASID,
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
            DmaResult,
            Port,
            PortConfig, //
        }, //
    };
    use kernel::{
        sync::Arc,
        time::{
            delay::fsleep,
            Delta, //
        }, //
    };

    /// Like [`OneSpace`], but faults stall.
    fn stalling(config: Config) -> Result<OneSpace> {
        let one = OneSpace::with_config(config)?;
        set_cd(
            &one.cds,
            SSID as usize,
            &one.space.cd(ASID).with_s(true).with_r(false),
        )?;
        Ok(one)
    }

    fn start_write(port: &Arc<Port>, va: u64) -> Result<Arc<Job>> {
        let port = port.clone();
        Job::start(move || port.write(Some(SSID), va, b"1", USER))
    }

    /// Waits until `condition` holds, for a few seconds.
    fn wait_for(condition: impl Fn() -> bool) -> Result {
        for _ in 0..5000 {
            if condition() {
                return Ok(());
            }
            fsleep(Delta::from_millis(1));
        }
        Err(ETIMEDOUT)
    }

    fn next(one: &OneSpace) -> Result<Event> {
        wait_for(|| {
            let regs = &one.bench.regs;
            regs.read32(regs::EVTQ_PROD) & 7 != regs.read32(regs::EVTQ_CONS) & 7
        })?;
        one.bench.event().ok_or(EIO)
    }

    fn resume(one: &OneSpace, event: &Event, how: Resume) -> Result {
        one.bench
            .command(Command::resume(event.sid(), event.stag(), how))
    }

    fn join(job: &Job) -> Option<DmaErrorKind> {
        job.join().and_then(kind)
    }

    #[test]
    fn resume_retry() -> Result {
        let mut one = stalling(Config::default())?;
        let port = one.port(PLAIN)?;
        let job = start_write(&port, VA + 5)?;
        // Recorded though CD.R is clear.
        let event = next(&one)?;
        let expect = Event::default()
            .with_id(EventId::Translation as u8)
            .with_sid(SID)
            .with_ssv(true)
            .with_ssid(SSID)
            .with_class(crate::fmt::event::CLASS_IN)
            .with_stall(true)
            .with_address(VA + 5);
        assert_eq!(event, expect);
        assert_eq!(one.bench.smmu.stalled(Some(SID)), 1);
        // Still nothing there: it stalls anew, as another transaction.
        resume(&one, &event, Resume::Retry)?;
        let again = next(&one)?;
        assert_eq!(again, expect.with_stag(again.stag()));
        assert_ne!(again.stag(), event.stag());
        one.map(0, USER_RW)?;
        resume(&one, &again, Resume::Retry)?;
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
        let job = start_write(&port, VA)?;
        resume(&one, &next(&one)?, Resume::Terminate)?;
        assert_eq!(job.join(), Some(Ok(())));
        let reader = port.clone();
        let job = Job::start(move || match read(&reader, Some(SSID), VA)? {
            0 => Ok(()),
            _ => reader.read(None, u64::MAX, &mut [0], USER),
        })?;
        resume(&one, &next(&one)?, Resume::Terminate)?;
        assert_eq!(job.join(), Some(Ok(())));
        Ok(())
    }

    #[test]
    fn resume_abort() -> Result {
        let one = stalling(Config::default())?;
        let port = one.port(PLAIN)?;
        let job = start_write(&port, VA)?;
        resume(&one, &next(&one)?, Resume::Abort)?;
        assert_eq!(join(&job), Some(DmaErrorKind::Aborted));
        assert_eq!(port.stats().errors, 1);
        Ok(())
    }

    #[test]
    fn resume_of_what_is_not_stalled() -> Result {
        let one = stalling(Config::default())?;
        let port = one.port(PLAIN)?;
        let job = start_write(&port, VA)?;
        let event = next(&one)?;
        for (sid, stag) in [
            (SID + 1, event.stag()),
            (SID, event.stag() + 1),
            (SID, u16::MAX),
        ] {
            one.bench
                .command(Command::resume(sid, stag, Resume::Abort))?;
        }
        assert_eq!(one.bench.smmu.stalled(Some(SID)), 1);
        resume(&one, &event, Resume::Terminate)?;
        assert_eq!(job.join(), Some(Ok(())));
        // Each stall takes one.
        resume(&one, &event, Resume::Abort)?;
        assert!(one.bench.idle());
        assert_eq!(one.bench.smmu.stats().resume_stray, 4);
        Ok(())
    }

    #[test]
    fn stall_term() -> Result {
        let one = stalling(Config::default())?;
        let port = one.port(PLAIN)?;
        let jobs = [start_write(&port, VA)?, start_write(&port, VA)?];
        // The same fault twice is two records.
        let events = [next(&one)?, next(&one)?];
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
        let job = start_write(&port, VA)?;
        let event = next(&one)?;
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
        resume(&one, &event, Resume::Retry)?;
        assert_eq!(job.join(), Some(Ok(())));
        Ok(())
    }

    #[test]
    fn retry_looks_everything_up_again() -> Result {
        let one = stalling(Config::default())?;
        let port = one.port(PLAIN)?;
        let job = start_write(&port, VA)?;
        let event = next(&one)?;
        set_cd(&one.cds, SSID as usize, &Default::default())?;
        one.bench.command(Command::cfgi_cd(SID, SSID, true))?;
        resume(&one, &event, Resume::Retry)?;
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
            let event = next(&one)?;
            assert_eq!((event.id(), event.stall()), (expect as u8, true));
            resume(&one, &event, Resume::Abort)?;
            assert_eq!(join(&job), Some(DmaErrorKind::Aborted));
        }
        // Configuration errors and failed walks do not.
        set_cd(&one.cds, 5, &cd.with_ttb0(0))?;
        for (ssid, expect) in [
            (5, EventId::WalkEabt),
            (6, EventId::BadCd),
            (64, EventId::BadSubstreamId),
        ] {
            assert!(aborted(read(&port, Some(ssid), VA)));
            let event = next(&one)?;
            assert_eq!((event.id(), event.stall()), (expect as u8, false));
        }
        Ok(())
    }

    #[test]
    fn stall_events_wait_for_a_full_queue() -> Result {
        let one = stalling(Config::default())?;
        let port = one.port(PLAIN)?;
        for i in 0..4 {
            assert!(aborted(read(&port, Some(9), VA + i)));
        }
        let full = one.bench.regs.read32(regs::EVTQ_PROD);
        assert_eq!(full, 4);
        let first = start_write(&port, VA)?;
        wait_for(|| one.bench.smmu.stalled(None) == 1)?;
        let second = start_write(&port, VA + 1)?;
        wait_for(|| one.bench.smmu.stalled(None) == 2)?;
        // Nothing is lost.
        assert_eq!(one.bench.regs.read32(regs::EVTQ_PROD), full);
        assert_eq!(one.bench.smmu.stats().events_lost, 0);
        // Others of a full queue are, but do not overtake.
        assert!(aborted(read(&port, Some(9), VA + 4)));
        one.bench.acknowledge(regs::EVTQ_PROD);
        assert_eq!(one.bench.smmu.stats().events_lost, 1);
        for _ in 0..4 {
            assert_eq!(id(one.bench.event()), Some(EventId::BadCd as u8));
        }
        let events = [next(&one)?, next(&one)?];
        for (i, event) in events.iter().enumerate() {
            assert_eq!((event.stall(), event.address()), (true, VA + i as u64));
            resume(&one, event, Resume::Terminate)?;
        }
        assert_eq!(first.join(), Some(Ok(())));
        assert_eq!(second.join(), Some(Ok(())));
        assert!(one.bench.event().is_none());
        Ok(())
    }

    #[test]
    fn stall_term_before_the_event() -> Result {
        let one = stalling(Config::default())?;
        let port = one.port(PLAIN)?;
        let on = Cr0::from_raw(one.bench.regs.read32(regs::CR0));
        one.bench.enable(on.with_evtqen(false));
        let job = start_write(&port, VA)?;
        wait_for(|| one.bench.smmu.stalled(None) == 1)?;
        // Software cannot know the tag yet.
        one.bench.command(Command::resume(SID, 0, Resume::Abort))?;
        assert_eq!(one.bench.smmu.stats().resume_stray, 1);
        one.bench.command(Command::stall_term(SID))?;
        assert_eq!(join(&job), Some(DmaErrorKind::Aborted));
        // Off is like full.
        let job = start_write(&port, VA)?;
        wait_for(|| one.bench.smmu.stalled(None) == 1)?;
        one.bench.enable(on);
        let event = next(&one)?;
        assert!(event.stall());
        resume(&one, &event, Resume::Abort)?;
        assert_eq!(join(&job), Some(DmaErrorKind::Aborted));
        assert!(one.bench.event().is_none());
        Ok(())
    }

    #[test]
    fn stall_max() -> Result {
        let one = stalling(Config {
            stall_max: 1,
            ..Config::default()
        })?;
        assert_eq!(one.bench.regs.read32(regs::IDR5) >> 16, 1);
        let port = one.port(PLAIN)?;
        let jobs = [start_write(&port, VA)?, start_write(&port, VA)?];
        for _ in 0..2 {
            let event = next(&one)?;
            // The other waits outside.
            assert_eq!(one.bench.smmu.stalled(None), 1);
            assert!(one.bench.event().is_none());
            resume(&one, &event, Resume::Abort)?;
        }
        for job in jobs {
            assert_eq!(join(&job), Some(DmaErrorKind::Aborted));
        }
        Ok(())
    }

    #[test]
    fn stop_while_stalled() -> Result {
        let one = stalling(Config {
            stall_max: 1,
            ..Config::default()
        })?;
        let port = one.port(PLAIN)?;
        let job = start_write(&port, VA)?;
        let event = next(&one)?;
        port.stop();
        assert_eq!(join(&job), Some(DmaErrorKind::Stopped));
        assert_eq!(port.stats().abandoned, 1);
        // Software has not resumed it: the tag is in use.
        assert_eq!(one.bench.smmu.stalled(None), 1);
        drop(port);
        let port = one.port(PortConfig {
            timeout_ms: 10,
            ..PLAIN
        })?;
        let result = port.write(Some(SSID), VA, b"1", USER);
        assert_eq!(kind(result), Some(DmaErrorKind::Timeout));
        resume(&one, &event, Resume::Retry)?;
        assert_eq!(one.bench.smmu.stalled(None), 0);
        // A RESUME that comes too late for the device.
        let result = port.write(Some(SSID), VA, b"1", USER);
        assert_eq!(kind(result), Some(DmaErrorKind::Timeout));
        resume(&one, &next(&one)?, Resume::Retry)?;
        assert_eq!(one.bench.smmu.stalled(None), 0);
        assert_eq!(one.bench.smmu.stats().resume_stray, 0);
        Ok(())
    }

    #[test]
    fn turning_off_aborts_stalls() -> Result {
        let one = stalling(Config::default())?;
        let port = one.port(PLAIN)?;
        let job = start_write(&port, VA)?;
        next(&one)?;
        let on = Cr0::from_raw(one.bench.regs.read32(regs::CR0));
        one.bench.enable(on.with_smmuen(false));
        assert_eq!(join(&job), Some(DmaErrorKind::Aborted));
        assert_eq!(one.bench.smmu.stalled(None), 0);
        Ok(())
    }

    #[test]
    fn ats_requests_never_stall() -> Result {
        let one = stalling(Config::default())?;
        let port = one.port(crate::hw::bench::NO_PRI)?;
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
            // Skipped, which a driver would do by writing a SYNC over it.
            let next = CmdqCons::default().with_rd(cons.rd() + 1);
            regs.hw_write32(regs::CMDQ_CONS, next.raw());
            regs.write32(regs::GERRORN, regs.read32(regs::GERROR));
            assert!(one.bench.idle());
        }
        Ok(())
    }
}
