// SPDX-License-Identifier: GPL-2.0

//! Our SMMU against the reference, where QEMU has nothing to compare with: SubstreamIDs, stalls,
//! updates of flags in tables, ATS, reads and instruction fetches, privilege, 52 bits.

use kernel::prelude::*;

#[kunit_tests(smmu_agree_reference)]
mod tests {
    use super::*;
    use crate::{
        arena::{
            Arena,
            COMMANDS, //
        },
        case::{
            self,
            Access,
            End,
            Outcome,
            Setup,
            MAX_LEN, //
        },
        generate,
        quirks::Quirks,
        random::Random,
        reference::{
            self,
            Answer, //
        },
        side::{
            pattern,
            Ours,
            Side,
            CMDQ, //
        },
    };
    use smmuv3::{
        fmt::{
            cmd::{
                self,
                Command,
                Resume, //
            },
            regs, //
        },
        hw::{
            Attrs,
            Config,
            DmaErrorKind,
            Intent,
            PortConfig, //
        },
    };

    /// Where nobody wants to wait for a debug kernel.
    const CASES: u64 = if cfg!(CONFIG_KASAN) { 1000 } else { 20_000 };
    /// Stalls are waited for.
    const STALLING: u64 = CASES / 10;
    const SIDS: [u32; 2] = [5, 0x103];
    const EPOCH: u64 = 16;

    /// Ours, and the memory.
    struct Bench {
        arena: Arena,
        able: Config,
        ours: Ours,
        setup: Setup,
        prod: u32,
    }

    impl Bench {
        fn new(able: Config, ats: bool) -> Result<Self> {
            let arena = Arena::new(true)?;
            let port = PortConfig {
                ats,
                ats_no_ssid: ats,
                pri: false,
                timeout_ms: 1,
                ..PortConfig::default()
            };
            let mut ours = Ours::new(able, &SIDS, port)?;
            ours.start(&arena);
            Ok(Self {
                arena,
                able,
                ours,
                setup: Setup::default(),
                prod: 0,
            })
        }

        fn command(&mut self, command: Command) {
            let at = COMMANDS + CMDQ.offset(self.prod);
            for (i, word) in command.words().iter().enumerate() {
                self.arena.set(at + 8 * i, *word);
            }
            self.prod = CMDQ.advance(self.prod, 1);
            self.ours.write32(regs::CMDQ_PROD, self.prod);
        }

        /// Makes case `n`, and has everything forgotten.
        fn make(&mut self, seed: u64, n: u64) -> Access {
            if n % EPOCH == 0 {
                let mut random = Random::new(!seed, n / EPOCH);
                let two_level = random.one_in(2);
                self.setup = generate::setup(&self.arena, &mut random, &self.able, two_level);
                self.ours.configure(&self.setup);
            }
            let mut random = Random::new(seed, n);
            self.arena.clean();
            let mut access =
                generate::case(&mut self.arena, &mut random, &self.able, &self.setup, &SIDS);
            access.write = random.one_in(2);
            access.exec = !access.write && random.one_in(3);
            access.privileged = random.one_in(3);
            if !self.able.term_model {
                // What one page ignores does not end an access.
                access.len = access.len.min(0x1000 - access.va as usize % 0x1000);
            }
            self.command(Command::cfgi_all());
            self.command(Command::tlbi_all());
            access
        }

        /// Whether the tables are what the reference says; `before` is what they were.
        fn tables_agree(&self, outcome: &Outcome, before: &[(usize, u64)]) -> bool {
            before.iter().all(|(offset, word)| {
                let phys = self.arena.phys(*offset);
                let mut updates = outcome.updates.iter();
                let expected = updates
                    .find(|(at, _)| *at == phys)
                    .map_or(*word, |(_, word)| *word);
                self.arena.get(*offset) == expected
            })
        }

