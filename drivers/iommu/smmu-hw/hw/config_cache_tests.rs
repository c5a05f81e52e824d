// SPDX-License-Identifier: GPL-2.0

//! Tests of the cache of configuration: what it keeps, and which commands make it forget.

use kernel::prelude::*;

#[kunit_tests(smmu_hw_config_cache)]
mod tests {
    use super::*;
    use crate::{
        fmt::{
            cd::{
                Cd,
                L1CdDesc, //
            },
            event::EventId,
            regs,
            ste::{
                self,
                L1StreamDesc, //
            }, //
        },
        hw::{
            bench::{
                rejected,
                substreams as stage1,
                Bench, //
            },
            config_cache::Cache,
            Config, //
        },
        mmio::RegisterFile, //
    };
    use kernel::page::PAGE_SIZE;
    use kernel_ext::phys::PhysPages;

    #[test]
    fn cache_keeps_until_invalidated() -> Result {
        let config = Config::default();
        let bench = Bench::off(config)?;
        let cds = PhysPages::alloc(PAGE_SIZE)?;
        let table = stage1().with_s1_context_ptr(cds.phys());
        let mut cache = Cache::new()?;
        let asid = |cache: &mut Cache| cache.cd(&config, 1, &table, 2).map(|cd| cd.asid());
        assert_eq!(asid(&mut cache), Ok(0));
        let cd = Cd::default().with_asid(9);
        cds.window().store64(2 * Cd::SIZE, cd.words()[0])?;
        // Of another stream, of another descriptor: no effect.
        cache.invalidate_cd(2, 2, false);
        cache.invalidate_cd(1, 3, false);
        cache.invalidate_streams(2, 9, false);
        assert_eq!(asid(&mut cache), Ok(0));
        cache.invalidate_cd(1, 2, true);
        assert_eq!(asid(&mut cache), Ok(9));
        cds.window().store64(2 * Cd::SIZE, 0)?;
        cache.invalidate_cds(1);
        assert_eq!(asid(&mut cache), Ok(0));
        cds.window().store64(2 * Cd::SIZE, cd.words()[0])?;
        // A stream's entry takes its descriptors along.
        cache.invalidate_streams(1, 1, true);
        assert_eq!(asid(&mut cache), Ok(9));

        assert_eq!(cache.ste(&bench.regs, &config, 1).map(|s| s.v()), Ok(false));
        bench.set_ste(1, &stage1())?;
        assert_eq!(cache.ste(&bench.regs, &config, 1).map(|s| s.v()), Ok(false));
        cache.invalidate_streams(0, 31, false);
        assert_eq!(cache.ste(&bench.regs, &config, 1).map(|s| s.v()), Ok(true));
        Ok(())
    }

    #[test]
    fn leaf_invalidation_keeps_first_level_descriptors() -> Result {
        let config = Config::default();
        let l1 = PhysPages::alloc(PAGE_SIZE)?;
        let l2 = PhysPages::alloc(PAGE_SIZE)?;
        let table = stage1()
            .with_s1_fmt(ste::S1FMT_4K_L2)
            .with_s1_cd_max(8)
            .with_s1_context_ptr(l1.phys());
        let mut cache = Cache::new()?;
        let bad = Some(EventId::BadSubstreamId);
        assert_eq!(rejected(cache.cd(&config, 1, &table, 70)), bad);
        let desc = L1CdDesc::default().with_v(true).with_l2_ptr(l2.phys());
        l1.window().store64(8, desc.raw())?;
        cache.invalidate_cd(1, 70, true);
        assert_eq!(rejected(cache.cd(&config, 1, &table, 70)), bad);
        cache.invalidate_cd(1, 70, false);
        assert_eq!(rejected(cache.cd(&config, 1, &table, 70)), None);
        Ok(())
    }

    #[test]
    fn invalid_entries_are_cached_only_on_request() -> Result {
        let config = Config {
            cache_invalid: false,
            ..Config::default()
        };
        let bench = Bench::off(config)?;
        let mut cache = Cache::new()?;
        assert_eq!(cache.ste(&bench.regs, &config, 1).map(|s| s.v()), Ok(false));
        bench.set_ste(1, &stage1())?;
        assert_eq!(cache.ste(&bench.regs, &config, 1).map(|s| s.v()), Ok(true));
        Ok(())
    }

    /// Which commands make it forget the first-level descriptors of a stream's substreams.
    #[test]
    fn first_level_descriptors_of_substreams() -> Result {
        let config = Config::default();
        let (l1, l2) = (PhysPages::alloc(PAGE_SIZE)?, PhysPages::alloc(PAGE_SIZE)?);
        let table = stage1()
            .with_s1_fmt(ste::S1FMT_4K_L2)
            .with_s1_cd_max(8)
            .with_s1_context_ptr(l1.phys());
        let desc = L1CdDesc::default().with_v(true).with_l2_ptr(l2.phys());
        let mut cache = Cache::new()?;
        let mut check = |forget: &dyn Fn(&mut Cache), forgets: bool| -> Result<bool> {
            l1.window().store64(8, 0)?;
            cache.invalidate_streams(0, u32::MAX, false);
            assert!(cache.cd(&config, 1, &table, 70).is_err());
            l1.window().store64(8, desc.raw())?;
            forget(&mut cache);
            // Another one, so that it is the first level that counts.
            Ok(cache.cd(&config, 1, &table, 71).is_ok() == forgets)
        };
        assert!(check(&|_| (), false)?);
        assert!(check(&|cache| cache.invalidate_cds(1), true)?);
        assert!(check(&|cache| cache.invalidate_cds(2), false)?);
        assert!(check(&|cache| cache.invalidate_cd(1, 71, false), true)?);
        assert!(check(&|cache| cache.invalidate_cd(1, 71, true), false)?);
        assert!(check(&|cache| cache.invalidate_cd(2, 71, false), false)?);
        assert!(check(&|cache| cache.invalidate_streams(1, 1, true), true)?);
        assert!(check(&|cache| cache.invalidate_streams(2, 2, true), false)?);
        Ok(())
    }

    #[test]
    fn first_level_descriptors_of_streams() -> Result {
        let config = Config::default();
        let (l1, l2) = (PhysPages::alloc(PAGE_SIZE)?, PhysPages::alloc(PAGE_SIZE)?);
        let regs = RegisterFile::new()?;
        regs.write32(regs::CR1, regs::Cr1::like_the_cpus().raw());
        regs.write64(regs::STRTAB_BASE, l1.phys());
        let cfg = regs::StrtabBaseCfg::default()
            .with_fmt(1)
            .with_split(6)
            .with_log2size(12);
        regs.write32(regs::STRTAB_BASE_CFG, cfg.raw());
        let mut cache = Cache::new()?;
        let known = |cache: &mut Cache| cache.ste(&regs, &config, 0x47).is_ok();
        assert!(!known(&mut cache));
        let desc = L1StreamDesc::default().with_span(7).with_l2_ptr(l2.phys());
        l1.window().store64(8, desc.raw())?;
        assert!(!known(&mut cache));
        cache.invalidate_streams(0x47, 0x47, true);
        assert!(!known(&mut cache));
        cache.invalidate_streams(0x47, 0x47, false);
        assert!(known(&mut cache));
        Ok(())
    }
}
