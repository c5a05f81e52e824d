// SPDX-License-Identifier: GPL-2.0
/* Mappings that a process must not use. */

#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/sched.h>

/*
 * Nobody can access, change, unmap or inherit the mapping. It counts as no
 * locked memory, even if the process locks whatever it maps.
 */
void rust_helper_sva_carve_flags(struct vm_area_desc *desc)
{
	vma_flags_clear(&desc->vma_flags, VMA_MAYREAD_BIT, VMA_MAYWRITE_BIT, VMA_MAYEXEC_BIT,
			VMA_LOCKED_BIT, VMA_LOCKONFAULT_BIT);
	vma_desc_set_flags(desc, VMA_SEALED_BIT, VMA_DONTEXPAND_BIT, VMA_DONTCOPY_BIT,
			   VMA_DONTDUMP_BIT);
}

/* So that the mapping at @addr can be unmapped. */
void rust_helper_sva_unseal(struct mm_struct *mm, unsigned long addr)
{
	struct vm_area_struct *vma;

	mmap_write_lock(mm);
	vma = vma_lookup(mm, addr);
	if (vma)
		vm_flags_clear(vma, VM_SEALED);
	mmap_write_unlock(mm);
}

/*
 * Fault injection: which allocation of the current task, counted from now on, is to
 * fail; 0 is none. A worker takes it over from the task that it works for.
 */
u32 rust_helper_sva_take_fail_nth(void)
{
	u32 nth = 0;

#ifdef CONFIG_FAULT_INJECTION
	nth = READ_ONCE(current->fail_nth);
	WRITE_ONCE(current->fail_nth, 0);
#endif
	return nth;
}

void rust_helper_sva_set_fail_nth(u32 nth)
{
#ifdef CONFIG_FAULT_INJECTION
	WRITE_ONCE(current->fail_nth, nth);
#endif
}
