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

/// Where an entry is.
pub trait Place {
    /// The entry as it stands.
    fn read(&self) -> Words;

    /// Replaces one word, in one piece and after all that was stored before.
    fn store(&self, index: usize, word: u64);
}

/// How words get into tables.
pub trait Stores {
    /// Stores `word` at byte `offset` of `memory`, in one piece and after all that was stored
    /// before.
    fn store(&self, memory: &PhysPages, offset: usize, word: u64);
}

/// By storing them, and no more.
#[derive(Clone, Copy)]
pub struct Plain;

impl Stores for Plain {
    fn store(&self, memory: &PhysPages, offset: usize, word: u64) {
        super::write_entry(memory, offset, &[word]);
    }
}

/// A place in a table.
#[derive(Clone, Copy)]
pub struct Slot<'a, S> {
    memory: &'a PhysPages,
    offset: usize,
    stores: &'a S,
}

impl<'a, S: Stores> Slot<'a, S> {
    /// The entry at byte `offset` of `memory`.
    pub fn new(memory: &'a PhysPages, offset: usize, stores: &'a S) -> Self {
        Self {
            memory,
            offset,
            stores,
        }
    }
}

impl<S: Stores> Place for Slot<'_, S> {
    fn read(&self) -> Words {
        super::read_entry(self.memory, self.offset)
    }

    fn store(&self, index: usize, word: u64) {
        let offset = self.offset + index * size_of::<u64>();
        self.stores.store(self.memory, offset, word);
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

/// Changes the entry at `slot` to `target`.
///
/// `sync` must make the hardware forget what it knows of the entry, and return when it has. Any
/// context that `sync` allows.
///
/// # Errors
///
/// What `sync` returned. The entry is then in an intermediate state.
pub fn write<E: Entry>(
    slot: &impl Place,
    target: &Words,
    mut sync: impl FnMut() -> Result,
) -> Result {
    let current = slot.read();

    if target[0] & E::VALID == 0 {
        // First of all: of an invalid entry nothing else matters.
        set(slot, 0..1, target, &mut sync)?;
        return set(slot, 1..8, target, &mut sync).map(drop);
    }
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
    slot: &impl Place,
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
