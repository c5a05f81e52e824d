// SPDX-License-Identifier: GPL-2.0
/* What processes see of memory, and when that has changed. */

#include <linux/cpufeature.h>
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

/* Whether what user space may execute it may read, whatever the mapping says. */
bool rust_helper_sva_exec_implies_read(void)
{
	return !IS_ENABLED(CONFIG_ARM64_EPAN) || !cpus_have_final_cap(ARM64_HAS_EPAN);
}
