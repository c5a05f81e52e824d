// SPDX-License-Identifier: GPL-2.0

//! Tests of strict mode and of random eviction.

use kernel::prelude::*;

#[kunit_tests(smmu_hw_strict)]
mod tests {
    use super::*;
    use crate::{
        fmt::cmd::Command,
        hw::{
            bench::{
                aborted,
                read,
                set_cd,
                OneSpace,
                ASID,
                CONTIGUOUS,
                NO_PRI,
                PAGE,
                PLAIN,
                READ_ONLY,
                SID,
                SSID,
                USER,
                USER_RW,
                VA, //
            },
            Config,
            Port,
            PortConfig,
            StrictCache,
            StrictReason, //
        }, //
    };
    use kernel::{
        page::PAGE_SIZE,
        time::{
            delay::fsleep,
            Delta, //
        }, //
    };
    use kernel_ext::{
        phys::PhysPages,
        thread::KThread, //
    };

    /// Page 0 mapped, strict mode on.
    fn strict() -> Result<OneSpace> {
        let mut one = OneSpace::with_config(Config {
            strict: true,
            ..Config::default()
        })?;
        one.map(0, USER_RW)?;
        Ok(one)
    }

    /// What the first record is about. No record is left.
    fn take(one: &OneSpace) -> Option<(StrictCache, StrictReason)> {
        let first = one.bench.smmu.strict_record(0);
        one.bench.smmu.take_strict_records();
        first.map(|record| (record.cache, record.reason))
    }

    #[test]
    fn strict_suspicion_is_cleared_by_tlbi() -> Result {
        let one = &mut strict()?;
        let port = one.port(PLAIN)?;
        assert_eq!(read(&port, Some(SSID), VA), Ok(0));
        assert_eq!(read(&port, Some(SSID), VA), Ok(0));
        assert_eq!(one.bench.smmu.stats().strict_suspicions, 0);
        one.unmap(0)?;
        // Legal: the invalidation is under way.
        assert_eq!(read(&port, Some(SSID), VA), Ok(0));
        assert_eq!(one.bench.smmu.stats().strict_suspicions, 1);
        one.bench.command(Command::tlbi_va(ASID, VA, true))?;
        let records = one.bench.smmu.strict_check();
        take(one);
        assert_eq!(records, 0);
        Ok(())
    }

    #[test]
    fn strict_missing_tlbi() -> Result {
        let one = &mut strict()?;
        let port = one.port(PLAIN)?;
        assert_eq!(read(&port, Some(SSID), VA), Ok(0));
        one.unmap(0)?;
        assert_eq!(read(&port, Some(SSID), VA + 8), Ok(0));
        // For another page, another address space, and of the wrong cache.
        one.bench.command(Command::tlbi_va(ASID, VA + PAGE, true))?;
        one.bench.command(Command::tlbi_asid(ASID + 1))?;
        one.bench.command(Command::atc_inv(SID, None, 0, 52))?;
        let records = one.bench.smmu.strict_check();
        let record = one.bench.smmu.strict_record(0);
        let what = take(one);
        // By the suspicion, and by the look at all entries.
        assert_eq!(records, 2);
        assert_eq!(what, Some((StrictCache::Tlb, StrictReason::Left)));
        assert_eq!(record.map(|r| (r.sid, r.va)), Some((SID, VA + 8)));
        assert_eq!(record.map(|r| r.pa), Some(one.data.phys() + 8));
        Ok(())
    }

    #[test]
    fn strict_missing_atc_inv() -> Result {
        let one = &mut strict()?;
        let port = one.port(NO_PRI)?;
        assert_eq!(read(&port, Some(SSID), VA), Ok(0));
        one.unmap(0)?;
        one.bench.command(Command::tlbi_all())?;
        let unused = one.bench.smmu.strict_check();
        let what = take(one);
        assert_eq!(read(&port, Some(SSID), VA), Ok(0));
        one.bench
            .command(Command::atc_inv(SID, Some(SSID), VA, 0))?;
        let cleared = one.bench.smmu.strict_check();
        take(one);
        // Found without any use.
        assert_eq!(unused, 1);
        assert_eq!(what, Some((StrictCache::Atc, StrictReason::Left)));
        assert_eq!(cleared, 0);
        Ok(())
    }

    #[test]
    fn strict_freed_memory() -> Result {
        let one = &mut strict()?;
        let port = one.port(NO_PRI)?;
        // Translates, but leaves the memory alone: it is not ours any more.
        let touch = || port.prefetch(Some(SSID), VA, 1, false, USER);
        let mut what = None;
        // The freed page may be somebody's at once, then nothing is noticed.
        for _ in 0..20 {
            let page = PhysPages::alloc(PAGE_SIZE)?;
            one.space.set(VA, 3, page.phys() | USER_RW)?;
            assert!(touch().is_ok());
            one.unmap(0)?;
            drop(page);
            assert!(touch().is_ok());
            one.bench.command(Command::tlbi_all())?;
            one.bench.command(Command::atc_inv(SID, None, 0, 52))?;
            what = what.or(take(one));
        }
        assert_eq!(what, Some((StrictCache::Atc, StrictReason::Freed)));
        Ok(())
    }

