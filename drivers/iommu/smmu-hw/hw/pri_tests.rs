// SPDX-License-Identifier: GPL-2.0

//! Tests of page requests: groups, responses, overflow.

use kernel::prelude::*;

#[kunit_tests(smmu_hw_pri)]
mod tests {
    use super::*;
    use crate::{
        fmt::{
            cmd::Command,
            ppr::{
                PriEntry,
                Response,
                GROUPS, //
            },
            ste, //
        },
        hw::{
            bench::{
                kind,
                set_cd,
                stage1,
                start_write,
                Job,
                OneSpace,
                ASID,
                PAGE,
                READ_ONLY,
                SID,
                SSID,
                USER,
                USER_RW,
                VA, //
            },
            Attrs,
            DmaErrorKind,
            PortConfig,
            PortLimits, //
        }, //
    };
    use kernel::page::PAGE_SIZE;

    #[test]
    fn page_request_group() -> Result {
        let mut one = OneSpace::new()?;
        // Page 1 is there already: the group asks for the others.
        one.map(1, USER_RW)?;
        let port = one.port(PortConfig::default())?;
        let job = start_write(&port, 4 * PAGE_SIZE)?;
        let pages = [0, 2, 3];
        for n in pages {
            let request = one.next_request().ok_or(EIO)?;
            let expect = PriEntry::default()
                .with_sid(SID)
                .with_ssv(true)
                .with_ssid(SSID)
                .with_write(true)
                .with_group(0)
                .with_last(n == 3)
                .with_address(VA + n * PAGE);
            assert_eq!(request, expect);
            one.map(n, USER_RW)?;
            if request.last() {
                assert_eq!(port.outstanding(), 3);
                one.respond(&request, Response::Success)?;
            }
        }
        // One interrupt for the group.
        assert_eq!(one.bench.priq_line.count(), 1);
        assert_eq!(job.join(), Some(Ok(())));
        assert_eq!(
            one.data.window().load64(4 * PAGE_SIZE - 8)?,
            0xa5a5_a5a5_a5a5_a5a5
        );
        let stats = port.stats();
        assert_eq!(
            (stats.page_requests, stats.groups, stats.responses_success),
            (3, 1, 1)
        );
        assert_eq!(port.outstanding(), 0);
        assert!(one.bench.event().is_none());
        Ok(())
    }

    /// What kind of access it will be.
    #[test]
    fn page_request_of_a_privileged_fetch() -> Result {
        let mut one = OneSpace::new()?;
        let port = one.port(PortConfig::default())?;
        let reader = port.clone();
        let attrs = Attrs {
            privileged: true,
            exec: true,
        };
        let job = Job::start(move || reader.read(Some(SSID), VA, &mut [0; 8], attrs))?;
        let request = one.next_request().ok_or(EIO)?;
        let expect = PriEntry::default()
            .with_sid(SID)
            .with_ssv(true)
            .with_ssid(SSID)
            .with_read(true)
            .with_exec(true)
            .with_privileged(true)
            .with_last(true)
            .with_address(VA);
        assert_eq!(request, expect);
        // Readable, and executable with privilege.
        one.map(0, USER_RW & !(1 << 53) | READ_ONLY)?;
        one.respond(&request, Response::Success)?;
        assert_eq!(job.join(), Some(Ok(())));
        Ok(())
    }

    /// A device that uses ATS for all its accesses asks for pages without SubstreamID too.
    #[test]
    fn pri_without_ssid() -> Result {
        let mut one = OneSpace::new()?;
        let ste = stage1(&one.cds, 6).with_s1_dss(ste::S1DSS_SSID0);
        set_cd(&one.cds, 0, &one.space.cd(ASID))?;
        one.bench.set_ste(SID, &ste)?;
        let port = one.port(PortConfig {
            ats_no_ssid: true,
            ..PortConfig::default()
        })?;
        let writer = port.clone();
        let job = Job::start(move || writer.write(None, VA, &[0xa5; 8], USER))?;
        let request = one.next_request().ok_or(EIO)?;
        let expect = PriEntry::default()
            .with_sid(SID)
            .with_write(true)
            .with_last(true)
            .with_address(VA);
        assert_eq!(request, expect);
        one.map(0, USER_RW)?;

        // A response to a SubstreamID's group is not for this one.
        let response = |ssid| {
            let command = Command::pri_resp(SID, ssid, request.group(), Response::Success);
            one.bench.command(command)
        };
        response(Some(0))?;
        assert_eq!(port.outstanding(), 1);
        response(None)?;
        assert_eq!(job.join(), Some(Ok(())));
        assert_eq!(one.data.window().load64(0)?, 0xa5a5_a5a5_a5a5_a5a5);
        assert!(one.bench.event().is_none());
        Ok(())
    }

