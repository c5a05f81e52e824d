// SPDX-License-Identifier: GPL-2.0

//! Tests of what address spaces can take from each other at one port: credits and group indexes.

use kernel::prelude::*;

#[kunit_tests(smmu_hw_credits)]
mod tests {
    use super::*;
    use crate::{
        fmt::ppr::Response,
        hw::{
            bench::{
                kind,
                set_cd,
                Job,
                OneSpace,
                ASID,
                PAGE,
                SSID,
                USER,
                USER_RW,
                VA, //
            },
            DmaErrorKind,
            Port,
            PortConfig, //
        }, //
    };
    use kernel::{
        page::PAGE_SIZE,
        sync::Arc, //
    };

    /// Another address space, with the same tables.
    const OTHER: u32 = 2;

    fn bench() -> Result<OneSpace> {
        let one = OneSpace::new()?;
        set_cd(&one.cds, OTHER as usize, &one.space.cd(ASID + 1))?;
        Ok(one)
    }

    /// A thread that writes `pages` pages from page `first` on.
    fn start(port: &Arc<Port>, ssid: u32, first: u64, pages: usize) -> Result<Arc<Job>> {
        let port = port.clone();
        let bytes = KVec::from_elem(1, pages * PAGE_SIZE, GFP_KERNEL)?;
        Job::start(move || port.write(Some(ssid), VA + first * PAGE, &bytes, USER))
    }

    /// Four accesses of one address space ask for more than the port has; no page comes. Another
    /// still gets its own.
    #[test]
    fn r8_one_pasid_never_has_all_credits() -> Result {
        let mut one = bench()?;
        let port = one.port(PortConfig {
            max_outstanding: 6,
            ..PortConfig::default()
        })?;
        let hogs = [
            start(&port, SSID, 4, 4)?,
            start(&port, SSID, 8, 4)?,
            start(&port, SSID, 12, 4)?,
        ];
        // Half of the credits, all in one group.
        for n in 0..3 {
            let request = one.next_request().ok_or(ETIMEDOUT)?;
            assert_eq!((request.ssid(), request.last()), (SSID, n == 2));
        }
        assert_eq!(port.outstanding(), 3);

        let job = start(&port, OTHER, 0, 1)?;
        let request = one.next_request().ok_or(ETIMEDOUT)?;
        assert_eq!((request.ssid(), request.address()), (OTHER, VA));
        one.map(0, USER_RW)?;
        one.respond(&request, Response::Success)?;
        assert_eq!(job.join(), Some(Ok(())));
        assert_eq!(port.outstanding(), 3);
        port.stop();
        for hog in hogs {
            assert_eq!(hog.join().and_then(kind), Some(DmaErrorKind::Stopped));
        }
        Ok(())
    }

    /// Who gives up gets the credits back: the request has left the queue long ago.
    #[test]
    fn r8_credits_of_what_is_given_up() -> Result {
        let mut one = bench()?;
        let port = one.port(PortConfig {
            max_outstanding: 1,
            timeout_ms: 1,
            ..PortConfig::default()
        })?;
        let mut given_up = KVec::new();
        for _ in 0..3 {
            let job = start(&port, SSID, 0, 1)?;
            given_up.push(one.next_request().ok_or(ETIMEDOUT)?, GFP_KERNEL)?;
            assert_eq!(job.join().and_then(kind), Some(DmaErrorKind::Timeout));
            assert_eq!(port.outstanding(), 0);
        }
        // Their indexes are in use: an answer may still come, and is no stray then.
        for (i, request) in given_up.iter().enumerate() {
            assert_eq!(usize::from(request.group()), i);
            one.respond(request, Response::Success)?;
        }
        assert_eq!(one.bench.smmu.stats().pri_resp_stray, 0);
        one.map(0, USER_RW)?;
        assert_eq!(port.write(Some(OTHER), VA, b"1", USER), Ok(()));
        Ok(())
    }

    /// A device that stops using an address space waits for none of its answers.
    #[test]
    fn r8_indexes_come_back_with_a_stop_marker() -> Result {
        let one = bench()?;
        let port = one.port(PortConfig {
            timeout_ms: 1,
            ..PortConfig::default()
        })?;
        for ssid in [SSID, OTHER] {
            let job = start(&port, ssid, 0, 1)?;
            assert_eq!(job.join().and_then(kind), Some(DmaErrorKind::Timeout));
        }
        let requests = [
            one.next_request().ok_or(ETIMEDOUT)?,
            one.next_request().ok_or(ETIMEDOUT)?,
        ];
        port.stop_marker(SSID);
        for (request, strays) in requests.iter().zip([1, 1]) {
            one.respond(request, Response::Invalid)?;
            assert_eq!(one.bench.smmu.stats().pri_resp_stray, strays);
        }
        Ok(())
    }
}
