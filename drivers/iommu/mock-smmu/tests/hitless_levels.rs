// SPDX-License-Identifier: GPL-2.0

//! Tables of two levels, seen by an observer after each 64-bit store: what the hardware would fetch
//! at that moment is nothing yet, or whole.
//!
//! The hardware reads the second level only after the first, and stores are seen in order; so what
//! it sees is what stood there after one of the stores.

#[kernel::prelude::kunit_tests(smmu_hitless_levels)]
mod tests {
    use super::super::*;
    use crate::{
        bus::BUS,
        driver::{
            cd_table::{
                CdEntry,
                CdTable, //
            },
            entry::{
                Entry,
                Plain,
                Stores,
                Words, //
            },
            stream_table::{
                self,
                SteEntry,
                StreamTable, //
            }, //
        },
        fmt::{
            cd::{
                Cd,
                L1CdDesc, //
            },
            regs,
            ste::{
                self,
                L1StreamDesc,
                Ste, //
            }, //
        },
        line::Line,
        mmio::RegisterFile,
    };
    use kernel::sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    };
    use kernel_ext::phys::PhysPages;

    const SID: u32 = 7;

    /// StreamIDs, or SubstreamIDs, in three second-level tables; the first of each is written.
    const STREAMS: [u32; 6] = [0x105, 0x106, 0x2ff, 0x200, 0x300, 0x3ff];
    const SUBSTREAMS: [u32; 6] = [0x405, 0x406, 0xbff, 0x800, 0xc00, 0xfff];

    /// Whether hardware takes `words` for `entry`.
    fn looks_like<E: Entry>(words: &Words, entry: &Words) -> bool {
        let used = E::used(entry);
        (0..8).all(|i| (words[i] ^ entry[i]) & used[i] == 0)
    }

    /// What an observer has seen.
    struct Seen<F> {
        /// How many of the structures are neither missing nor whole.
        bad_now: F,
        stores: Atomic<u64>,
        bad: Atomic<u64>,
    }

    /// Stores, and then looks at what the hardware would fetch.
    struct Observer<F>(Arc<Seen<F>>);

    impl<F> Clone for Observer<F> {
        fn clone(&self) -> Self {
            Self(self.0.clone())
        }
    }

    impl<F: Fn() -> u64> Observer<F> {
        fn new(bad_now: F) -> Result<Self> {
            let seen = Seen {
                bad_now,
                stores: Atomic::new(0),
                bad: Atomic::new(0),
            };
            Ok(Self(Arc::new(seen, GFP_KERNEL)?))
        }

        fn stores(&self) -> u64 {
            self.0.stores.load(Relaxed)
        }

        fn bad(&self) -> u64 {
            self.0.bad.load(Relaxed)
        }
    }

    impl<F: Fn() -> u64> Stores for Observer<F> {
        fn store(&self, memory: &PhysPages, offset: usize, word: u64) {
            Plain.store(memory, offset, word);
            self.0.stores.fetch_add(1, Relaxed);
            self.0.bad.fetch_add((self.0.bad_now)(), Relaxed);
        }
    }

    fn hardware() -> Result<(Arc<RegisterFile>, Arc<hw::Smmu>)> {
        let regs = RegisterFile::new()?;
        let lines = hw::Lines {
            evtq: Line::new()?,
            priq: Line::new()?,
            gerror: Line::new()?,
            sync: Line::new()?,
        };
        let smmu = hw::Smmu::new(default_config(), regs.clone(), lines, BUS)?;
        regs.write32(regs::CR1, regs::Cr1::like_the_cpus().raw());
        Ok((regs, smmu))
    }

    fn stage1() -> Ste {
        Ste::default()
            .with_v(true)
            .with_config(ste::CONFIG_S1)
            .with_s1_context_ptr(0x4000_0000)
            .with_s1_cd_max(8)
            .with_s1_dss(ste::S1DSS_BYPASS)
            .with_eats(ste::EATS_TRANS)
    }

    fn descriptor() -> Cd {
        Cd::default()
            .with_v(true)
            .with_aa64(true)
            .with_t0sz(16)
            .with_asid(5)
            .with_ttb0(0x4000_0000)
            .with_mair(0xff)
    }

    /// Of the watched streams, how many have neither their entry nor one that aborts.
    fn bad_streams(hw: &hw::Smmu) -> u64 {
        let whole = [stream_table::abort().words(), stage1().words()];
        let bad = |&&sid: &&u32| match hw.fetch_ste(sid) {
            Ok(entry) => !whole
                .iter()
                .any(|ste| looks_like::<SteEntry>(&entry.words(), ste)),
            Err(event) => event != EventId::BadStreamId,
        };
        STREAMS.iter().filter(bad).count() as u64
    }

    /// Of the watched substreams, how many have a descriptor that is neither whole nor invalid.
    fn bad_substreams(hw: &hw::Smmu) -> u64 {
        let bad = |&&ssid: &&u32| match hw.fetch_cd(SID, ssid) {
            Ok(cd) => cd.v() && !looks_like::<CdEntry>(&cd.words(), &descriptor().words()),
            Err(event) => event != EventId::BadSubstreamId,
        };
        SUBSTREAMS.iter().filter(bad).count() as u64
    }

    #[test]
    fn hitless_first_level_of_streams() -> Result {
        let (regs, hw) = hardware()?;
        let seen = hw.clone();
        let observer = Observer::new(move || bad_streams(&seen))?;
        let table = StreamTable::with_stores(16, observer.clone())?;
        let table = KBox::pin_init(table, GFP_KERNEL)?;
        table.program(&regs);
        for sid in STREAMS.iter().step_by(2) {
            check!(hw.fetch_ste(*sid) == Err(EventId::BadStreamId));
            table.write(*sid, &stage1(), |_| Ok(()))?;
            check!(hw.fetch_ste(*sid) == Ok(stage1()));
        }
        check!(STREAMS
            .iter()
            .skip(1)
            .step_by(2)
            .all(|&sid| hw.fetch_ste(sid) == Ok(stream_table::abort())));
        // All entries of three tables, what leads there, and the words of three entries.
        check!(observer.stores() > 3 * 257 && observer.bad() == 0);
        Ok(())
    }

    type Table<T> = Pin<KBox<T>>;

    /// A table of context descriptors behind a stream that is set up.
    fn substreams<S: Stores + Clone>(
        regs: &RegisterFile,
        stores: S,
    ) -> Result<(Table<StreamTable>, Table<CdTable<S>>)> {
        let streams = KBox::pin_init(StreamTable::new(8)?, GFP_KERNEL)?;
        let cds = KBox::pin_init(CdTable::with_stores(16, stores)?, GFP_KERNEL)?;
        streams.program(regs);
        let entry = stage1()
            .with_s1_fmt(cds.format())
            .with_s1_context_ptr(cds.phys())
            .with_s1_cd_max(16);
        streams.write(SID, &entry, |_| Ok(()))?;
        Ok((streams, cds))
    }

    #[test]
    fn hitless_first_level_of_substreams() -> Result {
        let (regs, hw) = hardware()?;
        let seen = hw.clone();
        let observer = Observer::new(move || bad_substreams(&seen))?;
        let (_streams, cds) = substreams(&regs, observer.clone())?;
        for ssid in SUBSTREAMS.iter().step_by(2) {
            check!(hw.fetch_cd(SID, *ssid) == Err(EventId::BadSubstreamId));
            let before = observer.stores();
            let slot = cds.get(*ssid, || Ok(()))?;
            check!(observer.stores() > before);
            slot.update(|_| Some(descriptor()), || Ok(()))?;
            check!(hw.fetch_cd(SID, *ssid) == Ok(descriptor()));
            slot.update(|_| Some(Cd::default()), || Ok(()))?;
        }
        check!(observer.bad() == 0);
        Ok(())
    }

    /// The observer sees what it is there for.
    #[test]
    fn hitless_observer_notices_an_early_first_level() -> Result {
        let (regs, hw) = hardware()?;
        let (seen, l1) = (hw.clone(), PhysPages::alloc(PAGE_SIZE)?);
        let observer = Observer::new(move || bad_streams(&seen))?;
        regs.write64(regs::STRTAB_BASE, l1.phys());
        let cfg = regs::StrtabBaseCfg::default()
            .with_log2size(16)
            .with_split(8)
            .with_fmt(1);
        regs.write32(regs::STRTAB_BASE_CFG, cfg.raw());
        // Its length before its place: not in memory.
        let leaf = PhysPages::alloc(Ste::SIZE << 8)?;
        let desc = L1StreamDesc::default().with_span(9);
        observer.store(&l1, 8 * 2, desc.raw());
        check!(observer.bad() == 2);
        // A table in which nothing is written yet: invalid entries, that do not abort in silence.
        observer.store(&l1, 8 * 2, desc.with_l2_ptr(leaf.phys()).raw());
        check!(observer.bad() == 4);
        observer.store(&l1, 8 * 2, 0);
        check!(observer.bad() == 4);

        let seen = hw.clone();
        let observer = Observer::new(move || bad_substreams(&seen))?;
        let (streams, _cds) = substreams(&regs, observer.clone())?;
        let l1 = PhysPages::alloc(PAGE_SIZE)?;
        let entry = streams.read(SID).ok_or(ENOENT)?;
        streams.write(SID, &entry.with_s1_context_ptr(l1.phys()), |_| Ok(()))?;
        let desc = L1CdDesc::default().with_v(true);
        observer.store(&l1, 8, desc.raw());
        check!(observer.bad() == 2);
        // A table of something else.
        let leaf = PhysPages::alloc(Cd::SIZE << 10)?;
        Plain.store(&leaf, 5 * Cd::SIZE, descriptor().with_asid(6).words()[0]);
        observer.store(&l1, 8, desc.with_l2_ptr(leaf.phys()).raw());
        check!(observer.bad() == 3);
        Ok(())
    }
}
