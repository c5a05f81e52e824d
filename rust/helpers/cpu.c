// SPDX-License-Identifier: GPL-2.0
/* What the CPUs are like, and their instructions. */

#include <linux/cpufeature.h>
#include <linux/cpumask.h>
#include <linux/crc32.h>
#include <linux/io.h>
#include <linux/mm_types.h>
#include <linux/sched.h>

#include <asm/barrier.h>
#include <asm/memory.h>
#include <asm/sysreg.h>

u32 rust_helper_sva_crc32_le(u32 crc, const void *data, size_t len)
{
	return crc32_le(crc, data, len);
}

bool rust_helper_sva_cpu_online(u32 cpu)
{
	return cpu < nr_cpu_ids && cpu_online(cpu);
}

/* The processor with the highest number. */
u32 rust_helper_sva_last_cpu(void)
{
	return cpumask_last(cpu_online_mask);
}

void rust_helper_sva_cond_resched(void)
{
	cond_resched();
}

void rust_helper_sva_sev(void)
{
	sev();
}

/* What an SMMU needs to walk a process's page table as this machine's CPUs do. */
phys_addr_t rust_helper_sva_pgd_phys(struct mm_struct *mm)
{
	return virt_to_phys(mm->pgd);
}

u32 rust_helper_sva_cpu_parange(void)
{
	u64 mmfr0 = read_sanitised_ftr_reg(SYS_ID_AA64MMFR0_EL1);

	return cpuid_feature_extract_unsigned_field(mmfr0,
						    ID_AA64MMFR0_EL1_PARANGE_SHIFT);
}

u32 rust_helper_sva_cpu_va_bits(void)
{
	return vabits_actual;
}

u64 rust_helper_sva_cpu_mair(void)
{
	return read_sysreg(mair_el1);
}

bool rust_helper_sva_cpu_haft(void)
{
	return system_supports_haft();
}

bool rust_helper_sva_cpu_bbml3(void)
{
	return system_supports_bbml3();
}

bool rust_helper_sva_cpu_gcs(void)
{
	return system_supports_gcs();
}
