// SPDX-License-Identifier: GPL-2.0

//! What the architecture says that an access does: a second implementation, which is as plain as
//! can be, and slow. It was written from Arm's documents (SMMUv3: IHI 0070; tables: DDI 0487, D8),
//! step by step in their order, and shares nothing with the model but the names of its abilities.
//!
//! It can also be told to do wrong what QEMU does wrong ([`quirks`](super::quirks)).
//!
//! - here: the memory, the way of a transaction, its events
//! - `config`: stream table entries and context descriptors
//! - `walk`: translation tables
//! - `ats`: translation requests of devices

#[cfg(CONFIG_KUNIT = "y")]
mod ats;
mod config;
mod walk;

#[cfg(CONFIG_KUNIT = "y")]
pub(crate) use ats::{
    answer,
    Answer, //
};

use core::cell::Cell;

use smmuv3::hw::Config;

use crate::{
    arena::{
        Arena,
        NOTHING, //
    },
    case::{
        Access,
        End,
        Event,
        Outcome,
        Setup, //
    },
    quirks::{
        Quirk,
        Quirks, //
    },
};

/// Bytes after which a device translates anew.
const PAGE: u64 = 4096;

/// Bits `high..=low` of a word, as a number.
fn bits(word: u64, high: u32, low: u32) -> u64 {
    word << (63 - high) >> (63 - high + low)
}

/// Bits `high..=low` of a word, in place: an address.
fn address(word: u64, high: u32, low: u32) -> u64 {
    bits(word, high, low) << low
}

/// Event numbers (SMMUv3, 7.3).
mod id {
    pub(super) const BAD_STREAMID: u64 = 0x02;
    pub(super) const STE_FETCH: u64 = 0x03;
    pub(super) const BAD_STE: u64 = 0x04;
    pub(super) const STREAM_DISABLED: u64 = 0x06;
    pub(super) const BAD_SUBSTREAMID: u64 = 0x08;
    pub(super) const CD_FETCH: u64 = 0x09;
    pub(super) const BAD_CD: u64 = 0x0a;
    pub(super) const WALK_EABT: u64 = 0x0b;
    pub(super) const TRANSLATION: u64 = 0x10;
    pub(super) const ADDR_SIZE: u64 = 0x11;
    pub(super) const ACCESS: u64 = 0x12;
    pub(super) const PERMISSION: u64 = 0x13;
}

/// The end of a transaction that is not carried out.
type Refused = (End, Option<Event>);

/// One access, under way.
pub(crate) struct Reference<'a> {
    arena: &'a Arena,
    setup: &'a Setup,
    able: &'a Config,
    quirks: Quirks,
    access: &'a Access,
    /// Memory was looked at that is neither in the arena nor missing: such a case must not be made.
    strayed: Cell<bool>,
    outcome: Outcome,
}

/// What `access` does on an SMMU that is able to do `able`; `None` if it would leave the arena.
pub(crate) fn outcome(
    arena: &Arena,
    setup: &Setup,
    able: &Config,
    quirks: Quirks,
    access: &Access,
) -> Option<Outcome> {
    let mut reference = Reference {
        arena,
        setup,
        able,
        quirks,
        access,
        strayed: Cell::new(false),
        outcome: Outcome::default(),
    };
    reference.run();
    let Reference {
        strayed, outcome, ..
    } = reference;
    (!strayed.get()).then_some(outcome)
}

