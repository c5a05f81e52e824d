// SPDX-License-Identifier: GPL-2.0
/* Whether a page can be had without waiting. */

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

/* Whether the process says that it will not use the pages of @vma in order. */
bool rust_helper_sva_vma_is_random(struct vm_area_struct *vma)
{
	return vma->vm_flags & VM_RAND_READ;
}

/*
 * What the page table of @vma, which is locked and anonymous, has at @addr for an
 * access. It may change at once, save by those who need the vma unlocked.
 *
 * The lock keeps all tables but those of the last level; RCU keeps these.
 */
enum sva_page_state rust_helper_sva_peek_page(struct vm_area_struct *vma, unsigned long addr,
					      bool write, bool exec)
{
	pgd_t *pgd = pgd_offset(vma->vm_mm, addr);
	p4d_t *p4d;
	pud_t *pud;
	pmd_t pmd;
	pte_t pte;

	if (pgd_none(pgdp_get(pgd)))
		return SVA_PAGE_ABSENT;
	p4d = p4d_offset(pgd, addr);
	if (p4d_none(p4dp_get(p4d)))
		return SVA_PAGE_ABSENT;
	pud = pud_offset(p4d, addr);
	if (pud_none(pudp_get(pud)))
		return SVA_PAGE_ABSENT;
	if (pud_leaf(pudp_get(pud)))
		return SVA_PAGE_AWAY;

	rcu_read_lock();
	pmd = pmdp_get_lockless(pmd_offset(pud, addr));
	if (pmd_none(pmd) || !pmd_table(pmd))
		pte = pmd_pte(pmd);
	else
		pte = __ptep_get(pte_offset_kernel(&pmd, addr));
	rcu_read_unlock();

	if (pte_none(pte))
		return SVA_PAGE_ABSENT;
	if (!pte_valid(pte))
		return SVA_PAGE_AWAY;
	if (pte_user(pte) && pte_young(pte) && (!write || pte_hw_dirty(pte)) &&
	    (!exec || pte_user_exec(pte)))
		return SVA_PAGE_READY;
	return SVA_PAGE_PRESENT;
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
