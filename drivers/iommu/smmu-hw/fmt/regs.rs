// SPDX-License-Identifier: GPL-2.0

//! Registers: offsets in the register file and the fields of each.
//!
//! The file has two pages of 64 KiB: page 0 holds all but the indexes of the event and page
//! request queues, which are in page 1.

use super::record;

/// [`Idr0::stall_model`]: a context descriptor says whether its faults stall.
pub const STALL_BOTH: u8 = 0;
/// [`Idr0::stall_model`]: faults terminate.
pub const STALL_NONE: u8 = 1;
/// [`Idr0::stall_model`]: faults stall.
pub const STALL_ONLY: u8 = 2;

/// Size of the register file in bytes.
pub const SIZE: usize = 0x2_0000;

/// Identification 0 to 5.
pub const IDR0: usize = 0x0;
/// See [`Idr1`].
pub const IDR1: usize = 0x4;
/// Nothing modelled here.
pub const IDR2: usize = 0x8;
/// See [`Idr3`].
pub const IDR3: usize = 0xc;
/// Nothing modelled here.
pub const IDR4: usize = 0x10;
/// See [`Idr5`].
pub const IDR5: usize = 0x14;
/// Implementer and product.
pub const IIDR: usize = 0x18;
/// Version of the architecture, see [`Aidr`].
pub const AIDR: usize = 0x1c;
/// Control 0, see [`Cr0`].
pub const CR0: usize = 0x20;
/// The hardware's answer to [`CR0`].
pub const CR0ACK: usize = 0x24;
/// Memory attributes of tables and queues, see [`Cr1`].
pub const CR1: usize = 0x28;
/// Control 2, see [`Cr2`].
pub const CR2: usize = 0x2c;
/// What happens to traffic while [`Cr0::smmuen`] is clear, see [`Gbpa`].
pub const GBPA: usize = 0x44;
/// Interrupt enables, see [`IrqCtrl`].
pub const IRQ_CTRL: usize = 0x50;
/// The hardware's answer to [`IRQ_CTRL`].
pub const IRQ_CTRLACK: usize = 0x54;
/// Global errors, toggled by the hardware, see [`Gerror`].
pub const GERROR: usize = 0x60;
/// Global errors, toggled by software to acknowledge.
pub const GERRORN: usize = 0x64;
/// Where a message tells of global errors, see [`MsiAddress`] (64 bits); its data follows.
pub const GERROR_IRQ_CFG0: usize = 0x68;
/// Stream table, see [`StrtabBase`] (64 bits).
pub const STRTAB_BASE: usize = 0x80;
/// Form of the stream table, see [`StrtabBaseCfg`].
pub const STRTAB_BASE_CFG: usize = 0x88;
/// Command queue, see [`QueueBase`] (64 bits).
pub const CMDQ_BASE: usize = 0x90;
/// Where software writes commands.
pub const CMDQ_PROD: usize = 0x98;
/// Where the hardware reads commands, and the error that stopped it, see [`CmdqCons`].
pub const CMDQ_CONS: usize = 0x9c;
/// Event queue (64 bits).
pub const EVTQ_BASE: usize = 0xa0;
/// Where the hardware writes events (page 1).
pub const EVTQ_PROD: usize = 0x1_00a8;
/// Where software reads events (page 1).
pub const EVTQ_CONS: usize = 0x1_00ac;
/// Where a message tells of events, see [`MsiAddress`] (64 bits); its data follows.
pub const EVTQ_IRQ_CFG0: usize = 0xb0;
/// Page request queue (64 bits).
pub const PRIQ_BASE: usize = 0xc0;
/// Where the hardware writes page requests (page 1).
pub const PRIQ_PROD: usize = 0x1_00c8;
/// Where software reads page requests (page 1).
pub const PRIQ_CONS: usize = 0x1_00cc;
/// Where a message tells of page requests, see [`MsiAddress`] (64 bits); its data follows.
pub const PRIQ_IRQ_CFG0: usize = 0xd0;
/// From an address of a message to its data.
pub const MSI_DATA: usize = 8;

record! {
    /// IDR0: what the implementation can do.
    pub struct Idr0(u32) {
        /// Stage 2 translation.
        0:0 s2p: bool;
        /// Stage 1 translation.
        1:1 s1p: bool;
        /// Translation table formats: 2 is AArch64 only.
        3:2 ttf: u8;
        /// Coherent access to tables and queues.
        4:4 cohacc: bool;
        /// Hardware update of flags: 0 none, 1 access, 2 access and dirty, 3 also of table
        /// descriptors.
        7:6 httu: u8;
        /// EL2 stream worlds.
        9:9 hyp: bool;
        /// PCIe ATS.
        10:10 ats: bool;
        /// 16-bit ASIDs.
        12:12 asid16: bool;
        /// Message-signalled interrupts.
        13:13 msi: bool;
        /// Events sent to waiting CPUs on a completed SYNC.
        14:14 sev: bool;
        /// PCIe PRI.
        16:16 pri: bool;
        /// 16-bit VMIDs.
        18:18 vmid16: bool;
        /// Two-level tables of context descriptors.
        19:19 cd2l: bool;
        /// Endianness of translation tables: 2 is little.
        22:21 ttendian: u8;
        /// One of the `STALL_*`.
        25:24 stall_model: u8;
        /// Terminated transactions can only be aborted (`Cd::a` must be set).
        26:26 term_model: bool;
        /// Stream table levels: 1 is linear and two-level.
        28:27 st_level: u8;
    }
}

