// SPDX-License-Identifier: GPL-2.0

//! Tests of stalled transactions that find no room, in the event queue or in the SMMU.

use kernel::prelude::*;

#[kunit_tests(smmu_hw_stall_room)]
mod tests {
    use super::*;
    use crate::{
        fmt::{
            cmd::{
                Command,
                Resume, //
            },
            regs::{
                self,
                Cr0, //
            }, //
        },
        hw::{
            bench::{
                aborted,
                join,
                kind,
                read,
                stalling,
                wait_for,
                write_at,
                PLAIN,
                SID,
                SSID,
                USER,
                VA, //
            },
            Config,
            DmaErrorKind,
            PortConfig, //
        }, //
    };

    #[test]
    fn stall_events_wait_for_a_full_queue() -> Result {
        let one = stalling(Config::default())?;
        let port = one.port(PLAIN)?;
        one.fill_events(&port);
        let full = one.bench.regs.read32(regs::EVTQ_PROD);
        assert_eq!(full, 4);
        let first = write_at(&port, VA)?;
        wait_for(|| one.bench.smmu.stalled(None) == 1)?;
        let second = write_at(&port, VA + 1)?;
        wait_for(|| one.bench.smmu.stalled(None) == 2)?;
        // Nothing is lost.
        assert_eq!(one.bench.regs.read32(regs::EVTQ_PROD), full);
        assert_eq!(one.bench.smmu.stats().events_lost, 0);
        // Others of a full queue are.
        assert!(aborted(read(&port, Some(9), VA + 4)));
        one.bench.acknowledge(regs::EVTQ_PROD);
        assert_eq!(one.bench.smmu.stats().events_lost, 1);
        one.take_filled();
        // With room both are looked up anew, in any order.
        let events = [one.next_event()?, one.next_event()?];
        assert_ne!(events[0].address(), events[1].address());
        for event in &events {
            assert!(event.stall() && (VA..VA + 2).contains(&event.address()));
            one.resume(event, Resume::Terminate)?;
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
        let job = write_at(&port, VA)?;
        wait_for(|| one.bench.smmu.stalled(None) == 1)?;
        // Software cannot know the tag yet.
        one.bench.command(Command::resume(SID, 0, Resume::Abort))?;
        assert_eq!(one.bench.smmu.stats().resume_stray, 1);
        one.bench.command(Command::stall_term(SID))?;
        assert_eq!(join(&job), Some(DmaErrorKind::Aborted));
        // Off is like full.
        let job = write_at(&port, VA)?;
        wait_for(|| one.bench.smmu.stalled(None) == 1)?;
        one.bench.enable(on);
        let event = one.next_event()?;
        assert!(event.stall());
        one.resume(&event, Resume::Abort)?;
        assert_eq!(join(&job), Some(DmaErrorKind::Refused));
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
        let jobs = [write_at(&port, VA)?, write_at(&port, VA)?];
        for _ in 0..2 {
            let event = one.next_event()?;
            // The other waits outside.
            assert_eq!(one.bench.smmu.stalled(None), 1);
            assert!(one.bench.event().is_none());
            one.resume(&event, Resume::Abort)?;
        }
        for job in jobs {
            assert_eq!(join(&job), Some(DmaErrorKind::Refused));
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
        let job = write_at(&port, VA)?;
        let event = one.next_event()?;
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
        one.resume(&event, Resume::Retry)?;
        assert_eq!(one.bench.smmu.stalled(None), 0);
        // A RESUME that comes too late for the device.
        let result = port.write(Some(SSID), VA, b"1", USER);
        assert_eq!(kind(result), Some(DmaErrorKind::Timeout));
        one.resume(&one.next_event()?, Resume::Retry)?;
        assert_eq!(one.bench.smmu.stalled(None), 0);
        assert_eq!(one.bench.smmu.stats().resume_stray, 0);
        Ok(())
    }
}
