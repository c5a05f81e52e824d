// SPDX-License-Identifier: GPL-2.0

//! Tests of ATS: translation requests, translated requests, and what a device has cached.

use kernel::prelude::*;

#[kunit_tests(smmu_hw_ats)]
mod tests {
    use super::*;
    use crate::{
        fmt::{
            cmd::{
                self,
                Command, //
            },
            event::{
                Event,
                EventId, //
            },
            ppr::Response,
            regs::{
                self,
                Cr0, //
            },
            ste::{
                self,
                Ste, //
            }, //
        },
        hw::{
            bench::{
                aborted,
                read,
                set_cd,
                stage1,
                start_write,
                OneSpace,
                ASID,
                NO_PRI,
                PAGE,
                PLAIN,
                SID,
                SSID,
                USER,
                USER_RW,
                VA, //
            },
            Config,
            Port,
            PortConfig, //
        }, //
    };
    use kernel::sync::Arc;

    /// What is told of ATS, for an access of the first page.
    fn about(id: EventId) -> Event {
        Event::default()
            .with_id(id as u8)
            .with_sid(SID)
            .with_ssv(true)
            .with_ssid(SSID)
            .with_address(VA)
    }

    /// A device that has the translation of the first page; then its stream's entry is `entry`.
    fn knowing(entry: impl FnOnce(&OneSpace) -> Ste) -> Result<(OneSpace, Arc<Port>)> {
        let mut one = OneSpace::new()?;
        one.map(0, USER_RW)?;
        let port = one.port(NO_PRI)?;
        port.read(Some(SSID), VA, &mut [0], USER)?;
        one.bench.set_ste(SID, &entry(&one))?;
        one.bench.command(Command::cfgi_ste(SID, true))?;
        Ok((one, port))
    }

    /// Whether a read fails and this is the only event.
    fn fails(one: &OneSpace, port: &Port, va: u64, expect: Option<Event>) -> bool {
        let failed = aborted(read(port, Some(SSID), va));
        failed && one.bench.event() == expect && one.bench.event().is_none()
    }

    #[test]
    fn ats_failures_are_not_events() -> Result {
        let one = OneSpace::new()?;
        let port = one.port(NO_PRI)?;
        for ssid in [SSID, 9, 64] {
            assert!(aborted(read(&port, Some(ssid), VA)));
        }
        one.bench.set_ste(SID, &Ste::default())?;
        one.bench.command(Command::cfgi_ste(SID, true))?;
        assert!(aborted(read(&port, Some(SSID), VA)));
        drop(port);
        let outside = one.bench.port(64, NO_PRI)?;
        assert!(aborted(read(&outside, Some(SSID), VA)));
        assert!(one.bench.event().is_none());
        Ok(())
    }

    /// What no page can mend is no reason to ask for one.
    #[test]
    fn ats_failures_without_a_page_request() -> Result {
        let one = OneSpace::new()?;
        set_cd(&one.cds, 2, &one.space.cd(ASID).with_ttb0(0x1000))?;
        let port = one.port(PortConfig::default())?;
        for ssid in [2, 9, 64] {
            assert!(aborted(read(&port, Some(ssid), VA)));
        }
        assert!(one.bench.page_request().is_none());
        assert_eq!(port.stats().groups, 0);
        Ok(())
    }

    /// Where ATS is not allowed, a request for a translation is refused.
    #[test]
    fn f_bad_ats_treq() -> Result {
        let told = Some(about(EventId::BadAtsTreq).with_treq_read(true).with_span(1));
        let valid = Ste::default().with_v(true);
        let mut one = OneSpace::new()?;
        one.map(0, USER_RW)?;
        let port = one.port(NO_PRI)?;
        for (entry, expect) in [
            (stage1(&one.cds, 6).with_eats(ste::EATS_ABORT), told),
            (stage1(&one.cds, 6).with_eats(3), told),
            (valid.with_config(ste::CONFIG_BYPASS), told),
            (valid.with_config(ste::CONFIG_ABORT), None),
        ] {
            one.bench.set_ste(SID, &entry)?;
            one.bench.command(Command::cfgi_ste(SID, true))?;
            assert!(fails(&one, &port, VA + 8, expect));
        }
        Ok(())
    }

    /// The device keeps its translation, but may not use it any more.
    #[test]
    fn f_transl_forbidden() -> Result {
        let told = Some(about(EventId::TranslForbidden).with_rnw(true));
        let valid = Ste::default().with_v(true);
        let (one, port) = knowing(|one| stage1(&one.cds, 6).with_eats(ste::EATS_ABORT))?;
        assert!(fails(&one, &port, VA + 8, told));
        let (one, port) = knowing(|_| valid.with_config(ste::CONFIG_BYPASS))?;
        assert!(fails(&one, &port, VA + 8, told));
        let (one, port) = knowing(|_| valid.with_config(ste::CONFIG_ABORT))?;
        assert!(fails(&one, &port, VA + 8, None));
        // Errors of configuration are for others to tell of.
        let (one, port) = knowing(|_| Ste::default())?;
        assert!(fails(&one, &port, VA + 8, None));
        Ok(())
    }

