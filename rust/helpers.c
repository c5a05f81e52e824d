// SPDX-License-Identifier: GPL-2.0
/*
 * Functions of the kernel that are inline or macros, for Rust to call.
 *
 * The infix "sva_" keeps our names apart from the kernel's own helpers.
 */

#include <linux/crc32.h>
#include <linux/iommu.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/mmu_notifier.h>
#include <linux/sched/mm.h>
#include <linux/workqueue.h>

u32 rust_helper_sva_crc32_le(u32 crc, const void *data, size_t len)
{
	return crc32_le(crc, data, len);
}

void rust_helper_sva_init_work(struct work_struct *work, work_func_t func)
{
	INIT_WORK(work, func);
}

void rust_helper_sva_vma_end_read(struct vm_area_struct *vma)
{
	vma_end_read(vma);
}