    #[test]
    fn pri_resp() -> Result {
        let one = OneSpace::new()?;
        let port = one.port(PortConfig::default())?;
        for (response, expect) in [
            (Response::Invalid, DmaErrorKind::Refused),
            (Response::Failure, DmaErrorKind::ResponseFailure),
        ] {
            let job = start_write(&port, 1)?;
            let request = one.next_request().ok_or(EIO)?;
            // Not for this group, not for this address space, not for this device.
            let (group, ssid) = (request.group(), Some(SSID));
            one.bench
                .command(Command::pri_resp(SID, ssid, group + 1, Response::Success))?;
            one.bench.command(Command::pri_resp(
                SID,
                Some(SSID + 1),
                group,
                Response::Success,
            ))?;
            one.bench
                .command(Command::pri_resp(SID + 1, ssid, group, Response::Success))?;
            one.respond(&request, response)?;
            let error = job.join().and_then(Result::err);
            assert_eq!(error.map(|e| (e.kind, e.addr)), Some((expect, VA)));
            // Again: nobody waits.
            one.respond(&request, response)?;
        }
        assert_eq!(one.bench.smmu.stats().pri_resp_stray, 8);
        assert_eq!(port.stats().errors, 2);
        Ok(())
    }

    #[test]
    fn the_refused_page_of_a_group_is_found() -> Result {
        let mut one = OneSpace::new()?;
        let port = one.port(PortConfig::default())?;
        let job = start_write(&port, 3 * PAGE_SIZE)?;
        // Three pages, then the two from the culprit on, then the culprit alone.
        for (pages, last) in [(3, 2), (2, 2), (1, 1)] {
            let mut request = one.next_request().ok_or(EIO)?;
            for _ in 1..pages {
                request = one.next_request().ok_or(EIO)?;
            }
            assert!(request.last());
            assert_eq!(request.address(), VA + last * PAGE);
            // A handler takes the pages in order and stops at the second.
            one.map(0, USER_RW)?;
            one.respond(&request, Response::Invalid)?;
        }
        let error = job.join().and_then(Result::err);
        let expect = (DmaErrorKind::Refused, VA + PAGE);
        assert_eq!(error.map(|e| (e.kind, e.addr)), Some(expect));
        Ok(())
    }

    #[test]
    fn success_without_a_page_is_retried_a_few_times() -> Result {
        let one = OneSpace::new()?;
        let port = one.port(PortConfig {
            max_retries: 2,
            ..PortConfig::default()
        })?;
        let job = start_write(&port, 1)?;
        for _ in 0..3 {
            let request = one.next_request().ok_or(EIO)?;
            one.respond(&request, Response::Success)?;
        }
        let error = job.join().and_then(Result::err);
        assert_eq!(error.map(|e| e.kind), Some(DmaErrorKind::RetriesExhausted));
        assert!(one.bench.page_request().is_none());
        Ok(())
    }

    #[test]
    fn outstanding_requests_are_bounded() -> Result {
        let mut one = OneSpace::new()?;
        // An address space that is alone gets half of them.
        let port = one.port(PortConfig {
            max_outstanding: 4,
            ..PortConfig::default()
        })?;
        let job = start_write(&port, 4 * PAGE_SIZE)?;
        for n in 0..4 {
            let request = one.next_request().ok_or(EIO)?;
            assert_eq!(request.address(), VA + n * PAGE);
            assert_eq!(request.last(), n % 2 == 1);
            one.map(n, USER_RW)?;
            if request.last() {
                one.respond(&request, Response::Success)?;
            }
        }
        assert_eq!(job.join(), Some(Ok(())));
        assert_eq!(port.stats().groups, 2);
        Ok(())
    }