record! {
    /// IDR1: sizes, each a power of two.
    pub struct Idr1(u32) {
        /// Bits of a StreamID.
        5:0 sidsize: u8;
        /// Bits of a SubstreamID.
        10:6 ssidsize: u8;
        /// Largest page request queue, log2 of entries.
        15:11 priqs: u8;
        /// Largest event queue, log2 of entries.
        20:16 evtqs: u8;
        /// Largest command queue, log2 of entries.
        25:21 cmdqs: u8;
        /// Stream table entries may override memory types (`Ste::sh_cfg` and more).
        27:27 attr_types_ovr: bool;
    }
}

record! {
    /// IDR3: later features.
    pub struct Idr3(u32) {
        /// Context descriptors may have the limits in table descriptors ignored (`Cd::had0`).
        2:2 had: bool;
        /// The SMMU's own responses to page requests carry the PASID, whatever `Ste::ppar` says.
        5:5 pps: bool;
        /// Stage 2 may force memory to be write-back.
        8:8 fwb: bool;
        /// Range invalidation.
        10:10 ril: bool;
        /// Break-before-make level.
        12:11 bbm: u8;
    }
}

record! {
    /// IDR5: addresses.
    pub struct Idr5(u32) {
        /// Output address size: 0 to 6 for 32, 36, 40, 42, 44, 48, 52 bits.
        2:0 oas: u8;
        /// 4 KiB granule.
        4:4 gran4k: bool;
        /// 16 KiB granule.
        5:5 gran16k: bool;
        /// 64 KiB granule.
        6:6 gran64k: bool;
        /// Virtual addresses: 1 is 52 bits with the 64 KiB granule.
        11:10 vax: u8;
        /// Most transactions that may stall at once.
        31:16 stall_max: u16;
    }
}

record! {
    /// AIDR: the version of the architecture.
    pub struct Aidr(u32) {
        /// SMMUv3.`minor`.
        3:0 minor: u8;
        /// 0 is SMMUv3.
        7:4 major: u8;
    }
}

record! {
    /// CR1: how the hardware accesses what lies in memory. Cacheability is 0 for none, 1 for
    /// write-back, 2 for write-through; shareability 2 for outer, 3 for inner.
    pub struct Cr1(u32) {
        /// Inner cacheability of queues.
        1:0 queue_ic: u8;
        /// Outer cacheability of queues.
        3:2 queue_oc: u8;
        /// Shareability of queues.
        5:4 queue_sh: u8;
        /// Inner cacheability of the stream table.
        7:6 table_ic: u8;
        /// Outer cacheability of the stream table.
        9:8 table_oc: u8;
        /// Shareability of the stream table.
        11:10 table_sh: u8;
    }
}

/// Whether accesses with these attributes see what CPUs have in their caches.
const fn coherent(inner: u8, outer: u8, share: u8) -> bool {
    matches!(inner, 1 | 2) && matches!(outer, 1 | 2) && share >= 2
}

impl Cr1 {
    /// Write-back and inner shareable throughout, as the memory of CPUs is.
    pub fn like_the_cpus() -> Self {
        Self::default()
            .with_queue_ic(1)
            .with_queue_oc(1)
            .with_queue_sh(3)
            .with_table_ic(1)
            .with_table_oc(1)
            .with_table_sh(3)
    }

    /// Whether accesses to queues see what CPUs have in their caches.
    pub fn coherent_queues(&self) -> bool {
        coherent(self.queue_ic(), self.queue_oc(), self.queue_sh())
    }

    /// Whether accesses to the stream table see what CPUs have in their caches.
    pub fn coherent_tables(&self) -> bool {
        coherent(self.table_ic(), self.table_oc(), self.table_sh())
    }
}

record! {
    /// CR0 and CR0ACK: enables.
    pub struct Cr0(u32) {
        /// Translation.
        0:0 smmuen: bool;
        /// Page request queue.
        1:1 priqen: bool;
        /// Event queue.
        2:2 evtqen: bool;
        /// Command queue.
        3:3 cmdqen: bool;
        /// Check the stream table entry of translated requests too.
        4:4 atschk: bool;
    }
}