        fn words(&self) -> Result<KVec<(usize, u64)>> {
            let mut words = KVec::new();
            for word in self.arena.words() {
                words.push(word, GFP_KERNEL)?;
            }
            Ok(words)
        }

        /// Makes an access; gives how it ended, and whether the data is right: what a read got, and
        /// what a write left, which is put right again.
        fn access(&self, access: &Access, outcome: &Outcome) -> Result<(End, bool)> {
            let port = self.ours.port(access.sid)?;
            let attrs = Attrs {
                privileged: access.privileged,
                exec: access.exec,
            };
            let mut bytes = pattern();
            let bytes = &mut bytes[..access.len];
            let mut before = [0; MAX_LEN];
            let mut from = 0;
            for (phys, len) in outcome.places() {
                let offset = self.arena.offset(phys, len).unwrap_or(0);
                self.arena.read(offset, &mut before[from..from + len]);
                from += len;
            }
            let result = if access.write {
                port.write(access.ssid, access.va, bytes, attrs)
            } else {
                port.read(access.ssid, access.va, bytes, attrs)
            };
            let end = match result.map_err(|error| error.kind) {
                Ok(()) if outcome.end == End::Ignored => End::Ignored,
                Ok(()) => End::Done,
                Err(DmaErrorKind::Timeout) => End::Stalled,
                Err(_) => End::Abort,
            };
            let mut right = true;
            let mut from = 0;
            for (phys, len) in outcome.places() {
                let offset = self.arena.offset(phys, len).unwrap_or(0);
                let mut now = [0; MAX_LEN];
                self.arena.read(offset, &mut now[..len]);
                let expected = if access.write { &*bytes } else { &before };
                right &= now[..len] == expected[from..from + len];
                right &= access.write || bytes[from..from + len] == before[from..from + len];
                self.arena.write(offset, &before[from..from + len]);
                from += len;
            }
            if outcome.end == End::Ignored && !access.write {
                right &= bytes[from..].iter().all(|byte| *byte == 0);
            }
            Ok((end, right))
        }

        /// Compares case `n`; gives how it ended.
        fn compare(&mut self, seed: u64, n: u64) -> Result<Option<End>> {
            let access = self.make(seed, n);
            let quirks = Quirks::NONE;
            let outcome = reference::outcome(&self.arena, &self.setup, &self.able, quirks, &access);
            let safe = outcome.filter(|outcome| generate::is_safe(&self.arena, outcome));
            let Some(outcome) = safe else {
                return Ok(None);
            };
            let before = self.words()?;
            let (end, data_right) = self.access(&access, &outcome)?;
            let mut event = self.ours.event(&self.arena);
            if let Some(event) = event.as_mut().filter(|_| end == End::Stalled) {
                let stag = event[1] as u16;
                event[1] &= !0xffff;
                self.command(Command::resume(access.sid, stag, Resume::Abort));
            }
            let more = self.ours.event(&self.arena);
            let agree = end == outcome.end
                && event == outcome.event
                && more.is_none()
                && data_right
                && self.tables_agree(&outcome, &before);
            if !agree {
                pr_err!("case {n}: {end:?} {event:x?} {more:x?}, data right: {data_right}\n");
                pr_err!("by the reference: {outcome:x?}\n");
                case::print(&self.setup, &access, before.iter().copied());
                return Err(EIO);
            }
            Ok(Some(end))
        }
    }

    /// Compares so many cases. Of each way to end there must be some.
    fn compare(able: Config, cases: u64, ends: &[End]) -> Result {
        let mut bench = Bench::new(able, false)?;
        let mut seen = [0u64; 4];
        for n in 0..cases {
            if let Some(end) = bench.compare(u64::from(able.oas), n)? {
                seen[end as usize] += 1;
            }
        }
        // Few lead out of the arena.
        assert!(seen.iter().sum::<u64>() > cases / 4 * 3);
        for end in ends {
            assert!(seen[*end as usize] > cases / 200);
        }
        Ok(())
    }