    #[test]
    fn strict_permission_and_place() -> Result {
        let one = &mut strict()?;
        let port = one.port(NO_PRI)?;
        port.write(Some(SSID), VA, b"1", USER)?;
        one.map(0, USER_RW | READ_ONLY)?;
        // Reading is fine still.
        assert!(read(&port, Some(SSID), VA).is_ok());
        let before = one.bench.smmu.stats().strict_suspicions;
        port.write(Some(SSID), VA, b"1", USER)?;
        let after = one.bench.smmu.stats().strict_suspicions;
        // The address now leads elsewhere.
        let elsewhere = one.data.phys() + PAGE;
        one.space.set(VA, 3, elsewhere | USER_RW)?;
        assert!(read(&port, Some(SSID), VA).is_ok());
        let moved = one.bench.smmu.stats().strict_suspicions;
        one.bench.command(Command::tlbi_all())?;
        one.bench.command(Command::atc_inv(SID, None, 0, 52))?;
        let records = one.bench.smmu.strict_check();
        take(one);
        assert_eq!((before, after, moved, records), (0, 1, 2, 0));
        Ok(())
    }

    #[test]
    fn strict_access_flag_needs_no_invalidation() -> Result {
        let one = &mut strict()?;
        let port = one.port(NO_PRI)?;
        assert!(read(&port, Some(SSID), VA).is_ok());
        one.map(0, USER_RW & !(1 << 10))?;
        assert!(read(&port, Some(SSID), VA).is_ok());
        let records = one.bench.smmu.strict_check();
        take(one);
        assert_eq!(records, 0);
        assert_eq!(one.bench.smmu.stats().strict_suspicions, 0);
        // Nothing was written to the tables by looking.
        assert_eq!(one.space.get(VA, 3)? & (1 << 10), 0);
        Ok(())
    }

    #[test]
    fn strict_configuration() -> Result {
        let one = &mut strict()?;
        let port = one.port(PLAIN)?;
        assert!(read(&port, Some(SSID), VA).is_ok());
        set_cd(&one.cds, SSID as usize, &Default::default())?;
        assert!(read(&port, Some(SSID), VA).is_ok());
        one.bench.smmu.strict_check();
        let cd = take(one);
        one.bench.command(Command::cfgi_cd(SID, SSID, true))?;
        assert!(aborted(read(&port, Some(SSID), VA)));

        set_cd(&one.cds, SSID as usize, &one.space.cd(ASID))?;
        one.bench.command(Command::cfgi_cd(SID, SSID, true))?;
        one.bench.set_ste(SID, &Default::default())?;
        assert!(read(&port, Some(SSID), VA).is_ok());
        one.bench.smmu.strict_check();
        let ste = take(one);
        assert_eq!(cd, Some((StrictCache::Cd, StrictReason::Left)));
        assert_eq!(ste, Some((StrictCache::Ste, StrictReason::Left)));
        Ok(())
    }

    /// Nobody uses what is stale.
    #[test]
    fn strict_check_finds_what_is_unused() -> Result {
        let one = &mut strict()?;
        let port = one.port(NO_PRI)?;
        port.write(Some(SSID), VA, b"1", USER)?;
        // Less is permitted, in the TLB and in the ATC.
        one.map(0, USER_RW | READ_ONLY)?;
        let narrowed = one.bench.smmu.strict_check();
        let tlb = take(one);
        one.bench.command(Command::tlbi_all())?;
        let atc = (one.bench.smmu.strict_check(), take(one));
        one.bench.command(Command::atc_inv(SID, None, 0, 52))?;

        assert!(read(&port, Some(SSID), VA).is_ok());
        let before = one.bench.smmu.strict_check();
        set_cd(&one.cds, SSID as usize, &one.space.cd(ASID + 1))?;
        let cd = (one.bench.smmu.strict_check(), take(one));
        one.bench.command(Command::cfgi_cd(SID, SSID, true))?;
        assert!(read(&port, Some(SSID), VA).is_ok());
        one.bench.set_ste(SID, &Default::default())?;
        one.bench.smmu.strict_check();
        let ste = take(one);
        assert_eq!((narrowed, before), (2, 0));
        assert_eq!(tlb, Some((StrictCache::Tlb, StrictReason::Left)));
        assert_eq!(atc, (1, Some((StrictCache::Atc, StrictReason::Left))));
        assert_eq!(cd, (1, Some((StrictCache::Cd, StrictReason::Left))));
        assert_eq!(ste, Some((StrictCache::Ste, StrictReason::Left)));
        Ok(())
    }

