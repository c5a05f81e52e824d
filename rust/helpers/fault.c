// SPDX-License-Identifier: GPL-2.0
/* Whether a page can be had without waiting. */

#include <linux/cpufeature.h>
#include <linux/iommu.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/mmzone.h>
#include <linux/page_counter.h>
#include <linux/pgtable.h>
#include <linux/userfaultfd_k.h>

#include "../bindings/page_state.h"

/*
 * Whether pages of @vma, which is locked, come from nowhere but memory: no file,
 * no userfaultfd.
 */
bool rust_helper_sva_vma_is_plain(struct vm_area_struct *vma)
{
	return vma_is_anonymous(vma) && !userfaultfd_armed(vma);
}

/*
 * Whether the process may do @perm (IOMMU_FAULT_PERM_*) in @vma, which is locked:
 * as the fault handler of the CPU has it. Protection keys are not asked: threads
 * have them, and a device is none.
 */
bool rust_helper_sva_vma_allows(struct vm_area_struct *vma, u32 perm)
{
	vm_flags_t flags = vma->vm_flags, readable = VM_READ | VM_WRITE;

	/* Only with enhanced PAN can there be memory to execute and not to read. */
	if (!alternative_has_cap_unlikely(ARM64_HAS_EPAN))
		readable |= VM_EXEC;
	/* A shadow stack is written by instructions that are made for it, and by nothing else. */
	if (perm & IOMMU_FAULT_PERM_WRITE && (!(flags & VM_WRITE) || flags & VM_SHADOW_STACK))
		return false;
	/* Instructions are fetched, not read. */
	if (perm & IOMMU_FAULT_PERM_EXEC)
		return flags & VM_EXEC;
	return !(perm & IOMMU_FAULT_PERM_READ) || flags & readable;
}

/* Whether the process says that it will not use the pages of @vma in order. */
bool rust_helper_sva_vma_is_random(struct vm_area_struct *vma)
{
	return vma->vm_flags & VM_RAND_READ;
}

static enum sva_page_state sva_pte_state(pte_t pte, bool write, bool exec)
{
	if (pte_none(pte))
		return SVA_PAGE_ABSENT;
	if (!pte_valid(pte))
		return SVA_PAGE_AWAY;
	if ((exec ? pte_user_exec(pte) : pte_user(pte)) && pte_young(pte) &&
	    (!write || pte_hw_dirty(pte)))
		return SVA_PAGE_READY;
	return SVA_PAGE_PRESENT;
}

/*
 * What the page table of @vma, which is locked and anonymous, has at @addr for an
 * access, and for how many pages from there on, before @end at most. It may change
 * at once, save by those who need the vma unlocked.
 *
 * The lock keeps all tables but those of the last level; RCU keeps these.
 */
struct sva_page_run rust_helper_sva_peek_pages(struct vm_area_struct *vma, unsigned long addr,
					       unsigned long end, bool write, bool exec)
{
	struct sva_page_run run = { .state = SVA_PAGE_ABSENT };
	pgd_t *pgdp = pgd_offset(vma->vm_mm, addr), pgd = __pgd(READ_ONCE(pgd_val(*pgdp)));
	p4d_t *p4dp, p4d;
	pud_t *pudp, pud;
	pmd_t pmd;
	pte_t *pte;

	/* One table of the last level. */
	end = pmd_addr_end(addr, end);
	run.pages = (end - addr) >> PAGE_SHIFT;

	if (pgd_none(pgd))
		return run;
	p4dp = p4d_offset_lockless(pgdp, pgd, addr);
	p4d = __p4d(READ_ONCE(p4d_val(*p4dp)));
	if (p4d_none(p4d))
		return run;
	pudp = pud_offset_lockless(p4dp, p4d, addr);
	pud = __pud(READ_ONCE(pud_val(*pudp)));
	if (pud_none(pud))
		return run;
	if (pud_leaf(pud)) {
		run.state = SVA_PAGE_AWAY;
		return run;
	}

	rcu_read_lock();
	pmd = pmdp_get_lockless(pmd_offset_lockless(pudp, pud, addr));
	if (pmd_none(pmd) || !pmd_table(pmd)) {
		run.state = sva_pte_state(pmd_pte(pmd), write, exec);
	} else {
		pte = pte_offset_kernel(&pmd, addr);
		run.state = sva_pte_state(__ptep_get(pte), write, exec);
		for (run.pages = 1; (addr += PAGE_SIZE) < end; run.pages++) {
			if (sva_pte_state(__ptep_get(++pte), write, exec) != run.state)
				break;
		}
	}
	rcu_read_unlock();
	return run;
}

/* Whether the memory cgroup of @mm has room for @pages, none of which must be reclaimed. */
static bool sva_cgroup_has(struct mm_struct *mm, unsigned long pages)
{
	bool room = true;
#ifdef CONFIG_MEMCG
	struct mem_cgroup *memcg;

	rcu_read_lock();
	memcg = mem_cgroup_from_task(rcu_dereference(mm->owner));
	for (; memcg && room; memcg = parent_mem_cgroup(memcg))
		room = page_counter_read(&memcg->memory) + pages <
		       min(READ_ONCE(memcg->memory.max), READ_ONCE(memcg->memory.high));
	rcu_read_unlock();
#endif
	return room;
}

/* Whether @pages for @mm can be had at once, without anything being reclaimed. */
bool rust_helper_sva_memory_at_hand(struct mm_struct *mm, unsigned long pages)
{
	enum zone_type highest = gfp_zone(GFP_HIGHUSER_MOVABLE), i;
	struct zone *zone = NODE_DATA(numa_mem_id())->node_zones;

	for (i = 0; i <= highest; i++, zone++)
		if (managed_zone(zone) && zone_page_state(zone, NR_FREE_PAGES) >
		    high_wmark_pages(zone) + zone->lowmem_reserve[highest] + pages)
			return sva_cgroup_has(mm, pages);
	return false;
}
