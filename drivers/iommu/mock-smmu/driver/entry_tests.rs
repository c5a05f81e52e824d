// SPDX-License-Identifier: GPL-2.0

//! Tests of changing table entries: what hardware may see at any moment of a change.

use kernel::prelude::*;

#[kunit_tests(smmu_driver_entry)]
mod tests {
    use super::*;
    use crate::{
        driver::{
            cd_table::CdEntry,
            entry::{
                plan,
                write,
                Entry,
                Place,
                Plan,
                Words, //
            },
            stream_table::{
                self,
                SteEntry, //
            }, //
        },
        fmt::{
            cd::Cd,
            ste::{
                self,
                Ste, //
            }, //
        },
    };
    use core::cell::{
        Cell,
        RefCell, //
    };

    /// Whether hardware takes `words` for `entry`.
    fn looks_like<E: Entry>(words: &Words, entry: &Words) -> bool {
        let used = E::used(entry);
        (0..8).all(|i| (words[i] ^ entry[i]) & used[i] == 0)
    }

    /// An entry whose every store is watched.
    ///
    /// Hardware that fetches an entry gets each word as it was at some moment since the last sync,
    /// so that after each store any mixture of the words before and now is checked, too.
    struct Watched<E> {
        words: RefCell<Words>,
        /// The words at the last sync.
        synced: Cell<Words>,
        from: Words,
        to: Words,
        may_break: bool,
        stores: Cell<usize>,
        /// What was neither the old entry nor the new one, nor invalid.
        bad: Cell<usize>,
        _kind: core::marker::PhantomData<E>,
    }

    impl<E: Entry> Watched<E> {
        fn new(from: Words, to: Words, may_break: bool) -> Self {
            Self {
                words: RefCell::new(from),
                synced: Cell::new(from),
                from,
                to,
                may_break,
                stores: Cell::new(0),
                bad: Cell::new(0),
                _kind: core::marker::PhantomData,
            }
        }

        /// Looks at what a fetch gives that has `mixture`'s words new and the others old.
        fn observe(&self, mixture: usize) {
            let (last, now) = (self.synced.get(), *self.words.borrow());
            let seen: Words = core::array::from_fn(|i| match mixture & (1 << i) {
                0 => last[i],
                _ => now[i],
            });
            let fine = looks_like::<E>(&seen, &self.from)
                || looks_like::<E>(&seen, &self.to)
                || (self.may_break && seen[0] & E::VALID == 0);
            self.bad.set(self.bad.get() + usize::from(!fine));
        }
    }

    impl<E: Entry> Place for Watched<E> {
        fn read(&self) -> Words {
            *self.words.borrow()
        }

        fn store(&self, index: usize, word: u64) {
            self.words.borrow_mut()[index] = word;
            self.stores.set(self.stores.get() + 1);
            for mixture in 0..256 {
                self.observe(mixture);
            }
        }
    }

    /// Writes `to` over `from` under observation. Gives the number of syncs.
    fn check<E: Entry>(from: Words, to: Words, may_break: bool) -> Result<usize> {
        let (entry, mut syncs) = (Watched::<E>::new(from, to, may_break), 0);

        write::<E>(&entry, &to, || {
            entry.synced.set(entry.read());
            syncs += 1;
            Ok(())
        })?;
        if entry.bad.get() != 0 || entry.read() != to || entry.synced.get() != to {
            return Err(EINVAL);
        }
        Ok(syncs)
    }

    fn cd(asid: u16, ttb: u64) -> Words {
        Cd::default()
            .with_v(true)
            .with_aa64(true)
            .with_t0sz(16)
            .with_asid(asid)
            .with_ttb0(ttb)
            .with_mair(0xff)
            .words()
    }

    /// Numbers that look random, the same in each run.
    struct Random(u64);

    impl Random {
        fn next(&mut self) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0
        }

        fn below(&mut self, end: u64) -> u64 {
            (self.next() >> 16) % end
        }

        /// What lies in fields that nobody sets.
        fn noise(&mut self) -> Words {
            match self.below(2) {
                0 => [0; 8],
                _ => core::array::from_fn(|_| self.next()),
            }
        }

        /// Any descriptor: invalid, refusing everything, or of one of a few address spaces.
        fn cd(&mut self) -> Words {
            // CAST: All small.
            let cd = Cd::from_words(self.noise())
                .with_v(self.below(4) != 0)
                .with_epd0(self.below(3) == 0)
                .with_s(self.below(2) == 0)
                .with_asid(self.below(3) as u16)
                .with_t0sz(16 + self.below(2) as u8)
                .with_ttb0(self.below(3) << 12);
            cd.words()
        }

