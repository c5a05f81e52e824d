// SPDX-License-Identifier: GPL-2.0

//! Tests of the commands that fill the caches.

use kernel::prelude::*;

#[kunit_tests(smmu_hw_prefetch)]
mod tests {
    use super::*;
    use crate::{
        fmt::{
            cd::Cd,
            cmd::Command,
            event::EventId,
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
                id,
                read,
                set_cd,
                stage1,
                OneSpace,
                AF,
                ASID,
                DBM,
                PAGE,
                PLAIN,
                READ_ONLY,
                SID,
                SSID,
                USER_RW,
                VA, //
            },
            Config, //
        }, //
    };

    #[test]
    fn prefetch_config() -> Result {
        let mut one = OneSpace::new()?;
        one.map(0, USER_RW)?;
        let port = one.port(PLAIN)?;
        one.bench.command(Command::prefetch_cfg(SID, Some(SSID)))?;
        // What changes from now on is not seen before the command that makes it so.
        set_cd(&one.cds, SSID as usize, &Cd::default())?;
        one.bench.set_ste(SID, &Ste::default())?;
        assert_eq!(read(&port, Some(SSID), VA), Ok(0));
        one.bench.command(Command::cfgi_cd(SID, SSID, true))?;
        assert!(aborted(read(&port, Some(SSID), VA)));
        assert_eq!(id(one.bench.event()), Some(EventId::BadCd as u8));
        one.bench.command(Command::cfgi_ste(SID, true))?;
        assert!(aborted(read(&port, Some(SSID), VA)));
        assert_eq!(id(one.bench.event()), Some(EventId::BadSte as u8));
        Ok(())
    }

    /// An invalid descriptor is cached too, where hardware does that: who makes it valid must say so.
    #[test]
    fn prefetch_config_before_it_is_valid() -> Result {
        for cache_invalid in [true, false] {
            let mut one = OneSpace::with_config(Config {
                cache_invalid,
                ..Config::default()
            })?;
            one.map(0, USER_RW)?;
            let port = one.port(PLAIN)?;
            // Without a SubstreamID it is descriptor 0.
            one.bench.command(Command::prefetch_cfg(SID, None))?;
            set_cd(&one.cds, 0, &one.space.cd(ASID))?;
            assert_eq!(aborted(read(&port, None, VA)), cache_invalid);
            one.bench.command(Command::cfgi_cd(SID, 0, true))?;
            assert_eq!(read(&port, None, VA), Ok(0));
        }
        Ok(())
    }

    #[test]
    fn prefetch_address() -> Result {
        let mut one = OneSpace::new()?;
        one.map(0, USER_RW & !AF)?;
        one.map(1, (USER_RW | READ_ONLY | DBM) & !AF)?;
        one.map(2, USER_RW & !AF)?;
        let port = one.port(PLAIN)?;
        one.bench
            .command(Command::prefetch_addr(SID, Some(SSID), VA, 1))?;
        // Two pages are accessed, and clean.
        assert_eq!(one.bench.smmu.stats().walks, 2);
        assert_eq!(one.space.get(VA, 3)? & AF, AF);
        let second = one.space.get(VA + PAGE, 3)?;
        assert_eq!(second & (AF | READ_ONLY), AF | READ_ONLY);
        assert_eq!(one.space.get(VA + 2 * PAGE, 3)? & AF, 0);
        for n in 0..2 {
            one.unmap(n)?;
            assert_eq!(read(&port, Some(SSID), VA + n * PAGE), Ok(0));
        }
        let stats = one.bench.smmu.stats();
        assert_eq!((stats.walks, stats.tlb_hits, stats.prefetch), (2, 2, 1));
        one.bench.command(Command::tlbi_asid(ASID))?;
        assert!(aborted(read(&port, Some(SSID), VA)));
        Ok(())
    }

    #[test]
    fn prefetch_is_bounded() -> Result {
        let one = OneSpace::new()?;
        one.bench
            .command(Command::prefetch_addr(SID, Some(SSID), VA, 31))?;
        assert!(one.bench.idle());
        assert_eq!(one.bench.smmu.stats().walks, 32);
        Ok(())
    }

    /// No event and no error, and no translation fault is remembered.
    #[test]
    fn prefetch_fails_in_silence() -> Result {
        let mut one = OneSpace::new()?;
        set_cd(&one.cds, 2, &one.space.cd(ASID).with_epd0(true))?;
        set_cd(&one.cds, 3, &one.space.cd(ASID).with_ttb0(0))?;
        one.bench.set_ste(SID + 1, &Ste::default())?;
        let bypass = Ste::default().with_v(true).with_config(ste::CONFIG_BYPASS);
        one.bench.set_ste(SID + 2, &bypass)?;
        let disabled = stage1(&one.cds, 6).with_s1_dss(ste::S1DSS_TERMINATE);
        one.bench.set_ste(SID + 3, &disabled)?;
        let commands = [
            // Nothing mapped, too large, disabled, no table, no descriptor, no such substream.
            Command::prefetch_addr(SID, Some(SSID), VA, 0),
            Command::prefetch_addr(SID, Some(SSID), 1 << 50, 0),
            Command::prefetch_addr(SID, Some(2), VA, 0),
            Command::prefetch_addr(SID, Some(3), VA, 0),
            Command::prefetch_addr(SID, Some(4), VA, 0),
            Command::prefetch_cfg(SID, Some(64)),
            // Of streams: invalid, without stage 1, without substream, outside.
            Command::prefetch_cfg(SID + 1, None),
            Command::prefetch_addr(SID + 2, Some(1), VA, 0),
            Command::prefetch_cfg(SID + 3, None),
            Command::prefetch_cfg(64, None),
        ];
        for command in commands {
            one.bench.command(command)?;
            assert!(one.bench.idle());
        }
        assert!(one.bench.event().is_none());
        let stats = one.bench.smmu.stats();
        assert_eq!(
            (stats.prefetch, stats.events_lost, stats.command_errors),
            (commands.len() as u64, 0, 0)
        );
        let port = one.port(PLAIN)?;
        one.map(0, USER_RW)?;
        assert_eq!(read(&port, Some(SSID), VA), Ok(0));
        Ok(())
    }

    #[test]
    fn prefetch_while_off() -> Result {
        let mut one = OneSpace::new()?;
        one.map(0, USER_RW)?;
        let port = one.port(PLAIN)?;
        let on = Cr0::from_raw(one.bench.regs.read32(regs::CR0));
        one.bench.enable(on.with_smmuen(false));
        set_cd(&one.cds, SSID as usize, &Cd::default())?;
        let prefetch = Command::prefetch_addr(SID, Some(SSID), VA, 0);
        one.bench.command(prefetch)?;
        assert!(one.bench.idle());
        set_cd(&one.cds, SSID as usize, &one.space.cd(ASID))?;
        one.bench.enable(on);
        // Nothing was cached.
        assert_eq!(read(&port, Some(SSID), VA), Ok(0));
        Ok(())
    }
}
