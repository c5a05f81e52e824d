// SPDX-License-Identifier: GPL-2.0

//! Tests of devices that break the rules: each does what it says.

use kernel::prelude::*;

#[kunit_tests(smmu_hw_lies)]
mod tests {
    use super::*;
    use crate::{
        fmt::{
            cmd::Command,
            ppr::Response,
            regs, //
        },
        hw::{
            bench::{
                kind,
                read,
                start_write,
                OneSpace,
                NO_PRI,
                PAGE,
                SID,
                SSID,
                USER_RW,
                VA, //
            },
            DmaErrorKind,
            Lies,
            PortConfig, //
        }, //
    };
    use kernel::{
        time::{
            delay::fsleep,
            Delta,
            Instant,
            Monotonic, //
        }, //
    };

    use kernel_test_ext::wait::wait_until;

    const HASTY: PortConfig = PortConfig {
        ats: true,
        ats_no_ssid: false,
        pri: true,
        needs_pasid: false,
        max_outstanding: 256,
        max_retries: 4,
        timeout_ms: 50,
        gives_up: true,
    };

    #[test]
    fn lying_foreign_pasid() -> Result {
        let one = OneSpace::new()?;
        let port = one.port(PortConfig::default())?;
        port.set_lies(Lies {
            foreign_ssid: Some(9),
            ..Lies::default()
        })?;
        // There is no such address space.
        assert_eq!(
            kind(read(&port, Some(SSID), VA)),
            Some(DmaErrorKind::Aborted)
        );
        assert_eq!(port.stats().lies, 1);
        port.set_lies(Lies::default())?;
        let job = start_write(&port, 1)?;
        let request = one.next_request().ok_or(ETIMEDOUT)?;
        assert_eq!(request.ssid(), SSID);
        one.respond(&request, Response::Invalid)?;
        assert!(job.join().is_some_and(|result| result.is_err()));
        Ok(())
    }

    #[test]
    fn lying_never_last() -> Result {
        let one = OneSpace::new()?;
        let port = one.port(HASTY)?;
        port.set_lies(Lies {
            no_last: true,
            ..Lies::default()
        })?;
        let job = start_write(&port, 1)?;
        let request = one.next_request().ok_or(ETIMEDOUT)?;
        assert!(!request.last());
        assert_eq!(job.join().and_then(kind), Some(DmaErrorKind::Timeout));
        assert_eq!(port.outstanding(), 0);
        // An honest device has its group index back: a response would be a stray.
        port.set_lies(Lies::default())?;
        one.respond(&request, Response::Success)?;
        assert_eq!(one.bench.smmu.stats().pri_resp_stray, 1);
        Ok(())
    }

    #[test]
    fn lying_flood() -> Result {
        let one = OneSpace::new()?;
        let port = one.port(HASTY)?;
        port.set_lies(Lies {
            flood: 20,
            ..Lies::default()
        })?;
        let job = start_write(&port, 1)?;
        assert_eq!(job.join().and_then(kind), Some(DmaErrorKind::Timeout));
        for i in 0..8 {
            let request = one.next_request().ok_or(ETIMEDOUT)?;
            assert_eq!(request.address(), VA + i * PAGE);
            assert!(request.last());
        }
        // The queue is full: the rest is answered, and nobody waits for the answers.
        assert_eq!(one.bench.smmu.stats().auto_responses, 13);
        assert_eq!(port.stats().lies, 20);
        assert_eq!(port.stats().abandoned, 1);
        Ok(())
    }

    #[test]
    fn lying_repeat() -> Result {
        let mut one = OneSpace::new()?;
        let port = one.port(PortConfig::default())?;
        port.set_lies(Lies {
            repeat: true,
            ..Lies::default()
        })?;
        let job = start_write(&port, 1)?;
        let requests = [
            one.next_request().ok_or(ETIMEDOUT)?,
            one.next_request().ok_or(ETIMEDOUT)?,
        ];
        assert_eq!(requests[0], requests[1]);
        one.map(0, USER_RW)?;
        for request in &requests {
            one.respond(request, Response::Success)?;
        }
        assert_eq!(job.join(), Some(Ok(())));
        assert_eq!(one.bench.smmu.stats().pri_resp_stray, 1);
        Ok(())
    }

