// SPDX-License-Identifier: GPL-2.0

//! Changing a table entry that the hardware may read at any moment.
//!
//! An entry is eight 64-bit words, and the hardware fetches each word in one piece, but the eight
//! in any order. It may therefore see every mixture of words that memory holds from one sync to
//! the next. A change is *hitless* if each such mixture means either the old or the new entry: that
//! works if all used bits that change lie in one word. Otherwise the entry is made invalid first.

use kernel::prelude::*;
use kernel_ext::phys::PhysPages;

/// The words of an STE or a CD.
pub type Words = [u64; 8];

/// A kind of table entry.
pub trait Entry {
    /// The word and the bits in it that say whether the entry is valid.
    const VALID: u64;

    /// The bits that the hardware looks at in an entry of these words.
    fn used(words: &Words) -> Words;
}

/// Where an entry lies in memory.
#[derive(Clone, Copy)]
pub struct Slot<'a> {
    memory: &'a PhysPages,
    offset: usize,
}

impl<'a> Slot<'a> {
    /// The entry at byte `offset` of `memory`.
    pub fn new(memory: &'a PhysPages, offset: usize) -> Self {
        Self { memory, offset }
    }

    /// The entry as it stands.
    pub fn read(&self) -> Words {
        super::read_entry(self.memory, self.offset)
    }

    fn store(&self, index: usize, word: u64) {
        super::write_entry(self.memory, self.offset + index * size_of::<u64>(), &[word]);
    }
}

/// What [`plan`] found: how to get from one entry to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// No used bit changes.
    Unused,
    /// Used bits change in this one word.
    Hitless(usize),
    /// Used bits change in several words.
    Break,
}

/// The words with all bits of `target` that the hardware does not look at in `current`.
fn unused_update<E: Entry>(current: &Words, target: &Words) -> Words {
    let used = E::used(current);
    core::array::from_fn(|i| (current[i] & used[i]) | (target[i] & !used[i]))
}

/// How to change `current` into `target`.
pub fn plan<E: Entry>(current: &Words, target: &Words) -> Plan {
    let prepared = unused_update::<E>(current, target);
    let used = E::used(target);
    let mut differing = (0..8).filter(|&i| (prepared[i] ^ target[i]) & used[i] != 0);

    match (differing.next(), differing.next()) {
        (None, _) => Plan::Unused,
        (Some(word), None) => Plan::Hitless(word),
        _ => Plan::Break,
    }
}

/// Changes the entry in `slot` to `target`.
///
/// `sync` must make the hardware forget what it knows of the entry, and return when it has. Any
/// context that `sync` allows.
///
/// # Errors
///
/// What `sync` returned. The entry is then in an intermediate state.
pub fn write<E: Entry>(slot: Slot<'_>, target: &Words, mut sync: impl FnMut() -> Result) -> Result {
    let current = slot.read();

    match plan::<E>(&current, target) {
        Plan::Unused => set(slot, 0..8, target, &mut sync).map(drop),
        Plan::Hitless(word) => {
            let mut prepared = unused_update::<E>(&current, target);
            // This word changes next anyway.
            prepared[word] = current[word];
            set(slot, 0..8, &prepared, &mut sync)?;
            set(slot, word..word + 1, target, &mut sync)?;
            // What only the old entry used.
            set(slot, 0..8, target, &mut sync).map(drop)
        }
        Plan::Break => {
            let mut invalid = current;
            invalid[0] &= !E::VALID;
            set(slot, 0..1, &invalid, &mut sync)?;
            set(slot, 1..8, target, &mut sync)?;
            set(slot, 0..1, target, &mut sync).map(drop)
        }
    }
}

/// Stores those words of a range that change, and syncs if there were any.
fn set(
    slot: Slot<'_>,
    range: core::ops::Range<usize>,
    target: &Words,
    sync: &mut impl FnMut() -> Result,
) -> Result<bool> {
    let current = slot.read();
    let mut changed = false;

    for i in range {
        if current[i] != target[i] {
            slot.store(i, target[i]);
            changed = true;
        }
    }
    if changed {
        sync()?;
    }
    Ok(changed)
}

