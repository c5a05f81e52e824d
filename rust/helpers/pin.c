// SPDX-License-Identifier: GPL-2.0
/* Pages that stay where they are. */

#include <linux/capability.h>
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

/* Counts @pages more as pinned in @mm, unless they are more than may be. */
int rust_helper_sva_charge_pinned(struct mm_struct *mm, unsigned long pages)
{
	if (atomic64_add_return(pages, &mm->pinned_vm) > sva_pin_limit(mm) &&
	    !capable(CAP_IPC_LOCK)) {
		atomic64_sub(pages, &mm->pinned_vm);
		return -ENOMEM;
	}
	return 0;
}

void rust_helper_sva_uncharge_pinned(struct mm_struct *mm, unsigned long pages)
{
	atomic64_sub(pages, &mm->pinned_vm);
}