    #[test]
    fn lying_group_index_reuse() -> Result {
        let mut one = OneSpace::new()?;
        let port = one.port(PortConfig {
            timeout_ms: 3000,
            ..HASTY
        })?;
        port.set_lies(Lies {
            one_group: true,
            ..Lies::default()
        })?;
        let jobs = [start_write(&port, 1)?, start_write(&port, 1)?];
        let requests = [
            one.next_request().ok_or(ETIMEDOUT)?,
            one.next_request().ok_or(ETIMEDOUT)?,
        ];
        assert_eq!(requests[0].group(), requests[1].group());
        one.map(0, USER_RW)?;
        one.respond(&requests[0], Response::Success)?;
        one.respond(&requests[1], Response::Success)?;
        // One of them may miss the answer; none hangs.
        let done = jobs.iter().filter(|job| job.join() == Some(Ok(())));
        assert!(done.count() >= 1);
        assert_eq!(port.outstanding(), 0);
        Ok(())
    }

    #[test]
    fn lying_late_answer() -> Result {
        let mut one = OneSpace::new()?;
        let port = one.port(PortConfig::default())?;
        port.set_lies(Lies {
            late_ms: 30,
            ..Lies::default()
        })?;
        let job = start_write(&port, 1)?;
        let request = one.next_request().ok_or(ETIMEDOUT)?;
        one.map(0, USER_RW)?;
        one.respond(&request, Response::Success)?;
        // By then it is not there any more.
        one.unmap(0)?;
        let again = one.next_request().ok_or(ETIMEDOUT)?;
        one.respond(&again, Response::Invalid)?;
        assert_eq!(job.join().and_then(kind), Some(DmaErrorKind::Refused));
        Ok(())
    }

    #[test]
    fn lying_late_acknowledgement() -> Result {
        let one = OneSpace::new()?;
        let port = one.port(NO_PRI)?;
        port.set_lies(Lies {
            ack_ms: 10,
            ..Lies::default()
        })?;
        let start = Instant::<Monotonic>::now();
        one.bench.command(Command::atc_inv(SID, None, 0, 52))?;
        assert!(one.bench.idle());
        one.bench.command(Command::sync())?;
        while !one.bench.idle() {
            fsleep(Delta::from_millis(1));
        }
        assert!(start.elapsed() >= Delta::from_millis(10));
        assert_eq!(one.bench.smmu.stats().command_errors, 0);
        Ok(())
    }

    #[test]
    fn cerror_atc_inv() -> Result {
        let one = OneSpace::new()?;
        let port = one.port(NO_PRI)?;
        port.set_lies(Lies {
            ack_ms: 10_000,
            ..Lies::default()
        })?;
        one.bench.command(Command::atc_inv(SID, None, 0, 52))?;
        one.bench.command(Command::sync())?;
        let regs = &one.bench.regs;
        assert!(wait_until(|| regs.read32(regs::GERROR) != 0));
        // The queue stands at the SYNC.
        let cons = regs::CmdqCons::from_raw(regs.read32(regs::CMDQ_CONS));
        assert_eq!((cons.rd(), cons.err()), (1, 3));
        regs.write32(regs::GERRORN, regs.read32(regs::GERROR));
        assert!(one.bench.idle());
        Ok(())
    }

    #[test]
    fn lying_dma_after_stop() -> Result {
        let mut one = OneSpace::new()?;
        one.map(0, USER_RW)?;
        let port = one.port(NO_PRI)?;
        port.set_lies(Lies {
            unstoppable: true,
            ..Lies::default()
        })?;
        port.stop();
        assert_eq!(read(&port, Some(SSID), VA), Ok(0));
        port.set_lies(Lies::default())?;
        port.stop();
        assert_eq!(
            kind(read(&port, Some(SSID), VA)),
            Some(DmaErrorKind::Stopped)
        );
        assert_eq!(port.stats().lies, 1);
        Ok(())
    }
}