        /// Any entry that this driver could write.
        fn ste(&mut self) -> Words {
            // CAST: All small.
            let ste = Ste::from_words(self.noise()).with_v(self.below(8) != 0);
            let ste = match self.below(5) {
                0 => ste.with_config(ste::CONFIG_ABORT),
                1 => ste
                    .with_config(ste::CONFIG_BYPASS)
                    .with_sh_cfg(self.below(2) as u8),
                _ => ste
                    .with_config(ste::CONFIG_S1)
                    .with_s1_dss(self.below(3) as u8)
                    .with_s1_cd_max(8 * self.below(2) as u8)
                    .with_s1_context_ptr(self.below(2) << 12)
                    .with_s1_stalld(self.below(2) == 0)
                    .with_eats(self.below(2) as u8),
            };
            ste.words()
        }
    }

    /// Changes that can be hitless must be; in no other is there ever a mix.
    fn random_walk<E: Entry>(mut next: impl FnMut() -> Words) -> Result<[usize; 3]> {
        let (mut from, mut kinds) = (next(), [0; 3]);
        for _ in 0..2000 {
            let to = next();
            let plan = plan::<E>(&from, &to);
            kinds[match plan {
                Plan::Unused => 0,
                Plan::Hitless(_) => 1,
                Plan::Break => 2,
            }] += 1;
            let syncs = check::<E>(from, to, plan == Plan::Break)?;
            assert!(syncs <= 3);
            from = to;
        }
        Ok(kinds)
    }

    #[test]
    fn hitless_cd_random() {
        let mut random = Random(0x1234_5678_9abc_def1);
        let kinds = random_walk::<CdEntry>(|| random.cd());
        assert!(kinds.is_ok_and(|kinds| kinds.iter().all(|&n| n > 0)));
    }

    #[test]
    fn hitless_ste_random() {
        let mut random = Random(0x0fed_cba9_8765_4321);
        let kinds = random_walk::<SteEntry>(|| random.ste());
        assert!(kinds.is_ok_and(|kinds| kinds.iter().all(|&n| n > 0)));
    }

    /// The observer sees what it is there for.
    #[test]
    fn hitless_observer_notices_a_mix() {
        let (from, to) = (cd(1, 0x1000), cd(2, 0x2000));
        let entry = Watched::<CdEntry>::new(from, to, true);
        // One word after the other, as if nobody looked.
        entry.store(1, to[1]);
        assert_ne!(entry.bad.get(), 0);

        // Valid again before the rest is there.
        let entry = Watched::<CdEntry>::new(from, to, true);
        entry.store(0, from[0] & !CdEntry::VALID);
        assert_eq!(entry.bad.get(), 0);
        entry.synced.set(entry.read());
        entry.store(0, to[0]);
        assert_ne!(entry.bad.get(), 0);

        // No sync between the words and the bit that makes them valid.
        let entry = Watched::<CdEntry>::new([0; 8], to, false);
        entry.store(1, to[1]);
        assert_eq!(entry.bad.get(), 0);
        entry.store(0, to[0]);
        assert_ne!(entry.bad.get(), 0);
    }

    #[test]
    fn hitless_cd_install_and_clear() {
        assert_eq!(check::<CdEntry>([0; 8], cd(1, 0x1000), false), Ok(2));
        assert_eq!(check::<CdEntry>(cd(1, 0x1000), [0; 8], false), Ok(2));
    }

    #[test]
    fn hitless_cd_release() {
        let off = Cd::from_words(cd(1, 0))
            .with_t0sz(0)
            .with_epd0(true)
            .words();
        assert_eq!(check::<CdEntry>(cd(1, 0x1000), off, false), Ok(2));
        assert_eq!(check::<CdEntry>(off, cd(1, 0x1000), false), Ok(2));
    }

    #[test]
    fn cd_of_another_address_space_breaks() {
        let (from, to) = (cd(1, 0x1000), cd(2, 0x2000));
        assert_eq!(plan::<CdEntry>(&from, &to), Plan::Break);
        assert_eq!(check::<CdEntry>(from, to, true), Ok(3));
    }

    #[test]
    fn unchanged_entry_needs_no_sync() {
        let same = cd(1, 0x1000);
        assert_eq!(check::<CdEntry>(same, same, false), Ok(0));
    }

    #[test]
    fn hitless_ste() {
        let abort = stream_table::abort();
        let s1 = Ste::default()
            .with_v(true)
            .with_config(ste::CONFIG_S1)
            .with_s1_context_ptr(0x8000)
            .with_s1_cd_max(8)
            .with_s1_dss(ste::S1DSS_BYPASS)
            .with_eats(ste::EATS_TRANS);
        let blocked = s1.with_s1_dss(ste::S1DSS_TERMINATE);
        let bypass = stream_table::bypass(1);
        let shared = s1.with_s1_dss(ste::S1DSS_SSID0);
        for (from, to) in [
            (abort, s1),
            (s1, shared),
            (shared, s1),
            (shared, blocked),
            (bypass, shared),
            (shared, bypass),
            (s1, abort),
            (s1, blocked),
            (blocked, s1),
            (abort, bypass),
            (bypass, abort),
        ] {
            assert!(check::<SteEntry>(from.words(), to.words(), false).is_ok());
        }
    }
}
