// SPDX-License-Identifier: GPL-2.0

//! What the SMMU can do, as its ID registers say, and whether it can share this kernel's tables.

use crate::{
    fmt::{
        cd::{
            self,
            Cd, //
        },
        regs, //
    },
    mmio::RegisterFile, //
};
use kernel::{
    page::PAGE_SHIFT,
    prelude::*, //
};
use kernel_ext::{
    cpu,
    io_pgtable::{
        Geometry,
        Stage1, //
    }, //
};

/// The features that this driver uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// Bits of a StreamID.
    pub sid_bits: u8,
    /// Bits of a SubstreamID; 0 is none.
    pub ssid_bits: u8,
    /// log2 of the largest command queue.
    pub cmdq_bits: u8,
    /// log2 of the largest event queue.
    pub evtq_bits: u8,
    /// log2 of the largest page request queue.
    pub priq_bits: u8,
    /// Output address size, a code as in [`regs::Idr5::oas`].
    pub oas: u8,
    /// Hardware updates access flags.
    pub ha: bool,
    /// Hardware updates the dirty state.
    pub hd: bool,
    /// Hardware updates the access flags of table descriptors.
    pub haft: bool,
    /// Translations of different sizes for one address do no harm.
    pub any_size: bool,
    /// ATS.
    pub ats: bool,
    /// Page requests.
    pub pri: bool,
    /// Which faults stall: one of [`regs`]'s `STALL_*`.
    pub stall_model: u8,
    /// Range invalidation.
    pub ranges: bool,
    /// 16-bit ASIDs.
    pub asid16: bool,
    /// The translation granules, each with its address bits set: 12, 14, 16.
    pub granules: u64,
    /// 52-bit virtual addresses with the 64 KiB granule.
    pub va52: bool,
    /// Stream table entries say what shareability bypassed accesses have.
    pub attr_types_ovr: bool,
}

/// How the kernel and its CPUs use the page tables of processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedTables {
    /// log2 of the page size.
    pub page_shift: u32,
    /// Bits of a virtual address.
    pub va_bits: u8,
    /// Size of a physical address, a code as in [`regs::Idr5::oas`].
    pub pa_range: u8,
    /// Access flags of table descriptors tell something.
    pub table_access_flags: bool,
    /// Mappings change their size without an invalidation in between.
    pub sizes_change_in_use: bool,
    /// Shadow stacks are told from writable memory only by permission indirection.
    pub shadow_stacks: bool,
}

impl SharedTables {
    /// Those of the running kernel.
    pub fn here() -> Self {
        Self {
            // CAST: At most 16.
            page_shift: PAGE_SHIFT as u32,
            va_bits: cpu::va_bits(),
            pa_range: cpu::pa_range(),
            table_access_flags: cpu::table_access_flags(),
            sizes_change_in_use: cpu::sizes_change_in_use(),
            shadow_stacks: cpu::shadow_stacks(),
        }
    }
}

impl Features {
    /// Reads the ID registers.
    ///
    /// # Errors
    ///
    /// `ENODEV` for an SMMU without stage 1, AArch64 tables, coherent accesses or two-level tables.
    pub fn read(regs: &RegisterFile) -> Result<Self> {
        let idr0 = regs::Idr0::from_raw(regs.read32(regs::IDR0));
        let idr1 = regs::Idr1::from_raw(regs.read32(regs::IDR1));
        let idr3 = regs::Idr3::from_raw(regs.read32(regs::IDR3));
        let idr5 = regs::Idr5::from_raw(regs.read32(regs::IDR5));

        if !idr0.s1p() || idr0.ttf() & 2 == 0 || !idr0.cohacc() || !idr0.cd2l() {
            return Err(ENODEV);
        }
        if idr1.sidsize() > 8 && idr0.st_level() == 0 {
            return Err(ENODEV);
        }
        let granule = |has: bool, shift: u32| u64::from(has) << shift;
        Ok(Self {
            sid_bits: idr1.sidsize(),
            ssid_bits: idr1.ssidsize(),
            cmdq_bits: idr1.cmdqs(),
            evtq_bits: idr1.evtqs(),
            priq_bits: idr1.priqs(),
            oas: idr5.oas(),
            ha: idr0.httu() >= 1,
            hd: idr0.httu() >= 2,
            haft: idr0.httu() >= 3,
            any_size: idr3.bbm() == 2,
            ats: idr0.ats(),
            pri: idr0.pri() && idr0.ats(),
            stall_model: idr0.stall_model(),
            ranges: idr3.ril(),
            asid16: idr0.asid16(),
            granules: granule(idr5.gran4k(), 12)
                | granule(idr5.gran16k(), 14)
                | granule(idr5.gran64k(), 16),
            va52: idr5.vax() == 1,
            attr_types_ovr: idr1.attr_types_ovr(),
        })
    }