#[kunit_tests(smmu_driver_entry)]
mod tests {
    use super::*;
    use crate::{
        driver::{
            cd_table,
            stream_table, //
        },
        fmt::{
            cd::Cd,
            ste::{
                self,
                Ste, //
            }, //
        },
    };

    /// Writes `to` over `from`. At each sync, any mixture of the words before and now must look
    /// like `from`, like `to`, or invalid if that is allowed. Gives the number of syncs.
    fn check<E: Entry>(from: Words, to: Words, may_break: bool) -> Result<usize> {
        let memory = PhysPages::alloc(64)?;
        let slot = Slot::new(&memory, 0);
        for (i, &word) in from.iter().enumerate() {
            slot.store(i, word);
        }

        let looks_like = |words: &Words, entry: &Words| {
            let used = E::used(entry);
            (0..8).all(|i| (words[i] ^ entry[i]) & used[i] == 0)
        };
        let (mut last, mut syncs, mut bad) = (from, 0, 0);
        write::<E>(slot, &to, || {
            let now = slot.read();
            for mixture in 0..256 {
                let seen: Words = core::array::from_fn(|i| {
                    if mixture & (1 << i) == 0 {
                        last[i]
                    } else {
                        now[i]
                    }
                });
                let fine = looks_like(&seen, &from)
                    || looks_like(&seen, &to)
                    || (may_break && seen[0] & E::VALID == 0);
                bad += usize::from(!fine);
            }
            last = now;
            syncs += 1;
            Ok(())
        })?;
        // Carried out as an error, since a failed assertion would keep the memory.
        if bad != 0 || slot.read() != to {
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

    #[test]
    fn hitless_cd_install_and_clear() {
        assert_eq!(
            check::<cd_table::CdEntry>([0; 8], cd(1, 0x1000), false),
            Ok(2)
        );
        assert_eq!(
            check::<cd_table::CdEntry>(cd(1, 0x1000), [0; 8], false),
            Ok(2)
        );
    }

    #[test]
    fn hitless_cd_release() {
        let off = Cd::from_words(cd(1, 0))
            .with_t0sz(0)
            .with_epd0(true)
            .words();
        assert_eq!(check::<cd_table::CdEntry>(cd(1, 0x1000), off, false), Ok(2));
        assert_eq!(check::<cd_table::CdEntry>(off, cd(1, 0x1000), false), Ok(2));
    }

    #[test]
    fn cd_of_another_address_space_breaks() {
        let (from, to) = (cd(1, 0x1000), cd(2, 0x2000));
        assert_eq!(plan::<cd_table::CdEntry>(&from, &to), Plan::Break);
        assert_eq!(check::<cd_table::CdEntry>(from, to, true), Ok(3));
    }

    #[test]
    fn unchanged_entry_needs_no_sync() {
        assert_eq!(
            check::<cd_table::CdEntry>(cd(1, 0x1000), cd(1, 0x1000), false),
            Ok(0)
        );
    }

    #[test]
    fn hitless_ste() {
        let abort = Ste::default().with_v(true).with_config(ste::CONFIG_ABORT);
        let s1 = Ste::default()
            .with_v(true)
            .with_config(ste::CONFIG_S1)
            .with_s1_context_ptr(0x8000)
            .with_s1_cd_max(8)
            .with_s1_dss(ste::S1DSS_BYPASS)
            .with_eats(ste::EATS_TRANS);
        let blocked = s1.with_s1_dss(ste::S1DSS_TERMINATE);
        let bypass = Ste::default()
            .with_v(true)
            .with_config(ste::CONFIG_BYPASS)
            .with_sh_cfg(1);
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
            assert!(check::<stream_table::SteEntry>(from.words(), to.words(), false).is_ok());
        }
    }
}
