// SPDX-License-Identifier: GPL-2.0

//! Tests of ports: accesses, ATS, page requests.

use kernel::prelude::*;

#[kunit_tests(smmu_hw_dma)]
mod tests {
    use super::*;
    use crate::{
        fmt::{
            cmd::{
                self,
                Command, //
            },
            event::EventId,
            ppr::{
                PageRequest,
                Response, //
            },
            regs::{
                self,
                Cr0, //
            },
            ste, //
        },
        hw::{
            bench::{
                stage1,
                Job,
                OneSpace,
                DBM,
                READ_ONLY,
                SID,
                SSID,
                USER_RW,
                VA, //
            },
            Attrs,
            DmaErrorKind,
            DmaResult,
            Port,
            PortConfig, //
        }, //
    };
    use kernel::{
        page::PAGE_SIZE,
        sync::Arc, //
    };

    const USER: Attrs = Attrs {
        privileged: false,
        exec: false,
    };

    const PAGE: u64 = PAGE_SIZE as u64;

    const NO_PRI: PortConfig = PortConfig {
        ats: true,
        pri: false,
        max_outstanding: 1,
        max_retries: 0,
        timeout_ms: 1000,
    };

    fn kind<T>(result: DmaResult<T>) -> Option<DmaErrorKind> {
        result.err().map(|e| e.kind)
    }

    /// A thread that writes `len` bytes at `VA`.
    fn start_write(port: &Arc<Port>, len: usize) -> Result<Arc<Job>> {
        let port = port.clone();
        let bytes = KVec::from_elem(0xa5, len, GFP_KERNEL)?;
        Job::start(move || port.write(Some(SSID), VA, &bytes, USER))
    }

    /// Waits for a page request.
    fn next(one: &OneSpace) -> Option<PageRequest> {
        loop {
            if let Some(request) = one.bench.page_request() {
                return Some(request);
            }
            if !one.bench.priq_line.wait() {
                return None;
            }
        }
    }

    fn respond(one: &OneSpace, request: &PageRequest, response: Response) -> Result {
        let ssid = Some(request.ssid());
        one.bench.command(Command::pri_resp(
            request.sid(),
            ssid,
            request.group(),
            response,
        ))
    }

    #[test]
    fn crossing_pages() -> Result {
        let mut one = OneSpace::new()?;
        // The second page first in memory.
        let base = one.data.phys();
        one.space.set(VA, 3, (base + PAGE) | USER_RW)?;
        one.space.set(VA + PAGE, 3, base | USER_RW)?;
        let port = one.port(PortConfig::default())?;
        port.write(Some(SSID), VA + PAGE - 3, b"abcdef", USER)?;
        let mut got = [0; 3];
        one.data.window().read(0, &mut got)?;
        assert_eq!(&got, b"def");
        one.data.window().read(2 * PAGE_SIZE - 3, &mut got)?;
        assert_eq!(&got, b"abc");
        let mut all = [0; 8];
        port.read(Some(SSID), VA + PAGE - 4, &mut all, USER)?;
        assert_eq!(&all, b"\0abcdef\0");
        let stats = port.stats();
        assert_eq!(
            (stats.bytes_written, stats.bytes_read, stats.errors),
            (6, 8, 0)
        );
        Ok(())
    }

    #[test]
    fn atomics() -> Result {
        let mut one = OneSpace::new()?;
        one.map(0, USER_RW)?;
        let port = one.port(PortConfig::default())?;
        let ssid = Some(SSID);
        assert_eq!(port.fetch_add64(ssid, VA + 8, 5, USER), Ok(0));
        assert_eq!(port.fetch_add64(ssid, VA + 8, u64::MAX, USER), Ok(5));
        assert_eq!(port.fetch_add32(ssid, VA + 12, 7, USER), Ok(0));
        assert_eq!(one.data.window().load64(8)?, 7 << 32 | 4);
        assert_eq!(port.compare_exchange64(ssid, VA, 1, 2, USER), Ok(0));
        assert_eq!(port.compare_exchange64(ssid, VA, 0, 2, USER), Ok(0));
        assert_eq!(one.data.window().load64(0)?, 2);
        for result in [
            port.fetch_add64(ssid, VA + 4, 1, USER).map(|_| ()),
            port.fetch_add32(ssid, VA + 2, 1, USER).map(|_| ()),
        ] {
            assert_eq!(kind(result), Some(DmaErrorKind::Misaligned));
        }
        // An atomic needs to read and write.
        one.map(1, USER_RW | READ_ONLY)?;
        let refused = one.port(NO_PRI).err();
        assert_eq!(refused, Some(EBUSY));
        drop(port);
        let port = one.port(NO_PRI)?;
        let result = port.fetch_add64(ssid, VA + PAGE, 1, USER);
        assert_eq!(kind(result), Some(DmaErrorKind::Aborted));
        Ok(())
    }

