// SPDX-License-Identifier: GPL-2.0

//! Tests of EPD0, which forbids to walk, and no more: what a cache has passes.
//!
//! So a descriptor whose tables are out of use for a while must not share its ASID with one whose
//! tables are in use.

use kernel::prelude::*;

#[kunit_tests(smmu_hw_epd)]
mod tests {
    use super::*;
    use crate::{
        fmt::{
            cmd::Command,
            event::EventId, //
        },
        hw::{
            bench::{
                aborted,
                id,
                read,
                set_cd,
                OneSpace,
                ASID,
                NO_PRI,
                PAGE,
                PLAIN,
                SID,
                SSID,
                USER_RW,
                VA, //
            },
            Config,
            PortConfig, //
        }, //
    };

    /// A SubstreamID whose descriptor has EPD0 and the ASID of [`SSID`], and one with EPD0 and an
    /// ASID that nothing else has.
    const SHARES: u32 = 2;
    const PARKED: u32 = 3;

    fn two_asleep(config: Config) -> Result<OneSpace> {
        let mut one = OneSpace::with_config(config)?;
        let cd = one.space.cd(ASID).with_epd0(true);

        set_cd(&one.cds, SHARES as usize, &cd)?;
        set_cd(&one.cds, PARKED as usize, &cd.with_asid(0))?;
        one.map(0, USER_RW)?;
        Ok(one)
    }

    fn strict() -> Config {
        Config {
            strict: true,
            ..Config::default()
        }
    }

    #[test]
    fn hits_pass() -> Result {
        let one = two_asleep(Config::default())?;
        let port = one.port(PLAIN)?;
        for ssid in [SHARES, PARKED] {
            assert!(aborted(read(&port, Some(ssid), VA)));
            assert_eq!(id(one.bench.event()), Some(EventId::Translation as u8));
        }
        assert_eq!(one.bench.smmu.stats().walks, 0);
        // The tables are walked for another.
        assert_eq!(read(&port, Some(SSID), VA), Ok(0));
        assert_eq!(read(&port, Some(SHARES), VA + 8), Ok(0));
        assert!(aborted(read(&port, Some(PARKED), VA)));
        assert!(aborted(read(&port, Some(SHARES), VA + PAGE)));
        one.bench.command(Command::tlbi_asid(ASID))?;
        assert!(aborted(read(&port, Some(SHARES), VA)));
        Ok(())
    }

    /// What a device has got so stays, although the TLB has forgotten it.
    #[test]
    fn hits_reach_a_device() -> Result {
        for config in [NO_PRI, PortConfig::default()] {
            let one = two_asleep(strict())?;
            let port = one.port(config)?;
            assert_eq!(read(&port, Some(SSID), VA), Ok(0));
            assert_eq!(read(&port, Some(SHARES), VA), Ok(0));
            one.bench.command(Command::tlbi_asid(ASID))?;
            one.bench
                .command(Command::atc_inv(SID, Some(SSID), VA, 0))?;
            assert_eq!(read(&port, Some(SHARES), VA), Ok(0));
            assert!(one.bench.smmu.strict_check() != 0);
            one.bench.smmu.take_strict_records();
        }
        Ok(())
    }

    /// Strict mode knows: memory says that nothing is to be translated.
    #[test]
    fn strict_hit() -> Result {
        let one = two_asleep(strict())?;
        let port = one.port(PLAIN)?;
        assert_eq!(read(&port, Some(SSID), VA), Ok(0));
        assert!(aborted(read(&port, Some(PARKED), VA)));
        assert_eq!(one.bench.smmu.strict_check(), 0);
        assert_eq!(read(&port, Some(SHARES), VA), Ok(0));
        assert!(one.bench.smmu.strict_check() != 0);
        one.bench.smmu.take_strict_records();
        Ok(())
    }
}
