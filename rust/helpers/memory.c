// SPDX-License-Identifier: GPL-2.0
/* Pages, and memory by physical address. */

#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/string.h>
#include <linux/uaccess.h>

/* Zeroed, physically contiguous; free_pages_exact() frees. May sleep. */
void *rust_helper_sva_alloc_pages_exact(size_t size)
{
	return alloc_pages_exact(size, GFP_KERNEL | __GFP_ZERO);
}

/* Whether the page at @phys is RAM that nobody holds. Any context; a snapshot. */
bool rust_helper_sva_phys_is_free(phys_addr_t phys)
{
	return pfn_is_map_memory(PHYS_PFN(phys)) &&
	       !page_count(pfn_to_page(PHYS_PFN(phys)));
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

/* Maps a device's registers; refuses RAM that the kernel uses. May sleep. */
void *rust_helper_sva_ioremap(phys_addr_t phys, size_t size)
{
	if (pfn_is_map_memory(PHYS_PFN(phys)))
		return NULL;
	return (void __force *)ioremap(phys, size);
}

void rust_helper_sva_iounmap(void *virt)
{
	iounmap((void __iomem __force *)virt);
}
