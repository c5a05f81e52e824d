// SPDX-License-Identifier: GPL-2.0

//! The registers as the hardware has them: some are its own, and it does not take them from the
//! register file, into which software may write anything (SMMUv3, 6.3).

use core::ops::Deref;

use kernel::sync::Arc;

use crate::{
    fmt::regs::{
        self,
        Cr0, //
    },
    mmio::RegisterFile, //
};

/// The registers that software cannot write, or not always.
const OWN: [usize; 14] = [
    regs::IDR0,
    regs::IDR1,
    regs::IDR2,
    regs::IDR3,
    regs::IDR4,
    regs::IDR5,
    regs::IIDR,
    regs::AIDR,
    regs::CR0ACK,
    regs::IRQ_CTRLACK,
    regs::GERROR,
    regs::CMDQ_CONS,
    regs::EVTQ_PROD,
    regs::PRIQ_PROD,
];

/// The place of a register in [`OWN`]; of a constant it is known to the compiler.
#[inline(always)]
fn own(offset: usize) -> Option<usize> {
    OWN.iter().position(|&own| own == offset)
}

/// The register file, and what the hardware's own registers really hold.
pub(super) struct Registers {
    file: Arc<RegisterFile>,
    own: [u32; OWN.len()],
}

impl Registers {
    /// All own registers are zero.
    pub(super) fn new(file: Arc<RegisterFile>) -> Self {
        Self {
            file,
            own: [0; OWN.len()],
        }
    }

    /// Reads a register.
    pub(super) fn read32(&self, offset: usize) -> u32 {
        own(offset).map_or_else(|| self.file.read32(offset), |place| self.own[place])
    }

    /// Writes a register, after all writes before.
    pub(super) fn write32(&mut self, offset: usize, value: u32) {
        if let Some(place) = own(offset) {
            self.own[place] = value;
        }
        self.file.hw_write32(offset, value);
    }

    /// Software may have written to `offset`: takes that over if it could, else puts back what was
    /// there.
    pub(super) fn settle(&mut self, offset: usize) {
        let Some(place) = own(offset) else {
            return;
        };
        let (written, real) = (self.file.read32(offset), self.own[place]);
        if written == real {
            return;
        }
        let cr0 = Cr0::from_raw(self.read32(regs::CR0ACK));
        // A queue that is off may be set up.
        let writable = match offset {
            regs::CMDQ_CONS => !cr0.cmdqen(),
            regs::EVTQ_PROD => !cr0.evtqen(),
            regs::PRIQ_PROD => !cr0.priqen(),
            _ => false,
        };
        if writable {
            self.own[place] = written;
        } else {
            self.file.hw_write32(offset, real);
        }
    }

    /// As [`Self::settle`], for all registers.
    pub(super) fn settle_all(&mut self) {
        OWN.iter().for_each(|&offset| self.settle(offset));
    }
}

/// For what is software's to write.
impl Deref for Registers {
    type Target = RegisterFile;

    fn deref(&self) -> &RegisterFile {
        &self.file
    }
}
