// SPDX-License-Identifier: GPL-2.0

//! What an instance can do: its configuration, and the ID registers that tell it (SMMUv3, 6.3).

use kernel::prelude::*;
use kernel_ext::cpu;

use crate::fmt::regs::{
    self,
    Aidr,
    Cr0,
    Idr0,
    Idr1,
    Idr3,
    Idr5,
    IrqCtrl, //
};

use super::registers::Registers;

/// What an instance can do. It shows in the ID registers.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Bits of a StreamID, at most 32.
    pub sid_bits: u8,
    /// Bits of a SubstreamID, at most 20.
    pub ssid_bits: u8,
    /// log2 of the largest command queue, at most 19.
    pub cmdq_bits: u8,
    /// log2 of the largest event queue, at most 19.
    pub evtq_bits: u8,
    /// log2 of the largest page request queue, at most 19.
    pub priq_bits: u8,
    /// Output address size, as [`crate::fmt::regs::Idr5::oas`].
    pub oas: u8,
    /// 16 KiB granule.
    pub gran16k: bool,
    /// 64 KiB granule.
    pub gran64k: bool,
    /// Flag updates, as [`crate::fmt::regs::Idr0::httu`].
    pub httu: u8,
    /// ATS.
    pub ats: bool,
    /// PRI.
    pub pri: bool,
    /// Range invalidation.
    pub ril: bool,
    /// Automatic responses to page requests carry the PASID.
    pub pps: bool,
    /// Interrupts by messages.
    pub msi: bool,
    /// A completed SYNC can send an event to waiting CPUs.
    pub sev: bool,
    /// Merge equal events of streams that allow it, as hardware may.
    pub merge_events: bool,
    /// ASIDs of 16 bits; else of 8.
    pub asid16: bool,
    /// Terminated transactions always abort, as [`crate::fmt::regs::Idr0::term_model`].
    pub term_model: bool,
    /// Whether faults stall, as [`crate::fmt::regs::Idr0::stall_model`].
    pub stall_model: u8,
    /// Most transactions that stall at once; of no meaning if none can.
    pub stall_max: u16,
    /// Tell software of devices' hints at pages that they will need, as hardware may.
    pub page_hints: bool,
    /// Cache configuration that is invalid too, as hardware may.
    pub cache_invalid: bool,
    /// Cache tables of the upper levels too, and forget no more than an invalidation says, as
    /// hardware may.
    pub walk_cache: bool,
    /// Drop a random entry of each cache in one of so many look-ups; 0 is never.
    pub evict_one_in: u32,
    /// Begin of the sequence of such random choices.
    pub evict_seed: u64,
    /// Look for stale translations and configuration at each use, see [`super::StrictRecord`].
    pub strict: bool,
}

/// Hardware with everything that this machine's CPUs can address.
pub fn default_config() -> Config {
    Config {
        oas: cpu::pa_range(),
        httu: if cpu::table_access_flags() { 3 } else { 2 },
        ..Config::default()
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            sid_bits: 16,
            ssid_bits: 20,
            cmdq_bits: 10,
            evtq_bits: 8,
            priq_bits: 9,
            oas: 5,
            gran16k: true,
            gran64k: true,
            httu: 2,
            ats: true,
            pri: true,
            ril: true,
            pps: false,
            msi: false,
            sev: false,
            merge_events: false,
            asid16: true,
            term_model: false,
            stall_model: regs::STALL_BOTH,
            stall_max: 64,
            page_hints: false,
            cache_invalid: true,
            walk_cache: false,
            evict_one_in: 0,
            evict_seed: 1,
            strict: false,
        }
    }
}

impl Config {
    /// Whether virtual addresses of 52 bits are supported, with the 64 KiB granule.
    pub(super) fn va52(&self) -> bool {
        self.gran64k && self.oas == 6
    }