    #[test]
    fn ports_are_checked() -> Result {
        let one = OneSpace::new()?;
        let new = |sid, config| one.bench.port(sid, config).err();
        let none = PortConfig {
            max_outstanding: 0,
            ..PortConfig::default()
        };
        let pri_only = PortConfig {
            ats: false,
            ..PortConfig::default()
        };
        assert_eq!(new(1, none), Some(EINVAL));
        assert_eq!(new(1, pri_only), Some(EINVAL));
        assert_eq!(new(1 << 16, NO_PRI), Some(EINVAL));
        let mut ports = KVec::new();
        for sid in 0..64 {
            ports.push(one.bench.port(sid, NO_PRI)?, GFP_KERNEL)?;
        }
        assert_eq!(new(64, NO_PRI), Some(ENOSPC));
        drop(ports);
        assert_eq!(new(64, NO_PRI), None);
        Ok(())
    }

    #[test]
    fn ats_failures_are_not_events() -> Result {
        let one = OneSpace::new()?;
        let port = one.port(NO_PRI)?;
        for ssid in [SSID, 9, 64] {
            let result = port.read(Some(ssid), VA, &mut [0], USER);
            assert_eq!(kind(result), Some(DmaErrorKind::Aborted));
        }
        assert!(one.bench.event().is_none());
        Ok(())
    }

    #[test]
    fn f_bad_ats_treq() -> Result {
        let mut one = OneSpace::new()?;
        one.map(0, USER_RW)?;
        let refuses = stage1(&one.cds, 6).with_eats(ste::EATS_ABORT);
        one.bench.set_ste(SID, &refuses)?;
        let port = one.port(NO_PRI)?;
        let result = port.read(Some(SSID), VA, &mut [0], USER);
        assert_eq!(kind(result), Some(DmaErrorKind::Aborted));
        let id = one.bench.event().map(|e| e.id());
        assert_eq!(id, Some(EventId::BadAtsTreq as u8));
        Ok(())
    }

    #[test]
    fn f_transl_forbidden() -> Result {
        let mut one = OneSpace::new()?;
        one.map(0, USER_RW)?;
        let port = one.port(NO_PRI)?;
        port.read(Some(SSID), VA, &mut [0], USER)?;
        // The device keeps its translation, but may not use it any more.
        let refuses = stage1(&one.cds, 6).with_eats(ste::EATS_ABORT);
        one.bench.set_ste(SID, &refuses)?;
        one.bench.command(Command::cfgi_ste(SID, true))?;
        let result = port.read(Some(SSID), VA, &mut [0], USER);
        assert_eq!(kind(result), Some(DmaErrorKind::Aborted));
        let id = one.bench.event().map(|e| e.id());
        assert_eq!(id, Some(EventId::TranslForbidden as u8));
        Ok(())
    }

    #[test]
    fn atc_inv() -> Result {
        let all = cmd::ATC_INV_ALL;
        let commands = [
            (Command::atc_inv(SID, Some(SSID), VA, 0), true),
            (Command::atc_inv(SID, Some(SSID), VA + PAGE, 0), false),
            (Command::atc_inv(SID, Some(SSID), VA & !0xffff, 4), true),
            (Command::atc_inv(SID, Some(SSID + 1), VA, 0), false),
            (
                Command::atc_inv(SID, Some(SSID + 1), VA, 0).with_global(true),
                true,
            ),
            (Command::atc_inv(SID + 1, Some(SSID), VA, 0), false),
            (Command::atc_inv(SID, Some(SSID), 0, all), true),
            (Command::atc_inv(SID, Some(SSID + 1), 0, all), false),
            (Command::atc_inv(SID, None, 0, all), true),
            (Command::tlbi_all(), false),
        ];
        let mut one = OneSpace::new()?;
        let port = one.port(NO_PRI)?;
        for (command, drops) in commands {
            one.map(0, USER_RW)?;
            port.read(Some(SSID), VA, &mut [0], USER)?;
            one.unmap(0)?;
            one.bench.command(Command::tlbi_all())?;
            // The device's own cache does not care for the TLB.
            port.read(Some(SSID), VA, &mut [0], USER)?;
            one.bench.command(command)?;
            let result = port.read(Some(SSID), VA, &mut [0], USER);
            assert_eq!(result.is_err(), drops);
            one.bench.command(Command::atc_inv(SID, None, 0, all))?;
        }
        // The order matters: without the TLBI first, the ATC is filled from the TLB again.
        one.map(0, USER_RW)?;
        port.read(Some(SSID), VA, &mut [0], USER)?;
        one.unmap(0)?;
        one.bench.command(Command::atc_inv(SID, None, 0, all))?;
        port.read(Some(SSID), VA, &mut [0], USER)?;
        Ok(())
    }