record! {
    /// CR2.
    pub struct Cr2(u32) {
        /// EL2 host mode.
        0:0 e2h: bool;
        /// Record `C_BAD_STREAMID` events.
        1:1 recinvsid: bool;
        /// Private TLB maintenance: ignore broadcast invalidation.
        2:2 ptm: bool;
    }
}

record! {
    /// GBPA: traffic while translation is off.
    pub struct Gbpa(u32) {
        /// Abort it; else it passes.
        20:20 abort: bool;
        /// Set by software with a new value, cleared by the hardware when it has taken it.
        31:31 update: bool;
    }
}

record! {
    /// IRQ_CTRL and IRQ_CTRLACK.
    pub struct IrqCtrl(u32) {
        /// Global errors.
        0:0 gerror: bool;
        /// Page request queue.
        1:1 priq: bool;
        /// Event queue.
        2:2 evtq: bool;
    }
}

record! {
    /// GERROR and GERRORN: an error is active while its bits differ in the two.
    pub struct Gerror(u32) {
        /// A command could not be consumed.
        0:0 cmdq_err: bool;
        /// The event queue could not be written.
        2:2 evtq_abt_err: bool;
        /// The page request queue could not be written.
        3:3 priq_abt_err: bool;
        /// The message of a completed SYNC could not be written.
        4:4 msi_cmdq_abt_err: bool;
        /// The message of the event queue could not be written.
        5:5 msi_evtq_abt_err: bool;
        /// The message of the page request queue could not be written.
        6:6 msi_priq_abt_err: bool;
        /// The message of a global error could not be written.
        7:7 msi_gerror_abt_err: bool;
        /// Service failure mode.
        8:8 sfm_err: bool;
    }
}

record! {
    /// GERROR_IRQ_CFG0, EVTQ_IRQ_CFG0 and PRIQ_IRQ_CFG0.
    pub struct MsiAddress(u64) {
        /// Where the message goes; 0 for the interrupt line.
        51:2 address: addr;
    }
}

record! {
    /// STRTAB_BASE.
    pub struct StrtabBase(u64) {
        /// Physical address of the table.
        51:6 base: addr;
        /// Read-allocate hint.
        62:62 ra: bool;
    }
}

record! {
    /// STRTAB_BASE_CFG.
    pub struct StrtabBaseCfg(u32) {
        /// log2 of the number of streams.
        5:0 log2size: u8;
        /// Bits of the StreamID that a second-level table resolves: 6, 8 or 10.
        10:6 split: u8;
        /// 0 linear, 1 two-level.
        17:16 fmt: u8;
    }
}

record! {
    /// CMDQ_BASE, EVTQ_BASE and PRIQ_BASE.
    pub struct QueueBase(u64) {
        /// log2 of the number of entries.
        4:0 log2size: u8;
        /// Physical address of the first entry.
        51:5 base: addr;
        /// Read- or write-allocate hint.
        62:62 rwa: bool;
    }
}

record! {
    /// CMDQ_CONS.
    pub struct CmdqCons(u32) {
        /// Index and wrap bit.
        19:0 rd: u32;
        /// Why the command at `rd` was not consumed: a [`super::cmd::CommandError`], valid while
        /// [`Gerror::cmdq_err`] is active.
        30:24 err: u8;
    }
}

/// Bits of an output address for the codes of [`Idr5::oas`] and `Cd::ips`; a reserved code counts
/// as the largest.
pub const fn address_bits(code: u8) -> u32 {
    match code {
        0 => 32,
        1 => 36,
        2 => 40,
        3 => 42,
        4 => 44,
        5 => 48,
        _ => 52,
    }
}

#[kernel::prelude::kunit_tests(smmu_fmt_regs)]
mod tests {
    use super::*;

    #[test]
    fn attributes_of_accesses() {
        let cr1 = Cr1::like_the_cpus();
        assert_eq!(cr1.raw(), 0xd75);
        assert!(cr1.coherent_queues() && cr1.coherent_tables());
        assert!(cr1.with_queue_ic(2).with_queue_sh(2).coherent_queues());
        for bad in [0, 3] {
            assert!(!cr1.with_queue_ic(bad).coherent_queues());
            assert!(!cr1.with_table_oc(bad).coherent_tables());
        }
        for bad in [0, 1] {
            assert!(!cr1.with_table_sh(bad).coherent_tables());
        }
    }

    #[test]
    fn places_in_id_registers() {
        let idr3 = Idr3::default().with_had(true).with_pps(true).with_fwb(true);
        assert_eq!(idr3.raw(), 1 << 2 | 1 << 5 | 1 << 8);
        assert_eq!(Idr1::default().with_attr_types_ovr(true).raw(), 1 << 27);
        assert_eq!(Aidr::default().with_minor(2).raw(), 2);
    }
}
