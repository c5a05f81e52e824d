// SPDX-License-Identifier: GPL-2.0
/* Pages of a process that are there, touched from elsewhere. */

#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>

/*
 * Pins the page at @addr of @mm for a moment, if it is there for such an access. Does
 * not wait: -EAGAIN if the mappings are just being changed, -EFAULT if it is not there.
 */
int rust_helper_sva_pin_present(struct mm_struct *mm, unsigned long addr, bool write,
				struct page **page)
{
	u32 perm = write ? IOMMU_FAULT_PERM_WRITE : IOMMU_FAULT_PERM_READ;
	/* As for pins: who may read is asked here. */
	unsigned int flags = FOLL_NOFAULT | (write ? FOLL_WRITE : FOLL_FORCE);
	struct vm_area_struct *vma;
	long ret = -EFAULT;

	if (!mmap_read_trylock(mm))
		return -EAGAIN;
	vma = vma_lookup(mm, addr);
	if (vma && rust_helper_sva_vma_allows(vma, perm))
		ret = pin_user_pages_remote(mm, addr & PAGE_MASK, 1, flags, page, NULL);
	mmap_read_unlock(mm);
	return ret == 1 ? 0 : -EFAULT;
}

void rust_helper_sva_copy_to_page(struct page *page, size_t offset, const void *from, size_t len)
{
	memcpy_to_page(page, offset, from, len);
}

void rust_helper_sva_copy_from_page(void *to, struct page *page, size_t offset, size_t len)
{
	memcpy_from_page(to, page, offset, len);
}

/*
 * The first address after @addr that is not in the same mapping of @mm, or not in the
 * same hole; 0 if it cannot be told at once.
 */
unsigned long rust_helper_sva_mapping_end(struct mm_struct *mm, unsigned long addr)
{
	struct vm_area_struct *vma;
	unsigned long end = 0;

	if (!mmap_read_trylock(mm))
		return 0;
	vma = find_vma(mm, addr);
	if (vma)
		end = vma->vm_start > addr ? vma->vm_start : vma->vm_end;
	mmap_read_unlock(mm);
	return end;
}
