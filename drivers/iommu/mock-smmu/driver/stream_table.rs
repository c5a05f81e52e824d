// SPDX-License-Identifier: GPL-2.0

//! The stream table: linear for up to 8 bits of StreamID, two levels beyond.

use super::entry::{
    self,
    Entry,
    Place,
    Plain,
    Slot,
    Stores,
    Words, //
};
use crate::{
    fmt::{
        regs,
        ste::{
            self,
            L1StreamDesc,
            Ste, //
        }, //
    },
    mmio::RegisterFile, //
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::Mutex, //
};
use kernel_ext::phys::PhysPages;

/// Bits of a StreamID that a second-level table resolves.
const SPLIT: u8 = 8;

/// Bits of a StreamID that a table can be for: it has at most 2^17 first-level descriptors.
pub const MAX_BITS: u8 = 17 + SPLIT;

/// Stream table entries as [`Entry`].
pub struct SteEntry;

impl Entry for SteEntry {
    const VALID: u64 = 1;

    fn used(words: &Words) -> Words {
        let ste = Ste::from_words(*words);
        let valid = Ste::default().with_v(true);

        if !ste.v() {
            return valid.words();
        }
        let used = valid.with_config(7);
        match ste.config() {
            ste::CONFIG_ABORT => used.words(),
            ste::CONFIG_BYPASS => used.with_sh_cfg(3).words(),
            // All that is said of stage 1. Nothing here uses stage 2.
            _ => {
                let used = used
                    .with_s1_fmt(3)
                    .with_s1_context_ptr(u64::MAX)
                    .with_s1_cd_max(31)
                    .with_s1_dss(3)
                    .with_s1_cir(3)
                    .with_s1_cor(3)
                    .with_s1_csh(3)
                    .with_mev(true)
                    .with_s1_stalld(true)
                    .with_eats(3)
                    .with_strw(3);
                if ste.s1_dss() == ste::S1DSS_BYPASS {
                    used.with_sh_cfg(3).words()
                } else {
                    used.words()
                }
            }
        }
    }
}

/// The entry of a stream that nobody owns: everything aborts, without a record.
pub fn abort() -> Ste {
    Ste::default().with_v(true).with_config(ste::CONFIG_ABORT)
}

/// The entry of a stream whose accesses pass untranslated, with [`Ste::sh_cfg`].
pub fn bypass(sh_cfg: u8) -> Ste {
    Ste::default()
        .with_v(true)
        .with_config(ste::CONFIG_BYPASS)
        .with_sh_cfg(sh_cfg)
}

enum Levels {
    Linear(PhysPages),
    Two {
        l1: PhysPages,
        leaves: KVVec<Option<PhysPages>>,
    },
}

/// The stream table of one SMMU.
#[pin_data]
pub struct StreamTable<S = Plain> {
    sid_bits: u8,
    stores: S,
    #[pin]
    levels: Mutex<Levels>,
}

impl StreamTable {
    /// Makes a table for StreamIDs of `sid_bits` bits, in which everything aborts. May sleep.
    ///
    /// # Errors
    ///
    /// `EINVAL` for more than [`MAX_BITS`] bits; `ENOMEM`.
    pub fn new(sid_bits: u8) -> Result<impl PinInit<Self>> {
        Self::with_stores(sid_bits, Plain)
    }
}