    /// What [`crate::fmt::ste::Ste::sh_cfg`] says of accesses that pass: as they come in, where that
    /// is for the entry to say. (SMMUv3, 5.2.)
    pub fn sh_cfg(&self) -> u8 {
        u8::from(self.attr_types_ovr)
    }

    /// Whether transactions can wait for a page inside the SMMU.
    pub fn stalls(&self) -> bool {
        matches!(self.stall_model, regs::STALL_BOTH | regs::STALL_ONLY)
    }

    /// Whether an SMMU with these features can walk such `tables`.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` if not. In particular, no SMMUv3 knows the format that 4 KiB and 16 KiB pages
    /// have with 52-bit virtual addresses (LPA2); and this one has no permission indirection, so it
    /// would let devices write to shadow stacks, and to the page of zeros that stands for one which
    /// was only read.
    pub fn can_share(&self, tables: &SharedTables) -> Result {
        let wide = tables.va_bits == 52 && tables.page_shift == 16 && self.va52;
        let va_fits = tables.va_bits <= 48 || wide;
        let granule = self.granules & (1 << tables.page_shift) != 0;
        let like_the_cpus = (self.haft || !tables.table_access_flags)
            && (self.any_size || !tables.sizes_change_in_use)
            && !tables.shadow_stacks;
        let faults = self.pri || self.stalls();
        if va_fits && granule && self.oas >= tables.pa_range && like_the_cpus && faults {
            Ok(())
        } else {
            Err(EOPNOTSUPP)
        }
    }

    /// A context descriptor that walks the page table at `ttb` as this machine's CPUs would.
    ///
    /// # Errors
    ///
    /// As for [`Self::can_share`].
    pub fn shared_cd(&self, ttb: u64, asid: u16) -> Result<Cd> {
        let tables = SharedTables::here();
        self.can_share(&tables)?;

        Ok(self
            .blocked_cd(asid)
            .with_epd0(false)
            .with_t0sz(64 - tables.va_bits)
            .with_tg0(match PAGE_SHIFT {
                12 => cd::TG0_4K,
                14 => cd::TG0_16K,
                _ => cd::TG0_64K,
            })
            // Walks are write-back cacheable and inner shareable, as the CPUs' are.
            .with_ir0(1)
            .with_or0(1)
            .with_sh0(3)
            // The CPUs ignore the top byte of user space's addresses.
            .with_tbi0(true)
            .with_ttb0(ttb))
    }

    /// The page table that a paging domain has: pages like the CPUs', and blocks of them.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` if the SMMU has no pages of that size.
    pub fn geometry(&self) -> Result<Geometry> {
        if self.granules & (1 << PAGE_SHIFT) == 0 {
            return Err(EOPNOTSUPP);
        }
        Ok(Geometry {
            page_sizes: match PAGE_SHIFT {
                12 => 1 << 12 | 1 << 21 | 1 << 30,
                14 => 1 << 14 | 1 << 25,
                _ => 1 << 16 | 1 << 29,
            },
            input_bits: 48,
            // 52 bits take another format with all granules but that of 64 KiB.
            output_bits: match PAGE_SHIFT {
                16 => regs::address_bits(self.oas),
                _ => regs::address_bits(self.oas).min(48),
            },
            dirty: false,
        })
    }

    /// A context descriptor that walks a page table which the kernel keeps for devices.
    pub fn paging_cd(&self, table: &Stage1, asid: u16) -> Cd {
        // Software sets access flags beforehand, and few ask which pages are dirty.
        self.blocked_cd(asid)
            .with_epd0(false)
            .with_ha(false)
            .with_hd(false)
            .with_haft(false)
            .with_t0sz(table.t0sz)
            .with_tg0(table.tg)
            .with_ir0(table.ir)
            .with_or0(table.or)
            .with_sh0(table.sh)
            .with_ips(table.ips)
            .with_ttb0(table.ttb)
            .with_mair(table.mair)
    }

    /// A valid context descriptor for `asid` under which every access faults.
    pub fn blocked_cd(&self, asid: u16) -> Cd {
        Cd::default()
            .with_v(true)
            .with_aa64(true)
            .with_epd0(true)
            .with_epd1(true)
            .with_endi(cfg!(target_endian = "big"))
            .with_ips(cpu::pa_range())
            .with_s(self.stall_model == regs::STALL_ONLY)
            .with_r(true)
            .with_a(true)
            .with_aset(true)
            .with_asid(asid)
            .with_ha(self.ha)
            .with_hd(self.hd)
            .with_haft(self.haft && cpu::table_access_flags())
            .with_mair(cpu::mair())
    }

    /// As [`Self::blocked_cd`], for an address space whose process is gone: its device may go on for
    /// long, so nobody is told of each access. What must stall is told of all the same.
    pub fn exited_cd(&self, asid: u16) -> Cd {
        self.blocked_cd(asid)
            .with_r(self.stall_model == regs::STALL_ONLY)
    }
}
