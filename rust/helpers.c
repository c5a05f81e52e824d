// SPDX-License-Identifier: GPL-2.0
/*
 * Functions of the kernel that are inline or macros, for Rust to call.
 *
 * The infix "sva_" keeps our names apart from the kernel's own helpers.
 */

#include <linux/capability.h>
#include <linux/cpufeature.h>
#include <linux/crc32.h>
#include <linux/dcache.h>
#include <linux/debugfs.h>
#include <linux/fault-inject.h>
#include <linux/gfp.h>
#include <linux/hash.h>
#include <linux/io.h>
#include <linux/iommu.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/mmap_lock.h>
#include <linux/mmu_notifier.h>
#include <linux/platform_device.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>

#include <asm/barrier.h>

#include "bindings/counted.h"

/* Zeroed, physically contiguous; free_pages_exact() frees. May sleep. */
void *rust_helper_sva_alloc_pages_exact(size_t size)
{
	return alloc_pages_exact(size, GFP_KERNEL | __GFP_ZERO);
}

u32 rust_helper_sva_crc32_le(u32 crc, const void *data, size_t len)
{
	return crc32_le(crc, data, len);
}

/* Whether the page at @phys is RAM that nobody holds. Any context; a snapshot. */
bool rust_helper_sva_phys_is_free(phys_addr_t phys)
{
	return pfn_is_map_memory(PHYS_PFN(phys)) &&
	       !page_count(pfn_to_page(PHYS_PFN(phys)));
}

void rust_helper_sva_sev(void)
{
	sev();
}

void rust_helper_sva_init_work(struct work_struct *work, work_func_t func)
{
	INIT_WORK(work, func);
}

void rust_helper_sva_memcpy(void *to, const void *from, size_t size)
{
	memcpy(to, from, size);
}

/*
 * The linear-map address of @phys, or NULL if it is not RAM or the linear map
 * does not have its page (secret memory, for example). Any context.
 */
void *rust_helper_sva_phys_to_linear(phys_addr_t phys)
{
	u8 *p, probe;

	if (!pfn_is_map_memory(PHYS_PFN(phys)))
		return NULL;

	p = phys_to_virt(phys);
	return get_kernel_nofault(probe, p) ? NULL : p;
}

phys_addr_t rust_helper_sva_virt_to_phys(const void *virt)
{
	return virt_to_phys(virt);
}

void rust_helper_sva_vma_end_read(struct vm_area_struct *vma)
{
	vma_end_read(vma);
}

/*
 * Puts @dev, which is not added yet, behind the IOMMU that @iommu is.
 *
 * iommu_fwspec_init() would need a lock that is not exported. The core frees
 * both structures when the device is removed.
 */
int rust_helper_sva_dev_iommu_init(struct device *dev, struct device *iommu,
				   const u32 *ids, u32 num_ids)
{
	struct iommu_fwspec *fwspec;
	struct dev_iommu *param;

	param = kzalloc_obj(*param);
	if (!param)
		return -ENOMEM;
	fwspec = kzalloc_flex(*fwspec, ids, num_ids);
	if (!fwspec) {
		kfree(param);
		return -ENOMEM;
	}

	fwspec->iommu_fwnode = fwnode_handle_get(dev_fwnode(iommu));
	fwspec->num_ids = num_ids;
	memcpy(fwspec->ids, ids, num_ids * sizeof(*ids));
	mutex_init(&param->lock);
	param->fwspec = fwspec;
	dev->iommu = param;
	return 0;
}

/* Undoes sva_dev_iommu_init() for a device that could not be added. */
void rust_helper_sva_dev_iommu_discard(struct device *dev)
{
	struct dev_iommu *param = dev->iommu;

	if (!param)
		return;
	dev->iommu = NULL;
	fwnode_handle_put(param->fwspec->iommu_fwnode);
	kfree(param->fwspec);
	kfree(param);
}

/* Whether there is a platform device of that full name. May sleep. */
bool rust_helper_sva_platform_device_exists(const char *name)
{
	struct device *dev = bus_find_device_by_name(&platform_bus_type, NULL, name);

	put_device(dev);
	return dev;
}