impl Reference<'_> {
    /// Whether QEMU's way is asked for.
    fn has(&self, quirk: Quirk) -> bool {
        self.quirks.has(quirk)
    }

    /// Reads a word of memory; `None` is an external abort.
    fn word(&self, phys: u64) -> Option<u64> {
        let mut updates = self.outcome.updates.iter();
        if let Some((_, value)) = updates.find(|(at, _)| *at == phys) {
            return Some(*value);
        }
        match self.arena.offset(phys, 8) {
            Some(offset) => Some(self.arena.get(offset)),
            None => {
                self.strayed.set(self.strayed.get() || phys < NOTHING);
                None
            }
        }
    }

    /// Reads eight words.
    fn words(&self, phys: u64) -> Option<[u64; 8]> {
        let mut words = [0; 8];
        for (i, word) in words.iter_mut().enumerate() {
            *word = self.word(phys + 8 * i as u64)?;
        }
        Some(words)
    }

    fn run(&mut self) {
        let mut done = 0;
        while done < self.access.len {
            let va = self.access.va.wrapping_add(done as u64);
            let rest = (PAGE - va % PAGE) as usize;
            let len = rest.min(self.access.len - done);
            let refused = match self.transaction(va) {
                Ok(phys) if self.arena.offset(phys, len).is_some() => {
                    self.outcome.add_place(phys, len);
                    done += len;
                    continue;
                }
                // No memory: the bus answers with an abort, of which the SMMU knows nothing.
                Ok(phys) => {
                    self.strayed.set(self.strayed.get() || phys < NOTHING);
                    (End::Abort, None)
                }
                Err(refused) => refused,
            };
            (self.outcome.end, self.outcome.event) = refused;
            return;
        }
    }

    /// One page's part: the physical address of `va`.
    fn transaction(&mut self, va: u64) -> Result<u64, Refused> {
        if !self.setup.enabled {
            if self.setup.gbpa_abort {
                return Err((End::Abort, None));
            }
            return self.pass(va).map_err(|()| (End::Abort, None));
        }
        let stream = self.stream_table_entry()?;
        match self.route(&stream)? {
            config::Route::Abort => Err((End::Abort, None)),
            config::Route::Bypass => self
                .pass(va)
                .map_err(|()| (End::Abort, Some(self.fault(id::ADDR_SIZE, va)))),
            config::Route::Context(ssid) => {
                let context = self.context(&stream, ssid)?;
                self.walk(&context, va)
            }
        }
    }

    /// An address that is not translated must be one that the SMMU can put out (SMMUv3, 3.4).
    fn pass(&self, va: u64) -> Result<u64, ()> {
        if va >> self.oas() != 0 && !self.has(Quirk::BypassBeyondOas) {
            return Err(());
        }
        Ok(va)
    }

    /// Bits of an output address.
    fn oas(&self) -> u32 {
        [32, 36, 40, 42, 44, 48, 52][usize::from(self.able.oas)]
    }

    /// The head of an event.
    fn head(&self, id: u64) -> u64 {
        let ssid = match self.access.ssid {
            // The SubstreamID of this one is always valid.
            Some(ssid) if id == id::BAD_SUBSTREAMID => u64::from(ssid) << 12,
            Some(ssid) => u64::from(ssid) << 12 | 1 << 11,
            None => 0,
        };
        id | ssid | u64::from(self.access.sid) << 32
    }

    /// A configuration is bad.
    fn bad(&self, id: u64) -> Refused {
        (End::Abort, Some([self.head(id), 0, 0, 0]))
    }

    /// A structure could not be fetched.
    fn unfetched(&self, id: u64, phys: u64) -> Refused {
        let mut event = [self.head(id), 0, 0, 0];
        if id == id::CD_FETCH && self.has(Quirk::CdFetchAddress) {
            event[2] = phys;
        } else {
            let top = if self.has(Quirk::LongL2Ptr) { 63 } else { 51 };
            event[3] = address(phys, top, 3);
        }
        (End::Abort, Some(event))
    }

    /// A fault of the access at `va`.
    fn fault(&self, id: u64, va: u64) -> Event {
        const CLASS_IN: u64 = 2;
        let access = self.access;
        let attributes = u64::from(access.privileged) << 33
            | u64::from(access.exec) << 34
            | u64::from(!access.write) << 35;
        [self.head(id), attributes | CLASS_IN << 40, va, 0]
    }
}
