// SPDX-License-Identifier: GPL-2.0

//! Tests of hints at what a device is about to use.

use kernel::prelude::*;

#[kunit_tests(smmu_hw_hint)]
mod tests {
    use super::*;
    use crate::{
        fmt::{
            event::{
                Event,
                EventId, //
            },
            queue::OVERFLOW_FLAG,
            regs::{
                self,
                Cr0, //
            }, //
        },
        hw::{
            bench::{
                kind,
                OneSpace,
                NO_PRI,
                PLAIN,
                SID,
                SSID,
                USER,
                VA, //
            },
            Attrs,
            Config,
            DmaErrorKind, //
        }, //
    };
    use kernel::page::PAGE_SIZE;

    fn hinting() -> Result<OneSpace> {
        OneSpace::with_config(Config {
            page_hints: true,
            ..Config::default()
        })
    }

    #[test]
    fn e_page_request() -> Result {
        let one = hinting()?;
        let port = one.port(PLAIN)?;
        // Parts of four pages.
        let len = 2 * PAGE_SIZE + 2;
        port.prefetch(Some(SSID), VA + 4095, len, true, USER)?;
        let expect = Event::default()
            .with_id(EventId::PageRequest as u8)
            .with_sid(SID)
            .with_ssv(true)
            .with_ssid(SSID)
            .with_address(VA)
            .with_span((2 * PAGE_SIZE / 4096 + 2) as u8);
        assert_eq!(one.bench.event(), Some(expect.with_user_write(true)));
        assert!(one.bench.evtq_line.take());

        let fetch = Attrs {
            privileged: true,
            exec: true,
        };
        port.prefetch(None, VA, usize::MAX, false, fetch)?;
        let expect = Event::default()
            .with_id(EventId::PageRequest as u8)
            .with_sid(SID)
            .with_priv_read(true)
            .with_priv_exec(true)
            .with_address(VA)
            .with_span(255);
        assert_eq!(one.bench.event(), Some(expect));
        assert!(one.bench.event().is_none());
        Ok(())
    }

    #[test]
    fn e_page_request_is_optional() -> Result {
        let one = OneSpace::new()?;
        let port = one.port(PLAIN)?;
        port.prefetch(Some(SSID), VA, 1, true, USER)?;
        assert!(one.bench.event().is_none());
        assert_eq!(one.bench.smmu.stats().events_lost, 0);
        Ok(())
    }

    #[test]
    fn no_e_page_request() -> Result {
        let one = hinting()?;
        let port = one.port(PLAIN)?;
        port.prefetch(Some(SSID), VA, 0, true, USER)?;
        let on = Cr0::from_raw(one.bench.regs.read32(regs::CR0));
        one.bench.enable(on.with_smmuen(false));
        port.prefetch(Some(SSID), VA, 1, true, USER)?;
        one.bench.enable(on);
        port.stop();
        let stopped = port.prefetch(Some(SSID), VA, 1, true, USER);
        assert_eq!(kind(stopped), Some(DmaErrorKind::Stopped));
        drop(port);
        // Who can ask for translations does that.
        let port = one.port(NO_PRI)?;
        let missing = port.prefetch(Some(SSID), VA, 1, true, USER);
        assert_eq!(kind(missing), Some(DmaErrorKind::Aborted));
        assert!(one.bench.event().is_none());
        assert_eq!(one.bench.smmu.stats().events_lost, 0);
        Ok(())
    }

    /// It is lost like any event that no transaction waits for.
    #[test]
    fn e_page_request_finds_a_full_queue() -> Result {
        let one = hinting()?;
        let port = one.port(PLAIN)?;
        for _ in 0..5 {
            port.prefetch(Some(SSID), VA, 1, true, USER)?;
        }
        let stats = one.bench.smmu.stats();
        assert_eq!((stats.events, stats.events_lost), (4, 1));
        assert_eq!(one.bench.regs.read32(regs::EVTQ_PROD), OVERFLOW_FLAG | 4);
        Ok(())
    }
}