/* Adds a region to a list that iommu_get_resv_regions() asked for. May sleep. */
int rust_helper_sva_add_resv_region(struct list_head *list, phys_addr_t start, size_t len,
				    int prot, enum iommu_resv_type type)
{
	struct iommu_resv_region *region;

	region = iommu_alloc_resv_region(start, len, prot, type, GFP_KERNEL);
	if (!region)
		return -ENOMEM;
	list_add_tail(&region->list, list);
	return 0;
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

#if IS_ENABLED(CONFIG_KUNIT)
/* Gives the current kernel thread an address space of its own, with one user. */
struct mm_struct *rust_helper_sva_test_mm_enter(void)
{
	struct mm_struct *mm;

	if (!(current->flags & PF_KTHREAD))
		return ERR_PTR(-EINVAL);
	if (current->mm)
		return ERR_PTR(-EBUSY);
	mm = mm_alloc();
	if (!mm)
		return ERR_PTR(-ENOMEM);

	mm->task_size = TASK_SIZE;
	arch_pick_mmap_layout(mm, &current->signal->rlim[RLIMIT_STACK]);
	kthread_use_mm(mm);
	return mm;
}

/* Anonymous memory of the current address space; an address or an errno. */
unsigned long rust_helper_sva_test_mmap(unsigned long addr, size_t len, bool writable)
{
	unsigned long flags = MAP_PRIVATE | MAP_ANONYMOUS;

	if (addr)
		flags |= MAP_FIXED_NOREPLACE;
	return vm_mmap(NULL, addr, len, writable ? PROT_READ | PROT_WRITE : PROT_READ,
		       flags, 0);
}

void rust_helper_sva_test_mm_leave(struct mm_struct *mm)
{
	kthread_unuse_mm(mm);
	mmput(mm);
}
#endif

/*
 * Pins up to @nr pages of @mm for as long as a device may want them, and breaks
 * copy-on-write. Gives their number, or an error if it is 0. May sleep.
 */
long rust_helper_sva_pin_user_pages(struct mm_struct *mm, unsigned long addr, unsigned long nr,
				    bool write, struct page **pages)
{
	unsigned int flags = FOLL_LONGTERM | (write ? FOLL_WRITE : 0);
	int locked = 1;
	long ret;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
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

#ifdef CONFIG_FAULT_INJECTION_DEBUG_FS
/* Fails nothing, and says nothing when it does. */
void rust_helper_sva_fault_attr_init(struct fault_attr *attr)
{
	static const DECLARE_FAULT_ATTR(initial);

	*attr = initial;
	attr->verbose = 0;
}

/*
 * Shows @attr in debugfs as the directory @top/@sub/@name, and gets a reference
 * to that. May sleep.
 */
struct dentry *rust_helper_sva_fault_attr_show(struct fault_attr *attr, const char *top,
					       const char *sub, const char *name)
{
	struct dentry *first = debugfs_lookup(top, NULL), *second, *dir;

	if (IS_ERR_OR_NULL(first))
		return ERR_PTR(-ENOENT);
	second = debugfs_lookup(sub, first);
	dput(first);
	if (IS_ERR_OR_NULL(second))
		return ERR_PTR(-ENOENT);
	dir = fault_create_debugfs_attr(name, second, attr);
	if (!IS_ERR(dir))
		dget(dir);
	dput(second);
	return dir;
}

/* Undoes sva_fault_attr_show(), also if what @dir is in was removed before. */
void rust_helper_sva_fault_attr_remove(struct dentry *dir)
{
	if (!d_unhashed(dir))
		debugfs_remove(dir);
	dput(dir);
}

/*
 * Only what was asked for here fails: not the n-th of whatever a task does, by
 * /proc/<pid>/fail-nth, which is about allocations.
 */
bool rust_helper_sva_fault_should_fail(struct fault_attr *attr)
{
	return READ_ONCE(attr->probability) && should_fail(attr, 1);
}
#endif

/*
 * The tables of struct sva_counted, by (device, mm) and by (device, number). Each
 * chain has a lock of its own. Enough chains for 100,000 users to find them short.
 */
#define SVA_COUNTED_BITS	15

static struct hlist_bl_head sva_counted_by_mm[1 << SVA_COUNTED_BITS];
static struct hlist_bl_head sva_counted_by_number[1 << SVA_COUNTED_BITS];

static struct hlist_bl_head *sva_counted_chain(struct hlist_bl_head *table, unsigned long device,
					       unsigned long what)
{
	return &table[hash_64(device ^ (what * GOLDEN_RATIO_64), SVA_COUNTED_BITS)];
}

/* One more user of what has that key, if its process has not exited. Any context. */
bool rust_helper_sva_counted_get(const struct sva_counted_key *key, u32 *number)
{
	struct hlist_bl_head *chain = sva_counted_chain(sva_counted_by_mm, key->device,
							(unsigned long)key->mm);
	struct sva_counted *counted;
	struct hlist_bl_node *node;
	bool found = false;

	hlist_bl_lock(chain);
	hlist_bl_for_each_entry(counted, node, chain, by_mm) {
		if (counted->key.device != key->device || counted->key.mm != key->mm ||
		    counted->key.owner != key->owner || counted->key.flags != key->flags)
			continue;
		if (atomic_read(&key->mm->mm_users)) {
			atomic_inc(&counted->users);
			*number = counted->number;
			found = true;
		}
		break;
	}
	hlist_bl_unlock(chain);
	return found;
}

/* One user less of what has that number, unless it is the last. Any context. */
bool rust_helper_sva_counted_put(unsigned long device, u32 number)
{
	struct hlist_bl_head *chain = sva_counted_chain(sva_counted_by_number, device, number);
	struct sva_counted *counted;
	struct hlist_bl_node *node;
	bool put = false;

	hlist_bl_lock(chain);
	hlist_bl_for_each_entry(counted, node, chain, by_number) {
		if (counted->key.device == device && counted->number == number) {
			put = atomic_add_unless(&counted->users, -1, 1);
			break;
		}
	}
	hlist_bl_unlock(chain);
	return put;
}

/* Puts it into the tables, if it is not there. Any context. */
void rust_helper_sva_counted_link(struct sva_counted *counted)
{
	struct hlist_bl_head *by_mm = sva_counted_chain(sva_counted_by_mm, counted->key.device,
							(unsigned long)counted->key.mm);
	struct hlist_bl_head *by_number = sva_counted_chain(sva_counted_by_number,
							    counted->key.device, counted->number);

	/* Always in this order. */
	hlist_bl_lock(by_mm);
	hlist_bl_lock(by_number);
	if (hlist_bl_unhashed(&counted->by_mm)) {
		hlist_bl_add_head(&counted->by_mm, by_mm);
		hlist_bl_add_head(&counted->by_number, by_number);
	}
	hlist_bl_unlock(by_number);
	hlist_bl_unlock(by_mm);
}

/* Takes it out of the tables, if it is there: nobody else counts any more. Any context. */
void rust_helper_sva_counted_unlink(struct sva_counted *counted)
{
	struct hlist_bl_head *by_mm = sva_counted_chain(sva_counted_by_mm, counted->key.device,
							(unsigned long)counted->key.mm);
	struct hlist_bl_head *by_number = sva_counted_chain(sva_counted_by_number,
							    counted->key.device, counted->number);

	hlist_bl_lock(by_mm);
	hlist_bl_lock(by_number);
	if (!hlist_bl_unhashed(&counted->by_mm)) {
		hlist_bl_del_init(&counted->by_mm);
		hlist_bl_del_init(&counted->by_number);
	}
	hlist_bl_unlock(by_number);
	hlist_bl_unlock(by_mm);
}

void rust_helper_sva_counted_inc(struct sva_counted *counted)
{
	atomic_inc(&counted->users);
}

int rust_helper_sva_counted_dec(struct sva_counted *counted)
{
	return atomic_dec_return(&counted->users);
}

int rust_helper_sva_counted_users(const struct sva_counted *counted)
{
	return atomic_read(&counted->users);
}
