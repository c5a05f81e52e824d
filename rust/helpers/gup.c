// SPDX-License-Identifier: GPL-2.0
/* What processes see of memory, and when that has changed. */

#include <linux/mm.h>
#include <linux/mmu_notifier.h>

/*
 * Where the page at @addr of the current process is, if it can be accessed without
 * a fault: for reading, for writing, or at all (@force); else all ones. @order is
 * set to that of the page's folio. May sleep.
 */
phys_addr_t rust_helper_sva_gup_phys(unsigned long addr, bool write, bool force,
				     unsigned int *order)
{
	unsigned int flags = FOLL_NOFAULT | (write ? FOLL_WRITE : 0) | (force ? FOLL_FORCE : 0);
	struct page *page;
	phys_addr_t phys;

	if (get_user_pages_fast(addr, 1, flags, &page) != 1)
		return PHYS_ADDR_MAX;

	phys = page_to_phys(page) + offset_in_page(addr);
	*order = folio_order(page_folio(page));
	put_page(page);
	return phys;
}

void rust_helper_sva_mmu_interval_set_seq(struct mmu_interval_notifier *notifier,
					  unsigned long seq)
{
	mmu_interval_set_seq(notifier, seq);
}

bool rust_helper_sva_mmu_interval_read_retry(struct mmu_interval_notifier *notifier,
					     unsigned long seq)
{
	return mmu_interval_read_retry(notifier, seq);
}

/*
 * Maps @len bytes at @virt, whole pages from the allocator, to all of @vma, which is
 * being set up. May sleep.
 */
int rust_helper_sva_insert_pages(struct vm_area_struct *vma, void *virt, size_t len)
{
	size_t at;
	int ret;

	if (vma->vm_end - vma->vm_start != len)
		return -EINVAL;

	for (at = 0; at < len; at += PAGE_SIZE) {
		ret = vm_insert_page(vma, vma->vm_start + at, virt_to_page(virt + at));
		if (ret)
			return ret;
	}
	return 0;
}
