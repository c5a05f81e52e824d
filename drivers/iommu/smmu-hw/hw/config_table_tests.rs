// SPDX-License-Identifier: GPL-2.0

//! Tests of the tables of configuration structures, of one level and of two.

use kernel::prelude::*;

#[kunit_tests(smmu_hw_config_tables)]
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
                L1StreamDesc,
                Ste, //
            }, //
        },
        hw::{
            bench::{
                rejected,
                substreams as stage1,
                Bench,
                STREAMS_LOG2, //
            },
            config,
            Config, //
        },
        mmio::RegisterFile, //
    };
    use kernel::page::PAGE_SIZE;
    use kernel_ext::phys::PhysPages;

    #[test]
    fn linear_streams() -> Result {
        let bench = Bench::off(Config::default())?;
        let config = Config::default();
        let last = (1 << STREAMS_LOG2) - 1;
        bench.set_ste(last, &stage1())?;
        assert_eq!(config::fetch_ste(&bench.regs, &config, last), Ok(stage1()));
        let outside = config::fetch_ste(&bench.regs, &config, last + 1);
        assert_eq!(rejected(outside), Some(EventId::BadStreamId));
        // Software cannot have more than the implementation has.
        let narrow = Config {
            sid_bits: STREAMS_LOG2 - 1,
            ..config
        };
        let outside = config::fetch_ste(&bench.regs, &narrow, last);
        assert_eq!(rejected(outside), Some(EventId::BadStreamId));
        Ok(())
    }

    fn two_level_streams(split: u8, l1: &PhysPages) -> Result<kernel::sync::Arc<RegisterFile>> {
        let regs = RegisterFile::new()?;
        regs.write32(regs::CR1, regs::Cr1::like_the_cpus().raw());
        regs.write64(regs::STRTAB_BASE, l1.phys());
        let cfg = regs::StrtabBaseCfg::default()
            .with_fmt(1)
            .with_split(split)
            .with_log2size(16);
        regs.write32(regs::STRTAB_BASE_CFG, cfg.raw());
        Ok(regs)
    }

    #[test]
    fn two_level_stream_table() -> Result {
        let config = Config::default();
        let l1 = PhysPages::alloc(PAGE_SIZE)?;
        let l2 = PhysPages::alloc(16 << 10)?;
        let regs = two_level_streams(8, &l1)?;
        let fetch = |sid| config::fetch_ste(&regs, &config, sid);
        let bad = Some(EventId::BadStreamId);
        // Span 0 is invalid.
        assert_eq!(rejected(fetch(0x3ff)), bad);
        let desc = L1StreamDesc::default().with_l2_ptr(l2.phys());
        l1.window().store64(8 * 3, desc.with_span(9).raw())?;
        l2.window().store64(255 * Ste::SIZE, stage1().words()[0])?;
        assert_eq!(fetch(0x3ff).map(|ste| ste.config()), Ok(ste::CONFIG_S1));
        // Half the entries.
        l1.window().store64(8 * 3, desc.with_span(8).raw())?;
        assert!(fetch(0x37f).is_ok());
        assert_eq!(rejected(fetch(0x380)), bad);
        // More than the split, reserved.
        for span in [10, 12, 31] {
            l1.window().store64(8 * 3, desc.with_span(span).raw())?;
            assert_eq!(rejected(fetch(0x300)), bad);
        }
        assert_eq!(rejected(fetch(0x1_0000)), bad);
        Ok(())
    }

    /// With every SPLIT, reserved ones being 6, and every size of a second level.
    #[test]
    fn two_level_stream_table_by_split() -> Result {
        let config = Config::default();
        let l1 = PhysPages::alloc(8 << 10)?;
        let l2 = PhysPages::alloc(Ste::SIZE << 10)?;
        for i in 0..1 << 10 {
            // Which entry it is shows in a field of it.
            let entry = stage1().with_s1_context_ptr(i << 12);
            l2.window()
                .store64(i as usize * Ste::SIZE, entry.words()[0])?;
        }
        for (split, bits) in [(6, 6), (8, 8), (10, 10), (0, 6), (7, 6), (31, 6)] {
            let regs = two_level_streams(split, &l1)?;
            let fetch = |sid| {
                let entry = config::fetch_ste(&regs, &config, sid);
                entry.map(|ste| ste.s1_context_ptr() >> 12)
            };
            for span in 1..=bits + 1 {
                let desc = L1StreamDesc::default().with_l2_ptr(l2.phys());
                l1.window().store64(8 * 3, desc.with_span(span).raw())?;
                let (first, entries) = (3 << bits, 1 << (span - 1));
                assert_eq!(fetch(first), Ok(0));
                assert_eq!(fetch(first + entries - 1), Ok(u64::from(entries) - 1));
                // One more, or the next first-level descriptor's.
                let outside = rejected(fetch(first + entries));
                assert_eq!(outside, Some(EventId::BadStreamId));
            }
            l1.window().store64(8 * 3, 0)?;
        }
        Ok(())
    }

    #[test]
    fn f_ste_fetch() -> Result {
        let config = Config::default();
        let l1 = PhysPages::alloc(PAGE_SIZE)?;
        let regs = two_level_streams(8, &l1)?;
        let desc = L1StreamDesc::default().with_span(9).with_l2_ptr(0x4000);
        l1.window().store64(0, desc.raw())?;
        let reject = config::fetch_ste(&regs, &config, 2).err();
        assert_eq!(reject.map(|r| r.event), Some(EventId::SteFetch));
        assert_eq!(reject.map(|r| r.fetch_address), Some(0x4080));
        Ok(())
    }

    #[test]
    fn two_level_cd_tables() -> Result {
        for (fmt, leaf, split) in [(ste::S1FMT_4K_L2, 4096, 6), (ste::S1FMT_64K_L2, 65536, 10)] {
            // As many first-level descriptors as there can be, and the last SubstreamID.
            let last = (1 << (20 - split)) - 1;
            let l1 = PhysPages::alloc(8 << (20 - split))?;
            let l2 = PhysPages::alloc(leaf)?;
            let ste = stage1()
                .with_s1_fmt(fmt)
                .with_s1_cd_max(20)
                .with_s1_context_ptr(l1.phys());
            let ssid = (1 << 20) - 1;
            assert_eq!(
                rejected(config::fetch_cd(&Config::default(), &ste, ssid)),
                Some(EventId::BadSubstreamId)
            );
            let desc = L1CdDesc::default().with_v(true).with_l2_ptr(l2.phys());
            l1.window().store64(8 * last, desc.raw())?;
            let cd = Cd::default().with_v(true).with_asid(0x77);
            l2.window().store64(leaf - Cd::SIZE, cd.words()[0])?;
            assert_eq!(
                config::fetch_cd(&Config::default(), &ste, ssid).map(|cd| cd.asid()),
                Ok(0x77)
            );
            // A leaf table is as aligned as it is large: low bits of its address do not count.
            let odd = desc.with_l2_ptr(l2.phys() | (leaf as u64 - 1));
            l1.window().store64(8 * last, odd.raw())?;
            assert_eq!(
                config::fetch_cd(&Config::default(), &ste, ssid).map(|cd| cd.asid()),
                Ok(0x77)
            );
            // A table that is not there.
            l1.window()
                .store64(0, L1CdDesc::default().with_v(true).raw())?;
            assert_eq!(
                rejected(config::fetch_cd(&Config::default(), &ste, 0)),
                Some(EventId::CdFetch)
            );
            // Without substreams the pointer is that of the one descriptor, whatever the format.
            let single = ste.with_s1_cd_max(0).with_s1_context_ptr(l2.phys());
            assert_eq!(
                config::fetch_cd(&Config::default(), &single, 0).map(|cd| cd.asid()),
                Ok(0)
            );
        }
        Ok(())
    }
}
