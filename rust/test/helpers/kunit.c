// SPDX-License-Identifier: GPL-2.0
/* What KUnit suites do that drivers do not. */

#include <linux/device.h>
#include <linux/dma-mapping.h>
#include <linux/fs.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/string.h>

#if IS_ENABLED(CONFIG_KUNIT)
/* Gives the current kernel thread an address space of its own, with one user. */
struct mm_struct *rust_helper_sva_test_mm_alloc(void)
{
	struct mm_struct *mm = mm_alloc();

	if (!mm)
		return ERR_PTR(-ENOMEM);

	mm->task_size = TASK_SIZE;
	arch_pick_mmap_layout(mm, &current->signal->rlim[RLIMIT_STACK]);
	return mm;
}

void rust_helper_sva_device_lock(struct device *dev)
{
	device_lock(dev);
}

void rust_helper_sva_device_unlock(struct device *dev)
{
	device_unlock(dev);
}

/* The current kernel thread uses the address space until it leaves it. */
struct mm_struct *rust_helper_sva_test_mm_enter(void)
{
	struct mm_struct *mm;

	if (!(current->flags & PF_KTHREAD))
		return ERR_PTR(-EINVAL);
	if (current->mm)
		return ERR_PTR(-EBUSY);
	mm = rust_helper_sva_test_mm_alloc();
	if (!IS_ERR(mm))
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

/* The DMA API, as a driver of @dev would use it. */
void *rust_helper_sva_test_dma_alloc(struct device *dev, size_t len, dma_addr_t *iova)
{
	return dma_alloc_coherent(dev, len, iova, GFP_KERNEL);
}

void rust_helper_sva_test_dma_free(struct device *dev, size_t len, void *cpu, dma_addr_t iova)
{
	dma_free_coherent(dev, len, cpu, iova);
}

/* Keeps the pages of @len bytes at @phys, which are memory of their own, from being freed. */
void rust_helper_sva_test_hold_pages(phys_addr_t phys, size_t len)
{
	size_t at;

	for (at = 0; at < len; at += PAGE_SIZE)
		get_page(phys_to_page(phys + at));
}

/* Undoes sva_test_hold_pages(). */
void rust_helper_sva_test_release_pages(phys_addr_t phys, size_t len)
{
	size_t at;

	for (at = 0; at < len; at += PAGE_SIZE)
		put_page(phys_to_page(phys + at));
}

/* An address for the device, of memory in the linear map; or an error. */
int rust_helper_sva_test_dma_map(struct device *dev, phys_addr_t phys, size_t len,
				 dma_addr_t *iova)
{
	*iova = dma_map_single(dev, phys_to_virt(phys), len, DMA_BIDIRECTIONAL);
	return dma_mapping_error(dev, *iova);
}

void rust_helper_sva_test_dma_unmap(struct device *dev, dma_addr_t iova, size_t len)
{
	dma_unmap_single(dev, iova, len, DMA_BIDIRECTIONAL);
}

/*
 * Writes @text to the file @path of sysfs, as root in user space would. A kernel
 * thread sees none of what user space has mounted.
 */
int rust_helper_sva_test_write_sysfs(const char *path, const char *text)
{
	struct file_system_type *type = get_fs_type("sysfs");
	ssize_t written;
	struct path top;
	struct file *file;
	loff_t pos = 0;

	if (!type)
		return -ENODEV;
	top.mnt = kern_mount(type);
	module_put(type->owner);
	if (IS_ERR(top.mnt))
		return PTR_ERR(top.mnt);
	top.dentry = top.mnt->mnt_root;

	file = file_open_root(&top, path, O_WRONLY, 0);
	written = PTR_ERR_OR_ZERO(file);
	if (!written) {
		written = kernel_write(file, text, strlen(text), &pos);
		filp_close(file, NULL);
	}
	kern_unmount(top.mnt);
	return min(written, 0);
}
#endif