    #[test]
    fn widened_permissions_need_no_invalidation() -> Result {
        let mut one = OneSpace::new()?;
        let port = one.port(NO_PRI)?;
        one.map(0, USER_RW | READ_ONLY)?;
        port.read(Some(SSID), VA, &mut [0], USER)?;
        assert!(port.write(Some(SSID), VA, b"1", USER).is_err());
        one.map(0, USER_RW)?;
        port.write(Some(SSID), VA, b"1", USER)?;
        // Clean to dirty, through both caches.
        one.map(1, USER_RW | READ_ONLY | DBM)?;
        port.read(Some(SSID), VA + PAGE, &mut [0], USER)?;
        port.write(Some(SSID), VA + PAGE, b"2", USER)?;
        assert_eq!(one.space.get(VA + PAGE, 3)? & READ_ONLY, 0);
        Ok(())
    }

    #[test]
    fn page_request_group() -> Result {
        let mut one = OneSpace::new()?;
        // Page 1 is there already: the group asks for the others.
        one.map(1, USER_RW)?;
        let port = one.port(PortConfig::default())?;
        let job = start_write(&port, 4 * PAGE_SIZE)?;
        let pages = [0, 2, 3];
        for n in pages {
            let request = next(&one).ok_or(EIO)?;
            let expect = PageRequest::default()
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
                respond(&one, &request, Response::Success)?;
            }
        }
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

