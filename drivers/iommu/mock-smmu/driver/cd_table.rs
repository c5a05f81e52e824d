// SPDX-License-Identifier: GPL-2.0

//! A device's table of context descriptors: linear up to 1024 of them, two levels beyond.

use super::entry::{
    self,
    Entry,
    Place,
    Plain,
    Slot,
    Stores,
    Words, //
};
use crate::fmt::{
    cd::{
        self,
        Cd,
        L1CdDesc, //
    },
    ste, //
};
use kernel::{
    new_mutex,
    new_spinlock_irq,
    prelude::*,
    sync::{
        Arc,
        Mutex,
        SpinLockIrq, //
    }, //
};
use kernel_ext::phys::PhysPages;

/// log2 of the largest linear table.
const LINEAR_MAX: u8 = 10;

/// Context descriptors as [`Entry`].
pub struct CdEntry;

impl Entry for CdEntry {
    const VALID: u64 = 1 << 31;

    fn used(words: &Words) -> Words {
        let cd = Cd::from_words(*words);

        if !cd.v() {
            return [Self::VALID, 0, 0, 0, 0, 0, 0, 0];
        }
        let mut used = Cd::from_words([u64::MAX; 8]);
        if cd.epd0() {
            // Nothing is walked from TTB0, so what describes that table does not matter.
            used = used
                .with_t0sz(0)
                .with_tg0(0)
                .with_ir0(0)
                .with_or0(0)
                .with_sh0(0)
                .with_ttb0(0);
        }
        used.words()
    }
}

/// The place of one context descriptor. It keeps the table's memory.
#[derive(Clone)]
pub struct CdSlot<S = Plain> {
    leaf: Arc<PhysPages>,
    offset: usize,
    stores: S,
    /// Serialises writers of one table's descriptors.
    writers: Arc<WriterLock>,
}

#[pin_data]
struct WriterLock {
    #[pin]
    lock: SpinLockIrq<()>,
}

impl<S: Stores> CdSlot<S> {
    fn slot(&self) -> Slot<'_, S> {
        Slot::new(&self.leaf, self.offset, &self.stores)
    }

    /// The descriptor as it stands.
    pub fn read(&self) -> Cd {
        Cd::from_words(self.slot().read())
    }

    /// Replaces the descriptor by what `target` makes of it; `None` leaves it. `sync` as for
    /// [`entry::write`]. Any context.
    ///
    /// # Errors
    ///
    /// What `sync` returned.
    pub(crate) fn update(
        &self,
        target: impl FnOnce(Cd) -> Option<Cd>,
        sync: impl FnMut() -> Result,
    ) -> Result {
        let _writer = self.writers.lock.lock();

        match target(self.read()) {
            Some(cd) => entry::write::<CdEntry>(&self.slot(), &cd.words(), sync),
            None => Ok(()),
        }
    }
}

enum Levels {
    Linear(Arc<PhysPages>),
    Two {
        l1: PhysPages,
        leaves: KVVec<Option<Arc<PhysPages>>>,
    },
}

/// The context descriptors of one device.
#[pin_data]
pub struct CdTable<S = Plain> {
    ssid_bits: u8,
    phys: u64,
    stores: S,
    #[pin]
    levels: Mutex<Levels>,
    writers: Arc<WriterLock>,
}

impl CdTable {
    /// Makes a table for SubstreamIDs of `ssid_bits` bits, all invalid. May sleep.
    ///
    /// # Errors
    ///
    /// `EINVAL` for more than 20 bits, or none; `ENOMEM`.
    pub fn new(ssid_bits: u8) -> Result<impl PinInit<Self>> {
        Self::with_stores(ssid_bits, Plain)
    }
}

