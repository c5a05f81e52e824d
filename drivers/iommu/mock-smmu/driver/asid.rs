// SPDX-License-Identifier: GPL-2.0

//! Address space identifiers: the SMMU's own, not the CPUs'.

use kernel::{
    id_pool::IdPool,
    new_spinlock_irq,
    prelude::*,
    sync::{
        Arc,
        SpinLockIrq, //
    }, //
};

/// The ASID of descriptors that sleep. No tables are ever walked under it, so that the TLB has nothing
/// for it.
pub const PARKED: u16 = 0;

/// The ASIDs of one SMMU; [`PARKED`] is never given out.
#[pin_data]
pub struct Asids {
    #[pin]
    pool: SpinLockIrq<IdPool>,
    limit: usize,
}

/// One ASID, given back when dropped.
///
/// Whoever drops it must have invalidated what the TLB holds for it. Any context.
pub struct Asid {
    asids: Arc<Asids>,
    value: u16,
}

impl Asids {
    /// All ASIDs of 8 or 16 bits. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new(wide: bool) -> Result<Arc<Self>> {
        let limit = if wide { 1 << 16 } else { 1 << 8 };
        let pool = IdPool::with_capacity(limit, GFP_KERNEL)?;
        Arc::pin_init(
            pin_init!(Self {
                pool <- new_spinlock_irq!(pool, "mock_smmu_asids"),
                limit,
            }),
            GFP_KERNEL,
        )
    }

    /// Takes an ASID that is not in use.
    ///
    /// # Errors
    ///
    /// `ENOSPC` if there is none.
    pub fn take(self: &Arc<Self>) -> Result<Asid> {
        let mut pool = self.pool.lock();
        let id = pool.find_unused_id(usize::from(PARKED) + 1).ok_or(ENOSPC)?;
        if id.as_usize() >= self.limit {
            return Err(ENOSPC);
        }
        Ok(Asid {
            asids: self.clone(),
            // CAST: Below the limit, which is at most 2^16.
            value: id.acquire() as u16,
        })
    }
}

impl Asid {
    /// Its number.
    pub fn value(&self) -> u16 {
        self.value
    }
}

impl Drop for Asid {
    fn drop(&mut self) {
        self.asids.pool.lock().release_id(usize::from(self.value));
    }
}

#[kunit_tests(smmu_driver_asid)]
mod tests {
    use super::*;

    #[test]
    fn asid_exhaustion() -> Result {
        let asids = Asids::new(false)?;
        let mut held = KVec::new();
        for expected in 1..256 {
            let asid = asids.take()?;
            assert_eq!(asid.value(), expected);
            held.push(asid, GFP_KERNEL)?;
        }
        assert_eq!(asids.take().err(), Some(ENOSPC));
        held.remove(99)?;
        assert_eq!(asids.take()?.value(), 100);
        Ok(())
    }
}