    /// Sixteen pages that are one translation, of which one goes, and which invalidation is enough.
    #[test]
    fn strict_part_of_contiguous_pages() -> Result {
        let one = &mut strict()?;
        let port = one.port(PLAIN)?;
        let (va, data) = (VA & !0xffff, PhysPages::alloc(0x1_0000)?);
        for at in (0..0x1_0000).step_by(0x1000) {
            let desc = (data.phys() + at) | USER_RW | CONTIGUOUS;
            one.space.set(va + at, 3, desc)?;
        }
        assert!(read(&port, Some(SSID), va + 0x2000).is_ok());
        let walks = one.bench.smmu.stats().walks;
        assert!(read(&port, Some(SSID), va + 0xe000).is_ok());
        let same = one.bench.smmu.stats().walks == walks;
        let before = one.bench.smmu.strict_check();
        one.space.set(va + 0x5000, 3, 0)?;
        let missed = one.bench.smmu.strict_check();
        let what = take(one);
        one.bench
            .command(Command::tlbi_va(ASID, va + 0x1_0000, true))?;
        let beside = one.bench.smmu.strict_check();
        take(one);
        one.bench
            .command(Command::tlbi_va(ASID, va + 0x9000, true))?;
        let dropped = one.bench.smmu.strict_check();
        assert!(same);
        assert_eq!((before, missed, beside, dropped), (0, 1, 1, 0));
        assert_eq!(what, Some((StrictCache::Tlb, StrictReason::Left)));
        assert!(aborted(read(&port, Some(SSID), va + 0x5000)));
        assert!(read(&port, Some(SSID), va + 0x4000).is_ok());
        Ok(())
    }

    /// Records of a scan that begins well before an invalidation comes.
    fn scanned_early(one: &mut OneSpace, port: &Port) -> Result<u64> {
        one.map(0, USER_RW)?;
        assert!(read(port, Some(SSID), VA).is_ok());
        one.unmap(0)?;
        let smmu = one.bench.smmu.clone();
        let scan = KThread::spawn(c"smmu-kunit-scan", move |_| {
            smmu.strict_scan();
        })?;
        fsleep(Delta::from_millis(50));
        one.bench.command(Command::tlbi_all())?;
        drop(scan);
        Ok(one.bench.smmu.take_strict_records())
    }

    #[test]
    fn strict_scan() -> Result {
        let one = &mut strict()?;
        let port = one.port(PLAIN)?;
        assert!(read(&port, Some(SSID), VA).is_ok());
        let clean = one.bench.smmu.strict_scan();
        one.unmap(0)?;
        let missed = one.bench.smmu.strict_scan();
        take(one);
        one.bench.command(Command::tlbi_all())?;
        // On a very busy machine the invalidation may be too late once.
        let (mut early, mut tries) = (1, 0);
        while early != 0 && tries < 20 {
            early = scanned_early(one, &port)?;
            tries += 1;
        }
        assert_eq!((clean, missed, early), (0, 1, 0));
        Ok(())
    }

    #[test]
    fn strict_can_be_turned_off() -> Result {
        let one = &mut strict()?;
        let port = one.port(PLAIN)?;
        assert!(read(&port, Some(SSID), VA).is_ok());
        one.bench.smmu.set_strict(false);
        one.unmap(0)?;
        assert!(read(&port, Some(SSID), VA).is_ok());
        assert_eq!(one.bench.smmu.stats().strict_suspicions, 0);
        Ok(())
    }

    /// How many reads succeed after `change`, of which no cache is told, until the entry that lets
    /// them through is evicted.
    fn reads_until_evicted(
        config: PortConfig,
        seed: u64,
        change: impl FnOnce(&mut OneSpace) -> Result,
    ) -> Result<u32> {
        let mut one = OneSpace::new()?;
        one.map(0, USER_RW)?;
        let port = one.port(config)?;
        assert!(read(&port, Some(SSID), VA).is_ok());
        change(&mut one)?;
        one.bench.smmu.set_eviction(2, seed);
        for count in 0..1_000_000 {
            if read(&port, Some(SSID), VA).is_err() {
                return Ok(count);
            }
        }
        Err(ETIMEDOUT)
    }

    #[test]
    fn random_eviction_of_each_cache() -> Result {
        let atc = reads_until_evicted(NO_PRI, 7, |one| {
            one.unmap(0)?;
            one.bench.command(Command::tlbi_all())
        })?;
        let cd = reads_until_evicted(PLAIN, 7, |one| {
            set_cd(&one.cds, SSID as usize, &Default::default())
        })?;
        let ste = reads_until_evicted(PLAIN, 7, |one| one.bench.set_ste(SID, &Default::default()))?;
        assert!(atc > 0 && cd > 0 && ste > 0);
        Ok(())
    }

    #[test]
    fn random_eviction() -> Result {
        let counts = [
            reads_until_evicted(PLAIN, 7, |one| one.unmap(0))?,
            reads_until_evicted(PLAIN, 7, |one| one.unmap(0))?,
            reads_until_evicted(PLAIN, 8, |one| one.unmap(0))?,
        ];
        assert!(counts[0] > 0 && counts[0] == counts[1] && counts[0] != counts[2]);
        let mut one = OneSpace::with_config(Config {
            evict_one_in: 1,
            ..Config::default()
        })?;
        // Every look-up of configuration and translation may miss: nothing changes.
        one.map(0, USER_RW)?;
        let port = one.port(NO_PRI)?;
        for _ in 0..2000 {
            assert_eq!(read(&port, Some(SSID), VA), Ok(0));
        }
        assert!(one.bench.smmu.stats().evictions >= 2000);
        Ok(())
    }
}