impl<S: Stores + Clone> CdTable<S> {
    /// As [`CdTable::new`]; `stores` makes all changes.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn with_stores(ssid_bits: u8, stores: S) -> Result<impl PinInit<Self>> {
        let (phys, levels) = match ssid_bits {
            1..=LINEAR_MAX => {
                let table = PhysPages::alloc(Cd::SIZE << ssid_bits)?;
                (table.phys(), Levels::Linear(Arc::new(table, GFP_KERNEL)?))
            }
            11..=20 => {
                let descs = 1 << (ssid_bits - cd::split(ste::S1FMT_64K_L2));
                let l1 = PhysPages::alloc(descs * size_of::<u64>())?;
                let mut leaves = KVVec::with_capacity(descs, GFP_KERNEL)?;
                for _ in 0..descs {
                    leaves.push(None, GFP_KERNEL)?;
                }
                (l1.phys(), Levels::Two { l1, leaves })
            }
            _ => return Err(EINVAL),
        };
        let writers = Arc::pin_init(
            pin_init!(WriterLock {
                lock <- new_spinlock_irq!((), "mock_smmu_cd"),
            }),
            GFP_KERNEL,
        )?;
        Ok(pin_init!(Self {
            ssid_bits,
            phys,
            stores,
            levels <- new_mutex!(levels, "mock_smmu_cd_table"),
            writers,
        }))
    }

    /// Bits of a SubstreamID.
    pub fn ssid_bits(&self) -> u8 {
        self.ssid_bits
    }

    /// Physical address of the table, or of its first level.
    pub fn phys(&self) -> u64 {
        self.phys
    }

    /// [`ste::Ste::s1_fmt`] of the table.
    pub fn format(&self) -> u8 {
        if self.ssid_bits <= LINEAR_MAX {
            ste::S1FMT_LINEAR
        } else {
            ste::S1FMT_64K_L2
        }
    }

    /// The place of `ssid`'s descriptor, if there is one. May sleep.
    pub fn find(&self, ssid: u32) -> Option<CdSlot<S>> {
        if u64::from(ssid) >> self.ssid_bits != 0 {
            return None;
        }
        let (leaf, index) = match &*self.levels.lock() {
            Levels::Linear(table) => (table.clone(), ssid as usize),
            Levels::Two { leaves, .. } => {
                let (first, second) = indexes(ssid);
                (leaves.get(first)?.clone()?, second)
            }
        };
        Some(CdSlot {
            leaf,
            offset: index * Cd::SIZE,
            stores: self.stores.clone(),
            writers: self.writers.clone(),
        })
    }

    /// The place of `ssid`'s descriptor; makes it if need be.
    ///
    /// `sync_l1` must make the hardware forget the first-level descriptor of `ssid`. May sleep.
    ///
    /// # Errors
    ///
    /// `EINVAL` if `ssid` is too large; `ENOMEM`; what `sync_l1` returned.
    pub fn get(&self, ssid: u32, sync_l1: impl FnOnce() -> Result) -> Result<CdSlot<S>> {
        if u64::from(ssid) >> self.ssid_bits != 0 {
            return Err(EINVAL);
        }
        if let Levels::Two { l1, leaves } = &mut *self.levels.lock() {
            let (first, _) = indexes(ssid);
            let leaf = leaves.get_mut(first).ok_or(EINVAL)?;
            if leaf.is_none() {
                let bytes = Cd::SIZE << cd::split(ste::S1FMT_64K_L2);
                let memory = Arc::new(PhysPages::alloc(bytes)?, GFP_KERNEL)?;
                let desc = L1CdDesc::default().with_v(true).with_l2_ptr(memory.phys());
                self.stores.store(l1, first * size_of::<u64>(), desc.raw());
                *leaf = Some(memory);
                sync_l1()?;
            }
        }
        self.find(ssid).ok_or(EINVAL)
    }
}

/// First- and second-level index of a SubstreamID.
fn indexes(ssid: u32) -> (usize, usize) {
    let split = cd::split(ste::S1FMT_64K_L2);
    (
        (ssid >> split) as usize,
        (ssid & ((1 << split) - 1)) as usize,
    )
}

#[kunit_tests(smmu_driver_cd_table)]
mod tests {
    use super::*;

    fn table(ssid_bits: u8) -> Result<Pin<KBox<CdTable>>> {
        KBox::pin_init(CdTable::new(ssid_bits)?, GFP_KERNEL)
    }

    #[test]
    fn linear() -> Result {
        let table = table(8)?;
        assert_eq!(table.format(), ste::S1FMT_LINEAR);
        // All descriptors are there from the start: the first level never changes.
        let slot = table.get(255, || Err(EIO))?;
        assert_eq!(slot.offset, 255 * 64);
        assert!(!slot.read().v());
        assert!(table.find(256).is_none());
        assert_eq!(table.get(256, || Ok(())).err(), Some(EINVAL));
        Ok(())
    }

    #[test]
    fn two_level() -> Result {
        let table = table(16)?;
        assert_eq!(table.format(), ste::S1FMT_64K_L2);
        assert!(table.find(0x0c05).is_none());
        let mut syncs = 0;
        let slot = table.get(0x0c05, || {
            syncs += 1;
            Ok(())
        })?;
        assert_eq!(slot.offset, 5 * 64);
        // The leaf is there now, also for its neighbours.
        table.get(0x0fff, || Err(EIO))?;
        assert_eq!(syncs, 1);
        let l1: [u64; 1] = match &*table.levels.lock() {
            Levels::Two { l1, .. } => super::super::read_entry(l1, 3 * 8),
            Levels::Linear(_) => [0],
        };
        let desc = L1CdDesc::from_raw(l1[0]);
        assert!(desc.v());
        assert_eq!(desc.l2_ptr(), slot.leaf.phys());
        assert!(table.find(0x0400).is_none());
        assert!(table.find(0x1_0000).is_none());
        Ok(())
    }

    #[test]
    fn sizes() {
        assert_eq!(table(0).err(), Some(EINVAL));
        assert_eq!(table(21).err(), Some(EINVAL));
        assert!(table(10).is_ok_and(|t| t.format() == ste::S1FMT_LINEAR));
        assert!(table(11).is_ok_and(|t| t.format() == ste::S1FMT_64K_L2));
        assert!(table(20).is_ok());
    }

    #[test]
    fn update_of_nothing() -> Result {
        let table = table(4)?;
        let slot = table.get(1, || Ok(()))?;
        slot.update(|_| None, || Err(EIO))?;
        slot.update(|cd| Some(cd.with_asid(7).with_v(true)), || Ok(()))?;
        assert_eq!(slot.read().asid(), 7);
        Ok(())
    }
}