    #[test]
    fn pri_resp() -> Result {
        let one = OneSpace::new()?;
        let port = one.port(PortConfig::default())?;
        for (response, expect) in [
            (Response::Invalid, DmaErrorKind::Refused),
            (Response::Failure, DmaErrorKind::ResponseFailure),
        ] {
            let job = start_write(&port, 1)?;
            let request = next(&one).ok_or(EIO)?;
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
            respond(&one, &request, response)?;
            let error = job.join().and_then(Result::err);
            assert_eq!(error.map(|e| (e.kind, e.addr)), Some((expect, VA)));
            // Again: nobody waits.
            respond(&one, &request, response)?;
        }
        assert_eq!(one.bench.smmu.stats().pri_resp_stray, 8);
        assert_eq!(port.stats().errors, 2);
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
            let request = next(&one).ok_or(EIO)?;
            respond(&one, &request, Response::Success)?;
        }
        let error = job.join().and_then(Result::err);
        assert_eq!(error.map(|e| e.kind), Some(DmaErrorKind::RetriesExhausted));
        assert!(one.bench.page_request().is_none());
        Ok(())
    }

    #[test]
    fn outstanding_requests_are_bounded() -> Result {
        let mut one = OneSpace::new()?;
        let port = one.port(PortConfig {
            max_outstanding: 2,
            ..PortConfig::default()
        })?;
        let job = start_write(&port, 4 * PAGE_SIZE)?;
        for n in 0..4 {
            let request = next(&one).ok_or(EIO)?;
            assert_eq!(request.address(), VA + n * PAGE);
            assert_eq!(request.last(), n % 2 == 1);
            one.map(n, USER_RW)?;
            if request.last() {
                // A second access finds no room, and waits for it.
                respond(&one, &request, Response::Success)?;
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
        let request = next(&one).ok_or(EIO)?;
        let error = job.join().and_then(Result::err);
        assert_eq!(error.map(|e| e.kind), Some(DmaErrorKind::Timeout));
        // The request still counts, so the next access finds no room.
        assert_eq!(port.outstanding(), 1);
        let result = port.write(Some(SSID), VA, b"1", USER);
        assert_eq!(kind(result), Some(DmaErrorKind::Timeout));
        assert!(one.bench.page_request().is_none());
        respond(&one, &request, Response::Success)?;
        assert_eq!(port.outstanding(), 0);
        assert_eq!(port.stats().abandoned, 1);
        Ok(())
    }

    #[test]
    fn stop_ends_waiting() -> Result {
        let mut one = OneSpace::new()?;
        one.map(0, USER_RW)?;
        let port = one.port(PortConfig::default())?;
        let job = start_write(&port, 2 * PAGE_SIZE)?;
        let request = next(&one).ok_or(EIO)?;
        port.stop();
        let error = job.join().and_then(Result::err);
        let expect = (DmaErrorKind::Stopped, VA + PAGE);
        assert_eq!(error.map(|e| (e.kind, e.addr)), Some(expect));
        let result = port.read(Some(SSID), VA, &mut [0], USER);
        assert_eq!(kind(result), Some(DmaErrorKind::Stopped));
        respond(&one, &request, Response::Success)?;
        port.start();
        port.read(Some(SSID), VA, &mut [0], USER)?;
        Ok(())
    }

    #[test]
    fn stop_marker() -> Result {
        let one = OneSpace::new()?;
        let port = one.port(PortConfig::default())?;
        port.stop_marker(SSID);
        let marker = next(&one).ok_or(EIO)?;
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
            let request = next(&one).ok_or(EIO)?;
            assert!(request.write());
            one.map(n, USER_RW)?;
            if request.last() {
                respond(&one, &request, Response::Success)?;
            }
        }
        assert_eq!(job.join(), Some(Ok(())));
        let before = one.bench.smmu.stats().ats_requests;
        port.write(Some(SSID), VA, &[1; 2 * PAGE_SIZE], USER)?;
        assert_eq!(one.bench.smmu.stats().ats_requests, before);
        assert_eq!(port.stats().bytes_written, 2 * PAGE);
        Ok(())
    }

    #[test]
    fn auto_response_when_the_queue_is_off() -> Result {
        let one = OneSpace::new()?;
        let port = one.port(PortConfig::default())?;
        one.bench.enable(Cr0::default().with_smmuen(true));
        let result = port.write(Some(SSID), VA, b"1", USER);
        assert_eq!(kind(result), Some(DmaErrorKind::ResponseFailure));
        assert_eq!(one.bench.smmu.stats().auto_responses, 1);
        Ok(())
    }

    #[test]
    fn priq_overflow() -> Result {
        let mut one = OneSpace::new()?;
        let port = one.port(PortConfig {
            timeout_ms: 20,
            ..PortConfig::default()
        })?;
        // Sixteen missing pages for a queue of eight: the end of the group is lost.
        let job = start_write(&port, 16 * PAGE_SIZE)?;
        for _ in 0..8 {
            assert_eq!(next(&one).map(|request| request.last()), Some(false));
        }
        // The SMMU has answered in our place, and writes nothing until we acknowledge: the device
        // tries for a while.
        let error = job.join().and_then(Result::err);
        assert_eq!(error.map(|e| e.kind), Some(DmaErrorKind::Timeout));
        assert!(one.bench.page_request().is_none());
        assert_eq!(one.bench.regs.read32(regs::PRIQ_PROD), 1 << 31 | 8);
        assert_eq!(port.outstanding(), 0);
        let stats = one.bench.smmu.stats();
        assert!(stats.auto_responses > 1);
        assert_eq!(stats.page_requests, 8);

        one.bench.acknowledge(regs::PRIQ_PROD);
        let job = start_write(&port, PAGE_SIZE)?;
        let request = next(&one).ok_or(EIO)?;
        assert!(request.last());
        one.map(0, USER_RW)?;
        respond(&one, &request, Response::Success)?;
        assert_eq!(job.join(), Some(Ok(())));
        Ok(())
    }

    #[test]
    fn priq_abt_err() -> Result {
        let one = OneSpace::new()?;
        let port = one.port(PortConfig::default())?;
        one.bench.regs.write64(regs::PRIQ_BASE, 3);
        let result = port.write(Some(SSID), VA, b"1", USER);
        assert_eq!(kind(result), Some(DmaErrorKind::ResponseFailure));
        assert!(one.bench.gerror_line.take());
        assert_eq!(one.bench.regs.read32(regs::GERROR), 1 << 3);
        Ok(())
    }

    #[test]
    fn translations_to_what_is_not_memory() -> Result {
        let mut one = OneSpace::new()?;
        one.space.set(VA, 3, 0x0800_0000 | USER_RW)?;
        let port = one.port(NO_PRI)?;
        let result = port.read(Some(SSID), VA, &mut [0], USER);
        assert_eq!(kind(result), Some(DmaErrorKind::BusError));
        Ok(())
    }
}
