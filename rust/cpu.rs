// SPDX-License-Identifier: GPL-2.0

//! What the CPUs' address translation looks like (arm64), for an IOMMU that shares page tables.

use crate::bindings;
use kernel::mm::MmWithUser;

/// Physical address of the root of a process's page table.
///
/// It stays that as long as the `mm_struct` exists, also after the process lost its pages.
pub fn page_table_root(mm: &MmWithUser) -> u64 {
    // SAFETY: `mm` is live, and so is its top-level table.
    unsafe { bindings::sva_pgd_phys(mm.as_raw()) }
}

/// `ID_AA64MMFR0_EL1.PARange`: the encoded physical address size that all CPUs have.
pub fn pa_range() -> u8 {
    // SAFETY: Reads a sanitised copy of an ID register.
    // CAST: The field has 4 bits.
    unsafe { bindings::sva_cpu_parange() as u8 }
}

/// Bits of a virtual address of user space.
pub fn va_bits() -> u8 {
    // SAFETY: Reads a constant, or a variable set at boot.
    // CAST: At most 52.
    unsafe { bindings::sva_cpu_va_bits() as u8 }
}

/// `MAIR_EL1`, the memory attributes that page tables refer to.
pub fn mair() -> u64 {
    // SAFETY: Reads a system register.
    unsafe { bindings::sva_cpu_mair() }
}

/// Whether the CPUs update the access flags of table descriptors, so that the kernel relies on them.
pub fn table_access_flags() -> bool {
    // SAFETY: Reads a capability, which is settled before modules are loaded.
    unsafe { bindings::sva_cpu_haft() }
}

/// Whether the kernel changes the size of mappings without invalidating the old ones first.
pub fn sizes_change_in_use() -> bool {
    // SAFETY: As for `table_access_flags`.
    unsafe { bindings::sva_cpu_bbml3() }
}

/// Whether processes may have shadow stacks (GCS). Their pages are in the page tables by permissions
/// that an index stands for; to who does not look these up, they are memory to write.
pub fn shadow_stacks() -> bool {
    // SAFETY: As for `table_access_flags`.
    unsafe { bindings::sva_cpu_gcs() }
}

/// Sends an event to the CPUs that wait for one (`sev`). Any context.
pub fn send_event() {
    // SAFETY: Only wakes CPUs, which look again at what they wait for.
    unsafe { bindings::sva_sev() }
}

/// The processor with the highest number. Any context; it may go offline.
pub fn last() -> u32 {
    // SAFETY: Reads a mask.
    unsafe { bindings::sva_last_cpu() }
}
