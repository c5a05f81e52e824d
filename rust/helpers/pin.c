// SPDX-License-Identifier: GPL-2.0
/* Pages that stay where they are. */

#include <linux/capability.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/sched/signal.h>

/*
 * Pins up to @nr pages of @mm for as long as a device may want them, all of one
 * mapping that allows it, and breaks copy-on-write. Gives their number, or an error
 * if it is 0. May sleep.
 */
long rust_helper_sva_pin_user_pages(struct mm_struct *mm, unsigned long addr, unsigned long nr,
				    bool write, struct page **pages)
{
	u32 perm = IOMMU_FAULT_PERM_READ | (write ? IOMMU_FAULT_PERM_WRITE : 0);
	/* That the process may read is asked here: GUP wants to see VM_READ, the CPU does not. */
	unsigned int flags = FOLL_LONGTERM | (write ? FOLL_WRITE : FOLL_FORCE);
	struct vm_area_struct *vma;
	int locked = 1;
	long ret;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	vma = vma_lookup(mm, addr);
	if (!vma || !rust_helper_sva_vma_allows(vma, perm)) {
		mmap_read_unlock(mm);
		return -EFAULT;
	}
	nr = min(nr, (vma->vm_end - addr) >> PAGE_SHIFT);
	ret = pin_user_pages_remote(mm, addr, nr, flags, pages, &locked);
	if (locked)
		mmap_read_unlock(mm);
	return ret;
}

/* Undoes sva_pin_user_pages(); a device wrote to them if @dirty. May sleep. */
void rust_helper_sva_unpin_user_pages(struct page **pages, unsigned long nr, bool dirty)
{
	unpin_user_pages_dirty_lock(pages, nr, dirty);
	cond_resched();
}

/*
 * Maps @nr pages in @domain, from @iova on, for reading, and for writing if @write: all
 * of them, or none. May sleep.
 */
int rust_helper_sva_map_pages(struct iommu_domain *domain, unsigned long iova,
			      struct page *const *pages, unsigned long nr, bool write)
{
	int prot = IOMMU_READ | IOMMU_CACHE | (write ? IOMMU_WRITE : 0), ret;
	unsigned long done, run;
	phys_addr_t phys;

	for (done = 0; done < nr; done += run) {
		phys = page_to_phys(pages[done]);
		for (run = 1; done + run < nr; run++)
			if (page_to_phys(pages[done + run]) != phys + run * PAGE_SIZE)
				break;
		ret = iommu_map(domain, iova + done * PAGE_SIZE, phys, run * PAGE_SIZE, prot,
				GFP_KERNEL_ACCOUNT);
		if (ret) {
			if (done)
				iommu_unmap(domain, iova, done * PAGE_SIZE);
			return ret;
		}
		cond_resched();
	}
	return 0;
}

/* How many pages the process that owns @mm may pin. */
static unsigned long sva_pin_limit(struct mm_struct *mm)
{
	struct task_struct *task = current;
	unsigned long limit;

	rcu_read_lock();
#ifdef CONFIG_MEMCG
	task = rcu_dereference(mm->owner) ?: task;
#endif
	limit = task_rlimit(task, RLIMIT_MEMLOCK) >> PAGE_SHIFT;
	rcu_read_unlock();
	return limit;
}

/* How many pages the caller may pin. */
unsigned long rust_helper_sva_own_pin_limit(void)
{
	return capable(CAP_IPC_LOCK) ? ULONG_MAX : rlimit(RLIMIT_MEMLOCK) >> PAGE_SHIFT;
}

/*
 * Counts @pages more as pinned in @mm, unless they are more than may be: of a kernel
 * thread, which could do anything, more than @limit.
 */
int rust_helper_sva_charge_pinned(struct mm_struct *mm, unsigned long pages, unsigned long limit)
{
	unsigned long now = atomic64_add_return(pages, &mm->pinned_vm);

	if ((now > sva_pin_limit(mm) && !capable(CAP_IPC_LOCK)) ||
	    (now > limit && current->flags & PF_KTHREAD)) {
		atomic64_sub(pages, &mm->pinned_vm);
		return -ENOMEM;
	}
	return 0;
}

void rust_helper_sva_uncharge_pinned(struct mm_struct *mm, unsigned long pages)
{
	atomic64_sub(pages, &mm->pinned_vm);
}