impl<S: Stores> StreamTable<S> {
    /// As [`StreamTable::new`]; `stores` makes all changes.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn with_stores(sid_bits: u8, stores: S) -> Result<impl PinInit<Self>> {
        let levels = match sid_bits {
            0..=SPLIT => Levels::Linear(leaf(sid_bits, &stores)?),
            9..=MAX_BITS => {
                let descs = 1 << (sid_bits - SPLIT);
                let l1 = PhysPages::alloc(descs * size_of::<u64>())?;
                let mut leaves = KVVec::with_capacity(descs, GFP_KERNEL)?;
                for _ in 0..descs {
                    leaves.push(None, GFP_KERNEL)?;
                }
                Levels::Two { l1, leaves }
            }
            _ => return Err(EINVAL),
        };
        Ok(pin_init!(Self {
            sid_bits,
            stores,
            levels <- new_mutex!(levels, "mock_smmu_stream_table"),
        }))
    }

    /// Writes the table's base and form. Translation must be off.
    pub fn program(&self, regs: &RegisterFile) {
        let (phys, fmt) = match &*self.levels.lock() {
            Levels::Linear(table) => (table.phys(), 0),
            Levels::Two { l1, .. } => (l1.phys(), 1),
        };
        let base = regs::StrtabBase::default().with_base(phys).with_ra(true);
        let cfg = regs::StrtabBaseCfg::default()
            .with_log2size(self.sid_bits)
            .with_split(SPLIT)
            .with_fmt(fmt);
        regs.write64(regs::STRTAB_BASE, base.raw());
        regs.write32(regs::STRTAB_BASE_CFG, cfg.raw());
    }

    /// Bits of a StreamID.
    pub fn sid_bits(&self) -> u8 {
        self.sid_bits
    }

    /// The entry of `sid`, if there is one. May sleep.
    pub fn read(&self, sid: u32) -> Option<Ste> {
        if u64::from(sid) >> self.sid_bits != 0 {
            return None;
        }
        let (first, offset) = indexes(sid);
        let read = |table, offset| Slot::new(table, offset, &self.stores).read();
        let words = match &*self.levels.lock() {
            Levels::Linear(table) => read(table, sid as usize * Ste::SIZE),
            Levels::Two { leaves, .. } => read(leaves.get(first)?.as_ref()?, offset),
        };
        Some(Ste::from_words(words))
    }

    /// Changes the entry of `sid`. May sleep.
    ///
    /// `sync(leaf)` must make the hardware forget the entry, without `leaf` also the first-level
    /// descriptor, and return when it has.
    ///
    /// # Errors
    ///
    /// `EINVAL` if `sid` is too large; `ENOMEM`; what `sync` returned.
    pub(crate) fn write(
        &self,
        sid: u32,
        target: &Ste,
        mut sync: impl FnMut(bool) -> Result,
    ) -> Result {
        if u64::from(sid) >> self.sid_bits != 0 {
            return Err(EINVAL);
        }
        let (first, offset) = indexes(sid);
        match &mut *self.levels.lock() {
            Levels::Linear(table) => {
                let slot = Slot::new(table, sid as usize * Ste::SIZE, &self.stores);
                entry::write::<SteEntry>(&slot, &target.words(), || sync(true))
            }
            Levels::Two { l1, leaves } => {
                let place = leaves.get_mut(first).ok_or(EINVAL)?;
                let table = match place {
                    Some(table) => table,
                    None => {
                        let table = place.insert(leaf(SPLIT, &self.stores)?);
                        let desc = L1StreamDesc::default()
                            .with_span(SPLIT + 1)
                            .with_l2_ptr(table.phys());
                        self.stores.store(l1, first * size_of::<u64>(), desc.raw());
                        sync(false)?;
                        table
                    }
                };
                let slot = Slot::new(table, offset, &self.stores);
                entry::write::<SteEntry>(&slot, &target.words(), || sync(true))
            }
        }
    }
}

/// A table of 2^`bits` entries that abort.
fn leaf(bits: u8, stores: &impl Stores) -> Result<PhysPages> {
    let table = PhysPages::alloc(Ste::SIZE << bits)?;
    for i in 0..1 << bits {
        // The other words are 0, as the memory is.
        stores.store(&table, i * Ste::SIZE, abort().words()[0]);
    }
    Ok(table)
}

/// First-level index of a StreamID, and the offset of its entry in the second level.
fn indexes(sid: u32) -> (usize, usize) {
    (
        ste::l1_index(sid, SPLIT) as usize,
        ste::l2_index(sid, SPLIT) as usize * Ste::SIZE,
    )
}

#[kunit_tests(smmu_driver_stream_table)]
mod tests {
    use super::*;

    fn table(sid_bits: u8) -> Result<Pin<KBox<StreamTable>>> {
        KBox::pin_init(StreamTable::new(sid_bits)?, GFP_KERNEL)
    }

    #[test]
    fn linear() -> Result {
        let (regs, table) = (RegisterFile::new()?, table(6)?);
        table.program(&regs);
        let cfg = regs::StrtabBaseCfg::from_raw(regs.read32(regs::STRTAB_BASE_CFG));
        assert_eq!((cfg.fmt(), cfg.log2size()), (0, 6));
        assert_eq!(table.read(63), Some(abort()));
        assert_eq!(table.read(64), None);
        table.write(63, &bypass(1), |leaf| if leaf { Ok(()) } else { Err(EIO) })?;
        assert_eq!(table.read(63), Some(bypass(1)));
        assert_eq!(table.write(64, &bypass(1), |_| Ok(())), Err(EINVAL));
        Ok(())
    }

    #[test]
    fn two_level() -> Result {
        let (regs, table) = (RegisterFile::new()?, table(16)?);
        table.program(&regs);
        let cfg = regs::StrtabBaseCfg::from_raw(regs.read32(regs::STRTAB_BASE_CFG));
        assert_eq!((cfg.fmt(), cfg.log2size(), cfg.split()), (1, 16, 8));
        assert_eq!(table.read(0x1234), None);
        let mut syncs = [0, 0];
        table.write(0x1234, &bypass(1), |leaf| {
            syncs[usize::from(leaf)] += 1;
            Ok(())
        })?;
        // One for the new first-level descriptor; two for the entry: first what is unused yet.
        assert_eq!(syncs, [1, 2]);
        assert_eq!(table.read(0x1234), Some(bypass(1)));
        assert_eq!(table.read(0x1235), Some(abort()));
        table.write(
            0x1235,
            &bypass(1),
            |leaf| if leaf { Ok(()) } else { Err(EIO) },
        )?;
        Ok(())
    }

    #[test]
    fn sizes() {
        assert_eq!(table(26).err(), Some(EINVAL));
        assert!(table(0).is_ok());
        assert!(table(9).is_ok());
    }
}
