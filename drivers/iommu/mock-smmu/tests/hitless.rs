// SPDX-License-Identifier: GPL-2.0

//! Tables that the hardware reads while the driver half changes them.
//!
//! A fetch by the hardware is over before a SYNC completes; so it sees words as they were between
//! two SYNCs, and these must never make up an entry that nobody wrote.

#[kernel::prelude::kunit_tests(smmu_hitless)]
mod tests {
    use super::super::*;
    use crate::{
        driver::{
            cd_table::CdEntry,
            entry::{
                Entry,
                Words, //
            },
            master::Rid,
            stream_table::{
                self,
                SteEntry, //
            }, //
        },
        fmt::ste,
    };
    use kernel::sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    };
    use kernel_ext::{
        thread::KThread, //
    };

    /// What the reader saw.
    struct Seen {
        entries: Atomic<u64>,
        bad: Atomic<u64>,
    }

    /// A thread that fetches as the hardware does, until it is dropped.
    struct Reader {
        seen: Arc<Seen>,
        _thread: KThread,
    }

    impl Reader {
        /// `fetch` gives how many entries it fetched, and how many of them nobody wrote.
        fn start(fetch: impl Fn() -> (u64, u64) + Send + 'static) -> Result<Self> {
            let seen = Arc::new(
                Seen {
                    entries: Atomic::new(0),
                    bad: Atomic::new(0),
                },
                GFP_KERNEL,
            )?;
            let count = seen.clone();
            let thread = KThread::spawn(c"smmu-kunit-reader", move |stop| {
                while !stop.requested() {
                    for _ in 0..64 {
                        let (entries, bad) = fetch();
                        count.entries.fetch_add(entries, Relaxed);
                        count.bad.fetch_add(bad, Relaxed);
                    }
                    fsleep(Delta::from_micros(10));
                }
            })?;
            Ok(Self {
                seen,
                _thread: thread,
            })
        }

        /// Whether all is well, once the reader had the time for a few rounds.
        fn verdict(&self) -> bool {
            let read = wait_until(|| self.seen.entries.load(Relaxed) > 1000);

            self.seen.bad.load(Relaxed) == 0 && read
        }
    }

    /// Whether hardware takes `words` for one of `entries`, or for invalid.
    fn is_one_of<E: Entry>(words: &Words, entries: &[Words]) -> bool {
        let looks_like = |entry: &Words| {
            let used = E::used(entry);
            (0..8).all(|i| (words[i] ^ entry[i]) & used[i] == 0)
        };
        words[0] & E::VALID == 0 || entries.iter().any(looks_like)
    }

    #[test]
    fn hitless_cd_under_a_reader() -> Result {
        let (mm, instance) = (TestMm::new()?, instance(&[WIDE])?);
        let (smmu, client) = (instance.smmu(), device(&instance, 0)?.client());
        let hw = instance.hw();
        let (one, two) = (
            awake_domain(&instance, &client, &mm)?,
            awake_domain(&instance, &client, &mm)?,
        );
        let mut entries = [[0; 8]; 6];
        for (i, domain) in [&one, &two].into_iter().enumerate() {
            smmu.attach_sva(domain, &client, 7)?;
            entries[i] = hw.cd(WIDE.sid, 7).ok_or(ENOENT)?.words();
            let asid = domain.space().asid();
            entries[2 + i] = smmu.features().blocked_cd(asid).words();
            entries[4 + i] = smmu.features().exited_cd(driver::asid::PARKED).words();
        }
        smmu.block_pasid(&client, 7);

        let fetcher = hw.clone();
        let reader = Reader::start(move || match fetcher.cd(WIDE.sid, 7) {
            Some(cd) => (1, u64::from(!is_one_of::<CdEntry>(&cd.words(), &entries))),
            None => (0, 0),
        })?;
        for _ in 0..200 {
            smmu.attach_sva(&one, &client, 7)?;
            smmu.attach_sva(&two, &client, 7)?;
            smmu.block_pasid(&client, 7);
            smmu.attach_sva(&two, &client, 7)?;
            smmu.block_pasid(&client, 7);
        }
        // The process's end, with the device still at it.
        smmu.attach_sva(&one, &client, 7)?;
        drop(mm);
        check!(hw.cd(WIDE.sid, 7).is_some_and(|cd| cd.v() && cd.epd0()));
        // While there is something to fetch.
        check!(reader.verdict());
        smmu.block_pasid(&client, 7);
        Ok(())
    }

    #[test]
    fn hitless_ste_under_a_reader() -> Result {
        for spec in [WIDE, PLAIN] {
            let (mm, instance) = (TestMm::new()?, instance(&[spec])?);
            let (smmu, client) = (instance.smmu(), device(&instance, 0)?.client());
            let entries = [Rid::Identity, Rid::Blocked, Rid::Shared]
                .map(|rid| client.data().ste(rid).words());
            let (fetcher, sid) = (instance.hw().clone(), spec.sid);
            let reader = Reader::start(move || match fetcher.ste(sid) {
                // No change of this entry takes it away for a moment.
                Some(ste) => (
                    1,
                    u64::from(!ste.v() || !is_one_of::<SteEntry>(&ste.words(), &entries)),
                ),
                None => (1, 1),
            })?;

            let paging = smmu.alloc_paging(&client)?;
            let sva = awake_domain(&instance, &client, &mm)?;
            for _ in 0..100 {
                smmu.attach_blocked(&client)?;
                smmu.attach_paging(&paging, &client, None)?;
                smmu.attach_identity(&client)?;
                smmu.attach_sva_rid(&sva, &client)?;
                smmu.attach_blocked(&client)?;
                smmu.attach_identity(&client)?;
            }
            check!(reader.verdict());
        }
        Ok(())
    }

    /// First-level descriptors: what they lead to is complete before they do.
    #[test]
    fn hitless_first_levels_under_a_reader() -> Result {
        let (mm, mut instance) = (TestMm::new()?, instance(&[WIDE])?);
        let client = device(&instance, 0)?.client();
        let smmu = instance.smmu().clone();
        let domain = awake_domain(&instance, &client, &mm)?;
        smmu.attach_sva(&domain, &client, 1)?;
        let entries = [instance.hw().cd(WIDE.sid, 1).ok_or(ENOENT)?.words()];

        // The last of each leaf table, and StreamIDs of as many.
        let (ssid, sid) = (|n: u32| n << 10 | 0x3ff, |n: u32| n << 8 | 0x4f);
        let fetcher = instance.hw().clone();
        let reader = Reader::start(move || {
            let (mut fetched, mut bad) = (0, 0);
            for n in 1..32 {
                if let Some(cd) = fetcher.cd(WIDE.sid, ssid(n)) {
                    fetched += 1;
                    bad += u64::from(!is_one_of::<CdEntry>(&cd.words(), &entries));
                }
                if let Some(entry) = fetcher.ste(sid(n)) {
                    let whole = entry == stream_table::abort()
                        || (entry.config() == ste::CONFIG_ABORT && entry.v())
                        || (entry.config() == ste::CONFIG_S1 && entry.s1_context_ptr() != 0);
                    fetched += 1;
                    bad += u64::from(!whole);
                }
            }
            (fetched, bad)
        })?;

        for n in 1..32 {
            let spec = DeviceSpec {
                id: 100,
                sid: sid(n),
                ..WIDE
            };
            smmu.attach_sva(&domain, &client, ssid(n))?;
            instance.add_device(c"mock_smmu_kunit_device", &spec)?;
            instance.remove_device(1)?;
            smmu.block_pasid(&client, ssid(n));
        }
        smmu.block_pasid(&client, 1);
        check!(reader.verdict());
        Ok(())
    }
}