    /// The version of the architecture, SMMUv3.x. From 3.2 on range invalidation is mandatory; an
    /// earlier one may have other features of the next. (SMMUv3, 2.3, 2.4 and 6.3.4.)
    fn minor(&self) -> u8 {
        if self.ril {
            2
        } else {
            1
        }
    }

    /// Bits of an output address.
    pub(super) fn oas_bits(&self) -> u32 {
        regs::address_bits(self.oas)
    }

    /// A physical address that software gave, without the bits that there are not. (SMMUv3, 3.4.3.)
    pub(super) fn truncate(&self, address: u64) -> u64 {
        address & ((1 << self.oas_bits()) - 1)
    }

    /// Whether a physical address can be put out.
    pub(super) fn reaches(&self, address: u64) -> bool {
        address >> self.oas_bits() == 0
    }

    /// The enables that there are.
    pub(super) fn cr0(&self) -> Cr0 {
        Cr0::default()
            .with_smmuen(true)
            .with_priqen(self.pri)
            .with_evtqen(true)
            .with_cmdqen(true)
            .with_atschk(self.ats)
    }

    /// The interrupts that there are.
    pub(super) fn irq_ctrl(&self) -> IrqCtrl {
        IrqCtrl::default()
            .with_gerror(true)
            .with_priq(self.pri)
            .with_evtq(true)
    }

    /// Whether transactions can stall.
    pub(super) fn stalls(&self) -> bool {
        self.stall_model != regs::STALL_NONE
    }

    /// Most transactions that stall at once.
    pub(super) fn stall_limit(&self) -> u16 {
        if self.stalls() {
            self.stall_max
        } else {
            0
        }
    }

    pub(super) fn check(&self) -> Result {
        let queues = [self.cmdq_bits, self.evtq_bits, self.priq_bits];
        let bad = self.sid_bits > 32
            || self.ssid_bits > 20
            || queues.iter().any(|bits| *bits > 19)
            || self.oas > 6
            || self.httu > 3
            || self.stall_model > regs::STALL_ONLY
            || (self.stalls() && self.stall_max == 0)
            || (self.pri && !self.ats);
        if bad {
            return Err(EINVAL);
        }
        Ok(())
    }

    /// Writes the ID registers.
    pub(super) fn identify(&self, regs: &mut Registers) {
        let idr0 = Idr0::default()
            .with_s1p(true)
            .with_ttf(2)
            .with_cohacc(true)
            .with_httu(self.httu)
            .with_ats(self.ats)
            .with_asid16(self.asid16)
            .with_msi(self.msi)
            .with_sev(self.sev)
            .with_pri(self.pri)
            .with_vmid16(true)
            .with_cd2l(true)
            .with_ttendian(2)
            .with_stall_model(self.stall_model)
            .with_term_model(self.term_model)
            .with_st_level(1);
        let idr1 = Idr1::default()
            .with_sidsize(self.sid_bits)
            .with_ssidsize(self.ssid_bits)
            .with_cmdqs(self.cmdq_bits)
            .with_evtqs(self.evtq_bits)
            .with_priqs(self.priq_bits);
        let idr3 = Idr3::default()
            .with_had(true)
            .with_pps(self.pps)
            .with_fwb(self.minor() >= 2)
            .with_ril(self.ril)
            .with_bbm(2);
        let idr5 = Idr5::default()
            .with_oas(self.oas)
            .with_gran4k(true)
            .with_gran16k(self.gran16k)
            .with_gran64k(self.gran64k)
            .with_vax(u8::from(self.va52()))
            .with_stall_max(self.stall_limit());
        let aidr = Aidr::default().with_minor(self.minor());
        regs.write32(regs::IDR0, idr0.raw());
        regs.write32(regs::IDR1, idr1.raw());
        regs.write32(regs::IDR3, idr3.raw());
        regs.write32(regs::IDR5, idr5.raw());
        regs.write32(regs::AIDR, aidr.raw());
    }
}