    /// Without ATSCHK nobody looks at what devices have translated.
    #[test]
    fn atschk() -> Result {
        let (one, port) = knowing(|_| Ste::default())?;
        let on = Cr0::from_raw(one.bench.regs.read32(regs::CR0));
        one.bench.enable(on.with_atschk(false));
        assert_eq!(read(&port, Some(SSID), VA), Ok(0));
        one.bench.enable(on);
        assert!(aborted(read(&port, Some(SSID), VA)));
        Ok(())
    }

    /// Where stage 1 is bypassed, a translation is the address itself.
    #[test]
    fn ats_of_a_bypassed_substream() -> Result {
        let one = OneSpace::new()?;
        let stream = stage1(&one.cds, 6).with_s1_dss(ste::S1DSS_BYPASS);
        one.bench.set_ste(SID, &stream)?;
        let port = one.port(PortConfig {
            ats_no_ssid: true,
            ..NO_PRI
        })?;
        assert_eq!(read(&port, None, one.data.phys()), Ok(0));
        let stats = one.bench.smmu.stats();
        assert_eq!((stats.ats_requests, stats.walks), (1, 0));
        assert!(aborted(read(&port, None, 1 << 48)));
        assert!(one.bench.event().is_none());
        Ok(())
    }

    /// While translation is off there is no ATS.
    #[test]
    fn ats_while_off() -> Result {
        let (one, port) = knowing(|one| stage1(&one.cds, 6))?;
        let on = Cr0::from_raw(one.bench.regs.read32(regs::CR0));
        one.bench.enable(on.with_smmuen(false));
        let forbidden = about(EventId::TranslForbidden).with_rnw(true);
        assert!(fails(&one, &port, VA, Some(forbidden)));
        let refused = about(EventId::BadAtsTreq)
            .with_treq_read(true)
            .with_span(1)
            .with_address(VA + PAGE);
        assert!(fails(&one, &port, VA + PAGE, Some(refused)));
        // The device hears of nothing either.
        let atc_inv = Command::atc_inv(SID, None, 0, cmd::ATC_INV_ALL);
        one.bench.command(atc_inv)?;
        assert!(one.bench.idle());
        one.bench.enable(on);
        assert_eq!(read(&port, Some(SSID), VA), Ok(0));
        let requests = one.bench.smmu.stats().ats_requests;
        assert_eq!(requests, 2);
        one.bench.command(atc_inv)?;
        assert_eq!(read(&port, Some(SSID), VA), Ok(0));
        assert_eq!(one.bench.smmu.stats().ats_requests, requests + 1);
        Ok(())
    }

    #[test]
    fn pri_resp_while_off() -> Result {
        let one = OneSpace::new()?;
        let port = one.port(PortConfig::default())?;
        let job = start_write(&port, 1)?;
        let request = one.next_request().ok_or(EIO)?;
        let on = Cr0::from_raw(one.bench.regs.read32(regs::CR0));
        one.bench.enable(on.with_smmuen(false));
        one.respond(&request, Response::Invalid)?;
        assert!(one.bench.idle());
        assert_eq!(port.outstanding(), 1);
        one.bench.enable(on);
        one.respond(&request, Response::Invalid)?;
        assert_eq!(port.outstanding(), 0);
        assert!(job.join().is_some_and(|result| result.is_err()));
        Ok(())
    }

    /// An SMMU without ATS takes no translated accesses.
    #[test]
    fn no_ats() -> Result {
        let one = OneSpace::with_config(Config {
            ats: false,
            pri: false,
            ..Config::default()
        })?;
        assert_eq!(one.port(NO_PRI).err(), Some(EINVAL));
        assert!(one.port(PLAIN).is_ok());
        Ok(())
    }

    #[test]
    fn atc_inv() -> Result {
        let all = cmd::ATC_INV_ALL;
        let commands = [
            (Command::atc_inv(SID, Some(SSID), VA, 0), true),
            (Command::atc_inv(SID, Some(SSID), VA + PAGE, 0), false),
            (Command::atc_inv(SID, Some(SSID), VA & !0xffff, 4), true),
            // An aligned range, whichever address in it is named.
            (Command::atc_inv(SID, Some(SSID), VA | 0xf000, 4), true),
            (Command::atc_inv(SID, Some(SSID), VA | 0xf000, 3), false),
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
}