    #[test]
    fn timeout_then_late_response() -> Result {
        let one = OneSpace::new()?;
        let port = one.port(PortConfig {
            timeout_ms: 20,
            max_outstanding: 1,
            ..PortConfig::default()
        })?;
        let job = start_write(&port, 1)?;
        let request = one.next_request().ok_or(EIO)?;
        let error = job.join().and_then(Result::err);
        assert_eq!(error.map(|e| e.kind), Some(DmaErrorKind::Timeout));
        // Nobody waits for it, so it counts no more.
        assert_eq!(port.outstanding(), 0);
        assert_eq!(port.stats().abandoned, 1);
        one.respond(&request, Response::Success)?;
        assert_eq!(one.bench.smmu.stats().pri_resp_stray, 0);
        // Now it would be one.
        one.respond(&request, Response::Success)?;
        assert_eq!(one.bench.smmu.stats().pri_resp_stray, 1);
        Ok(())
    }

    /// The device cannot know whether a response is still to come.
    #[test]
    fn abandoned_group_index_is_not_reused() -> Result {
        let one = OneSpace::new()?;
        let port = one.port(PortConfig {
            timeout_ms: 20,
            max_retries: 2 * GROUPS as u16,
            ..PortConfig::default()
        })?;
        let job = start_write(&port, 1)?;
        let abandoned = one.next_request().ok_or(EIO)?;
        let error = job.join().and_then(kind);
        assert_eq!(error, Some(DmaErrorKind::Timeout));
        port.set_limits(PortLimits {
            max_retries: 2 * GROUPS as u16,
            ..PortLimits::DEFAULT
        })?;
        // All others come round, one by one.
        let job = start_write(&port, 1)?;
        for _ in 0..2 * GROUPS {
            let request = one.next_request().ok_or(EIO)?;
            assert_ne!(request.group(), abandoned.group());
            one.respond(&request, Response::Success)?;
        }
        let request = one.next_request().ok_or(EIO)?;
        one.respond(&request, Response::Invalid)?;
        assert!(job.join().is_some_and(|result| result.is_err()));
        Ok(())
    }

    #[test]
    fn stop_ends_waiting() -> Result {
        let mut one = OneSpace::new()?;
        one.map(0, USER_RW)?;
        let port = one.port(PortConfig::default())?;
        let job = start_write(&port, 2 * PAGE_SIZE)?;
        let request = one.next_request().ok_or(EIO)?;
        port.stop();
        let error = job.join().and_then(Result::err);
        let expect = (DmaErrorKind::Stopped, VA + PAGE);
        assert_eq!(error.map(|e| (e.kind, e.addr)), Some(expect));
        let result = port.read(Some(SSID), VA, &mut [0], USER);
        assert_eq!(kind(result), Some(DmaErrorKind::Stopped));
        one.respond(&request, Response::Success)?;
        port.start();
        port.read(Some(SSID), VA, &mut [0], USER)?;
        Ok(())
    }

    #[test]
    fn stop_marker() -> Result {
        let one = OneSpace::new()?;
        let port = one.port(PortConfig::default())?;
        port.stop_marker(SSID);
        let marker = one.next_request().ok_or(EIO)?;
        assert!(marker.is_stop_marker());
        assert_eq!((marker.sid(), marker.ssid()), (SID, SSID));
        Ok(())
    }

    #[test]
    fn prefetch() -> Result {
        let mut one = OneSpace::new()?;
        let port = one.port(PortConfig::default())?;
        let worker = port.clone();
        let job = Job::start(move || worker.prefetch(Some(SSID), VA, 2 * PAGE_SIZE, true, USER))?;
        for n in 0..2 {
            let request = one.next_request().ok_or(EIO)?;
            assert!(request.write());
            one.map(n, USER_RW)?;
            if request.last() {
                one.respond(&request, Response::Success)?;
            }
        }
        assert_eq!(job.join(), Some(Ok(())));
        let before = one.bench.smmu.stats().ats_requests;
        port.write(Some(SSID), VA, &[1; 2 * PAGE_SIZE], USER)?;
        assert_eq!(one.bench.smmu.stats().ats_requests, before);
        assert_eq!(port.stats().bytes_written, 2 * PAGE);
        Ok(())
    }
}
