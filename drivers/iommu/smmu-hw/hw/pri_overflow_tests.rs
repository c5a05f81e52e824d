// SPDX-License-Identifier: GPL-2.0

//! Tests of page requests that find no room: overflow, and the SMMU's own responses.

use kernel::prelude::*;

#[kunit_tests(smmu_hw_pri_overflow)]
mod tests {
    use super::*;
    use crate::{
        fmt::{
            ppr::{
                PriEntry,
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
                kind,
                stage1,
                start_write,
                OneSpace,
                SID,
                SSID,
                USER,
                USER_RW,
                VA, //
            },
            Config,
            DmaErrorKind,
            PortConfig,
            PortLimits, //
        }, //
    };
    use kernel::page::PAGE_SIZE;

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
            assert_eq!(
                one.next_request().map(|request| request.last()),
                Some(false)
            );
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

        // From here on it waits for as long as it takes.
        port.set_limits(PortLimits::DEFAULT)?;
        one.bench.acknowledge(regs::PRIQ_PROD);
        let job = start_write(&port, PAGE_SIZE)?;
        let request = one.next_request().ok_or(EIO)?;
        assert!(request.last());
        one.map(0, USER_RW)?;
        one.respond(&request, Response::Success)?;
        assert_eq!(job.join(), Some(Ok(())));
        Ok(())
    }

    /// Nobody waits for an answer before the last request of a group.
    #[test]
    fn requests_without_last_vanish() -> Result {
        let one = OneSpace::new()?;
        let _port = one.port(PortConfig::default())?;
        let request = PriEntry::default()
            .with_sid(SID)
            .with_ssv(true)
            .with_ssid(SSID)
            .with_read(true);
        let send = |last| one.bench.smmu.send_page_request(&request.with_last(last));
        for _ in 0..8 {
            assert_eq!(send(false), None);
        }
        // Full, then overflown.
        for _ in 0..2 {
            assert_eq!(send(false), None);
            assert_eq!(send(true), Some(Response::Success));
        }
        // While it is off each is answered.
        one.bench.enable(Cr0::default().with_smmuen(true));
        assert_eq!(send(false), Some(Response::Failure));
        assert_eq!(send(true), Some(Response::Failure));
        let stats = one.bench.smmu.stats();
        assert_eq!((stats.page_requests, stats.page_requests_lost), (8, 6));
        assert_eq!(stats.auto_responses, 4);
        Ok(())
    }

    /// Whether automatic responses carry the PASID is up to IDR3.PPS, else to the stream.
    #[test]
    fn ppar_and_pps() -> Result {
        for (pps, ppar, needs_pasid, taken) in [
            (true, false, true, true),
            (false, true, true, true),
            (false, false, true, false),
            (false, false, false, true),
        ] {
            let one = OneSpace::with_config(Config {
                pps,
                ..Config::default()
            })?;
            let stream = stage1(&one.cds, 6).with_ppar(ppar);
            one.bench.set_ste(SID, &stream)?;
            let port = one.port(PortConfig {
                needs_pasid,
                timeout_ms: 20,
                ..PortConfig::default()
            })?;
            // Two groups are one more than there is room for.
            let job = start_write(&port, 9 * PAGE_SIZE)?;
            let error = job.join().and_then(kind);
            assert_eq!(error, Some(DmaErrorKind::Timeout));
            assert!(one.bench.smmu.stats().auto_responses > 0);
            assert_eq!(port.stats().abandoned, if taken { 0 } else { 1 });
        }
        Ok(())
    }

    #[test]
    fn auto_response_of_an_unusable_stream() -> Result {
        let one = OneSpace::new()?;
        let port = one.port(PortConfig::default())?;
        for _ in 0..9 {
            port.stop_marker(SSID);
        }
        // Overflown. The stream's entry goes while the device waits.
        one.bench.set_ste(SID, &ste::Ste::default())?;
        let request = PriEntry::default()
            .with_sid(SID)
            .with_ssv(true)
            .with_ssid(SSID)
            .with_read(true)
            .with_last(true);
        let before = one.bench.smmu.stats().auto_responses;
        assert_eq!(
            one.bench.smmu.send_page_request(&request),
            Some(Response::Failure)
        );
        assert_eq!(one.bench.smmu.stats().auto_responses, before + 1);
        Ok(())
    }

    #[test]
    fn priq_abt_err() -> Result {
        let one = OneSpace::new()?;
        let port = one.port(PortConfig::default())?;
        one.bench.regs.write64(regs::PRIQ_BASE, 3);
        let request = PriEntry::default().with_sid(SID).with_last(true);
        // The one that could not be written, and those after it.
        for _ in 0..2 {
            let response = one.bench.smmu.send_page_request(&request.with_read(true));
            assert_eq!(response, Some(Response::Failure));
            assert_eq!(one.bench.regs.read32(regs::GERROR), 1 << 3);
        }
        assert!(one.bench.gerror_line.take());
        let result = port.write(Some(SSID), VA, b"1", USER);
        assert_eq!(kind(result), Some(DmaErrorKind::ResponseFailure));
        Ok(())
    }
}