    /// Able to do little.
    fn plain() -> Config {
        Config {
            ssid_bits: 0,
            httu: 0,
            stall_model: regs::STALL_NONE,
            ..Config::default()
        }
    }

    #[test]
    fn as_qemu_is() -> Result {
        let able = Config {
            oas: 4,
            term_model: true,
            ats: false,
            pri: false,
            ..plain()
        };
        compare(able, CASES, &[End::Done, End::Abort])
    }

    #[test]
    fn terminated_without_abort() -> Result {
        compare(plain(), CASES, &[End::Done, End::Abort, End::Ignored])
    }

    #[test]
    fn substreams() -> Result {
        let able = Config {
            ssid_bits: 20,
            ..plain()
        };
        compare(able, CASES, &[End::Done, End::Abort])?;
        let able = Config {
            ssid_bits: 5,
            oas: 2,
            ..plain()
        };
        compare(able, CASES, &[End::Done, End::Abort])
    }

    #[test]
    fn flag_updates() -> Result {
        for httu in 1..=3 {
            let able = Config { httu, ..plain() };
            compare(able, CASES, &[End::Done, End::Abort])?;
        }
        Ok(())
    }

    #[test]
    fn addresses_of_52_bits() -> Result {
        let able = Config {
            oas: 6,
            httu: 2,
            ssid_bits: 8,
            ..plain()
        };
        compare(able, CASES, &[End::Done, End::Abort])
    }

    #[test]
    fn few_abilities() -> Result {
        let able = Config {
            oas: 0,
            gran16k: false,
            gran64k: false,
            asid16: false,
            sid_bits: 9,
            ..plain()
        };
        compare(able, CASES, &[End::Done, End::Abort])
    }

    #[test]
    fn stalls() -> Result {
        for stall_model in [regs::STALL_BOTH, regs::STALL_ONLY] {
            let able = Config {
                stall_model,
                stall_max: 8,
                ssid_bits: 4,
                ..plain()
            };
            compare(able, STALLING, &[End::Done, End::Abort, End::Stalled])?;
        }
        Ok(())
    }

    #[test]
    fn ats() -> Result {
        let able = Config {
            ssid_bits: 16,
            httu: 2,
            ..plain()
        };
        let mut bench = Bench::new(able, true)?;
        let mut seen = [0u64; 4];
        for n in 0..CASES {
            let access = bench.make(7, n);
            let access = Access {
                privileged: false,
                ..access
            };
            for sid in SIDS {
                bench.command(Command::atc_inv(sid, None, 0, cmd::ATC_INV_ALL));
            }
            let Bench {
                arena, able, setup, ..
            } = &bench;
            let Some((expected, outcome)) = reference::answer(arena, setup, able, &access) else {
                continue;
            };
            let before = bench.words()?;
            let intent = match (access.write, access.exec) {
                (true, _) => Intent::Write,
                (_, true) => Intent::Exec,
                _ => Intent::Read,
            };
            let port = bench.ours.port(access.sid)?;
            let located = port.locate(access.ssid, access.va, intent);
            let event = bench.ours.event(&bench.arena);
            let answer = match located {
                Ok(Some(place)) => Answer::Place(place.phys),
                Ok(None) => Answer::Missing,
                Err(_) => Answer::Abort(event.map(|event| [event[0], event[2]])),
            };
            if answer != expected || !bench.tables_agree(&outcome, &before) {
                pr_err!("case {n}: {answer:x?}, by the reference {expected:x?}, {outcome:x?}\n");
                case::print(&bench.setup, &access, before.iter().copied());
                return Err(EIO);
            }
            seen[match answer {
                Answer::Place(_) => 0,
                Answer::Missing => 1,
                Answer::Abort(None) => 2,
                Answer::Abort(Some(_)) => 3,
            }] += 1;
        }
        assert!(seen.iter().all(|count| *count > CASES / 200));
        Ok(())
    }
}
