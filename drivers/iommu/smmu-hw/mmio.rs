// SPDX-License-Identifier: GPL-2.0

//! The register file: memory that the driver half writes and the hardware half looks at.
//!
//! No register of SMMUv3 has a side effect on reads, so plain memory will do. A side effect on
//! writes comes by the optional doorbell, in the writer's context, or by polling.

use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Release, //
        },
        new_spinlock_irq,
        Arc,
        SpinLockIrq, //
    }, //
};

use kernel_ext::phys::{
    IoPages,
    PhysPages,
    PhysWindow, //
};

use crate::fmt::regs;

/// What a write of the driver half rings.
pub trait Doorbell: Send + Sync {
    /// The register at `offset` was written. Any context; must not sleep.
    fn ring(&self, offset: usize);
}

/// Where registers are.
enum Memory {
    /// In memory of our own.
    Own(PhysPages),
    /// In memory of which firmware says that registers are there.
    Mapped(IoPages),
}

impl Memory {
    fn window(&self) -> PhysWindow<'_> {
        match self {
            Self::Own(pages) => pages.window(),
            Self::Mapped(pages) => pages.window(),
        }
    }
}

/// The registers of one SMMU.
///
/// An offset outside the file or not aligned is a bug of the caller: reads give 0, writes are
/// dropped, and a warning is printed once.
#[pin_data]
pub struct RegisterFile {
    memory: Memory,
    #[pin]
    doorbell: SpinLockIrq<Option<Arc<dyn Doorbell>>>,
}

impl RegisterFile {
    /// Makes a register file of zeros. May sleep.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`].
    pub fn new() -> Result<Arc<Self>> {
        Self::over(Memory::Own(PhysPages::alloc(regs::SIZE)?))
    }

    /// Takes the memory of firmware's registers for one. It is polled: who writes to it rings no
    /// doorbell. May sleep.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`].
    pub fn mapped(memory: IoPages) -> Result<Arc<Self>> {
        let regs = Self::over(Memory::Mapped(memory))?;

        // Nobody knows what was there.
        for offset in (0..regs::SIZE).step_by(8) {
            regs.hw_write64(offset, 0);
        }
        Ok(regs)
    }

    fn over(memory: Memory) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                memory,
                doorbell <- new_spinlock_irq!(None, "mock_smmu_doorbell"),
            }),
            GFP_KERNEL,
        )
    }

    /// For tests: where the registers are in memory, if that is our own.
    #[cfg(CONFIG_KUNIT = "y")]
    pub fn phys(&self) -> Option<u64> {
        match &self.memory {
            Memory::Own(pages) => Some(pages.phys()),
            Memory::Mapped(_) => None,
        }
    }

    /// Has every later driver-side write ring `doorbell`.
    ///
    /// A doorbell that owns this register file must be cleared in the end, or neither is ever
    /// freed. May be called in any context.
    pub fn set_doorbell(&self, doorbell: Arc<dyn Doorbell>) {
        let old = self.doorbell.lock().replace(doorbell);
        drop(old);
    }

    /// Disconnects the doorbell. A ring on another CPU may still be under way.
    pub fn clear_doorbell(&self) {
        let old = self.doorbell.lock().take();
        drop(old);
    }

    fn ring(&self, offset: usize) {
        // Cloned, so that the doorbell rings without our lock: it takes locks of its own.
        let doorbell = self.doorbell.lock().clone();
        if let Some(doorbell) = doorbell {
            doorbell.ring(offset);
        }
    }

    /// Reads a 32-bit register; what was written before it is seen by what follows.
    pub fn read32(&self, offset: usize) -> u32 {
        match self.memory.window().atomic32(offset) {
            Ok(word) => word.load(Acquire),
            Err(_) => bad_offset(offset),
        }
    }

    /// Reads a 64-bit register in one piece, ordered as [`Self::read32`].
    pub fn read64(&self, offset: usize) -> u64 {
        match self.memory.window().atomic64(offset) {
            Ok(word) => word.load(Acquire),
            Err(_) => u64::from(bad_offset(offset)),
        }
    }

    /// Writes a 32-bit register, after all writes before, and rings the doorbell.
    pub fn write32(&self, offset: usize, value: u32) {
        self.hw_write32(offset, value);
        self.ring(offset);
    }

    /// Writes a 64-bit register in one piece, after all writes before, and rings the doorbell.
    pub fn write64(&self, offset: usize, value: u64) {
        self.hw_write64(offset, value);
        self.ring(offset);
    }

    /// Hardware side: writes a 32-bit register silently, after all writes before.
    pub fn hw_write32(&self, offset: usize, value: u32) {
        match self.memory.window().atomic32(offset) {
            Ok(word) => word.store(value, Release),
            Err(_) => drop(bad_offset(offset)),
        }
    }

    /// Hardware side: writes a 64-bit register silently, in one piece, after all writes before.
    pub fn hw_write64(&self, offset: usize, value: u64) {
        match self.memory.window().atomic64(offset) {
            Ok(word) => word.store(value, Release),
            Err(_) => drop(bad_offset(offset)),
        }
    }
}

fn bad_offset(offset: usize) -> u32 {
    kernel::pr_warn_once!("no register at offset {offset:#x}\n");
    0
}

#[kunit_tests(smmu_mmio)]
mod tests {
    use super::*;
    use kernel::sync::atomic::{
        Atomic,
        Relaxed, //
    };

    struct Bell(Atomic<usize>);

    impl Doorbell for Bell {
        fn ring(&self, offset: usize) {
            self.0.store(offset, Relaxed);
        }
    }

    #[test]
    fn widths() -> Result {
        let regs = RegisterFile::new()?;
        regs.write64(regs::CMDQ_BASE, 0x1122_3344_5566_7788);
        assert_eq!(regs.read32(regs::CMDQ_BASE), 0x5566_7788);
        assert_eq!(regs.read32(regs::CMDQ_BASE + 4), 0x1122_3344);
        regs.write32(regs::SIZE - 4, 7);
        assert_eq!(regs.read64(regs::SIZE - 8), 7 << 32);
        Ok(())
    }

    #[test]
    fn doorbell_rings_for_the_driver_only() -> Result {
        let regs = RegisterFile::new()?;
        let bell = Arc::new(Bell(Atomic::new(0)), GFP_KERNEL)?;
        regs.write32(regs::CR0, 1);
        regs.set_doorbell(bell.clone());
        assert_eq!(bell.0.load(Relaxed), 0);
        regs.write32(regs::CMDQ_PROD, 1);
        assert_eq!(bell.0.load(Relaxed), regs::CMDQ_PROD);
        regs.hw_write32(regs::CMDQ_CONS, 1);
        regs.hw_write64(regs::STRTAB_BASE, 1);
        assert_eq!(bell.0.load(Relaxed), regs::CMDQ_PROD);
        regs.clear_doorbell();
        regs.write32(regs::CR0, 0);
        assert_eq!(bell.0.load(Relaxed), regs::CMDQ_PROD);
        Ok(())
    }
}
