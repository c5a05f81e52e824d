// SPDX-License-Identifier: GPL-2.0

//! Tests of the walk cache, and of what an invalidation must say to reach it.

use kernel::prelude::*;

#[kunit_tests(smmu_hw_walk_cache)]
mod tests {
    use super::*;
    use crate::{
        fmt::cmd::{
            self,
            Command, //
        },
        hw::{
            bench::{
                aborted,
                read,
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
            StrictCache,
            StrictReason, //
        }, //
    };

    fn bench() -> Result<OneSpace> {
        bench_with(Config::default())
    }

    /// Page 0 mapped, strict mode on.
    fn bench_with(config: Config) -> Result<OneSpace> {
        let mut one = OneSpace::with_config(Config {
            walk_cache: true,
            strict: true,
            ..config
        })?;
        one.map(0, USER_RW)?;
        Ok(one)
    }

    /// The level of the deepest table on the way to `VA` that is cached.
    fn deepest(one: &OneSpace) -> Option<u32> {
        let engine = one.bench.smmu.engine().lock();
        let step = engine
            .walks
            .lookup(u32::from(ASID), VA, &one.space.tables)?;
        Some(step.level)
    }

    #[test]
    fn walks_begin_where_they_can() -> Result {
        let mut one = bench()?;
        one.map(1, USER_RW)?;
        let port = one.port(PLAIN)?;
        assert_eq!(deepest(&one), None);
        assert_eq!(read(&port, Some(SSID), VA), Ok(0));
        assert_eq!(deepest(&one), Some(3));
        assert_eq!(read(&port, Some(SSID), VA + PAGE), Ok(0));
        let stats = one.bench.smmu.stats();
        assert_eq!((stats.walks, stats.walk_hits), (2, 1));
        assert_eq!(one.bench.smmu.strict_check(), 0);
        Ok(())
    }

    /// The mistake of a driver that frees a table and has leaves forgotten only.
    #[test]
    fn a13_table_that_went_with_a_leaf_invalidation() -> Result {
        for leaf in [true, false] {
            let mut one = bench()?;
            let port = one.port(PLAIN)?;
            assert_eq!(read(&port, Some(SSID), VA), Ok(0));
            let old = one.space.replace_table(VA, 3)?;
            one.map(1, USER_RW)?;
            one.bench.command(Command::tlbi_va(ASID, VA, leaf))?;
            one.bench.command(Command::sync())?;
            // Through the old table there is nothing.
            assert_eq!(aborted(read(&port, Some(SSID), VA + PAGE)), leaf);
            let stale = one.bench.smmu.strict_check();
            assert_eq!((stale > 0), leaf);
            if let Some(record) = one.bench.smmu.strict_record(0) {
                let what = (record.cache, record.reason, record.pa);
                assert_eq!(what, (StrictCache::Walk, StrictReason::Left, old.phys()));
            }
            one.bench.smmu.take_strict_records();
        }
        Ok(())
    }

    #[test]
    fn a13_scopes_of_invalidations() -> Result {
        let va = Command::tlbi_va(ASID, VA, false);
        let range = va.with_tg(1).with_num(1);
        for (command, expect) in [
            (Command::tlbi_all(), None),
            (Command::tlbi_asid(ASID), None),
            (Command::tlbi_asid(ASID + 1), Some(3)),
            (va, None),
            (va.with_op(cmd::OP_TLBI_NH_VAA).with_asid(0), None),
            (va.with_asid(ASID + 1), Some(3)),
            (va.with_address(VA ^ 1 << 46), Some(3)),
            (va.with_leaf(true), Some(3)),
            (range, None),
            (range.with_leaf(true), Some(3)),
            // Another granule; a block of level 2, above which the table of level 3 is not.
            (range.with_tg(3), Some(3)),
            (range.with_ttl(3), None),
            (range.with_ttl(2), Some(3)),
        ] {
            let one = bench()?;
            let port = one.port(PLAIN)?;
            assert_eq!(read(&port, Some(SSID), VA), Ok(0));
            one.bench.command(command)?;
            assert!(one.bench.idle());
            assert_eq!(deepest(&one), expect);
        }
        Ok(())
    }

    /// Where there are no ranges, the fields of a range mean nothing.
    #[test]
    fn a13_scope_without_ranges() -> Result {
        let one = bench_with(Config {
            ril: false,
            ..Config::default()
        })?;
        let port = one.port(PLAIN)?;
        assert_eq!(read(&port, Some(SSID), VA), Ok(0));
        let command = Command::tlbi_va(ASID, VA, false);
        one.bench.command(command.with_tg(3).with_ttl(2))?;
        assert_eq!(deepest(&one), None);
        assert_eq!(read(&port, Some(SSID), VA), Ok(0));
        assert_eq!(one.bench.smmu.stats().walks, 2);
        Ok(())
    }

    /// A table that nobody holds any more is not looked into.
    #[test]
    fn a13_freed_table() -> Result {
        let mut seen = None;
        // The freed page may be somebody's at once, then nothing is noticed.
        for _ in 0..20 {
            let mut one = bench()?;
            let port = one.port(NO_PRI)?;
            assert_eq!(read(&port, Some(SSID), VA), Ok(0));
            let table = one.space.replace_table(VA, 3)?;
            one.map(1, USER_RW)?;
            drop(table);
            // Translates only: the memory may be another's.
            let found = port.prefetch(Some(SSID), VA + PAGE, 1, false, USER).is_ok();
            one.bench.command(Command::tlbi_all())?;
            one.bench.command(Command::atc_inv(SID, None, 0, 52))?;
            let record = one.bench.smmu.strict_record(0);
            one.bench.smmu.take_strict_records();
            if let Some(record) = record {
                assert!(found);
                seen = Some((record.cache, record.reason));
            }
        }
        assert_eq!(seen, Some((StrictCache::Walk, StrictReason::Freed)));
        Ok(())
    }

    #[test]
    fn eviction_of_tables() -> Result {
        let one = bench()?;
        let port = one.port(PLAIN)?;
        assert_eq!(read(&port, Some(SSID), VA), Ok(0));
        assert_eq!(deepest(&one), Some(3));
        one.bench.smmu.set_eviction(1, 7);
        for _ in 0..100_000 {
            assert_eq!(read(&port, Some(SSID), VA), Ok(0));
            if deepest(&one) != Some(3) {
                return Ok(());
            }
        }
        Err(ETIMEDOUT)
    }

    /// A level that is not that of the leaf leaves it where it is.
    #[test]
    fn a13_level_of_a_leaf() -> Result {
        let command = Command::tlbi_va(ASID, VA, true).with_tg(1);
        for (ttl, walks) in [(1, 1), (2, 1), (3, 2)] {
            let one = bench()?;
            let port = one.port(PLAIN)?;
            assert_eq!(read(&port, Some(SSID), VA), Ok(0));
            one.bench.command(command.with_ttl(ttl))?;
            assert_eq!(read(&port, Some(SSID), VA), Ok(0));
            assert_eq!(one.bench.smmu.stats().walks, walks);
        }
        Ok(())
    }
}
