/* SPDX-License-Identifier: GPL-2.0 */
/* Devices with reserved regions, and what is seen of them in an address space. */
#ifndef SVA_TEST_RESERVED_CASE_H
#define SVA_TEST_RESERVED_CASE_H

#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mman.h>

#include "fixture.h"

/* Far from what the kernel picks for a new mapping. */
#define HOLE		0x40000000UL
#define HOLE_LEN	(4 * PAGE_SIZE)
/* Another one. */
#define HOLE2		0x50000000UL

static inline struct device *device_with(struct kunit *test, u64 start, u64 len)
{
	struct mock_smmu_device config = {
		.pasid_bits = 10,
		.regions = { { .start = start, .len = len } },
	};

	return sva_test_device(test, &config);
}

static inline int bind(struct device *dev, struct sva_test_mm *space, int *pasid)
{
	return iommu_sva_bind_device(dev, space->mm, pasid, SVA_TEST_FLAGS, NULL);
}

/* Maps in the current address space, where nothing may be mapped. */
static inline unsigned long map_at(unsigned long addr, unsigned long len)
{
	return vm_mmap(NULL, addr, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, 0);
}

/* Whether the range can be mapped, and unmapped again. */
static inline bool is_free(unsigned long addr, unsigned long len)
{
	return map_at(addr, len) == addr && !vm_munmap(addr, len);
}

/* Whether the name of the mapping that has @addr tells what it is, as in /proc/PID/maps. */
static inline bool is_carved(struct mm_struct *mm, unsigned long addr)
{
	struct vm_area_struct *vma;
	bool carved = false;
	char path[64], *name;

	mmap_read_lock(mm);
	vma = vma_lookup(mm, addr);
	if (vma && vma->vm_file) {
		name = file_path(vma->vm_file, path, sizeof(path));
		carved = !IS_ERR(name) && !strcmp(name, "anon_inode:[sva-reserved]");
	}
	mmap_read_unlock(mm);
	return carved;
}

/* How many mappings of ours there are. */
static inline int count_carved(struct mm_struct *mm)
{
	struct vma_iterator vmi;
	struct vm_area_struct *vma;
	char path[64], *name;
	int carved = 0;

	mmap_read_lock(mm);
	vma_iter_init(&vmi, mm, 0);
	for_each_vma(vmi, vma) {
		if (!vma->vm_file)
			continue;
		name = file_path(vma->vm_file, path, sizeof(path));
		carved += !IS_ERR(name) && !strcmp(name, "anon_inode:[sva-reserved]");
	}
	mmap_read_unlock(mm);
	return carved;
}

/* The process can do nothing with the range. */
static inline void expect_carved(struct kunit *test, struct mm_struct *mm, unsigned long addr,
				 unsigned long len)
{
	unsigned long fixed, at;
	u64 value;

	for (at = addr; at < addr + len; at += PAGE_SIZE) {
		KUNIT_EXPECT_TRUE(test, is_carved(mm, at));
		KUNIT_EXPECT_EQ(test, -EEXIST, (long)map_at(at, PAGE_SIZE));
		KUNIT_EXPECT_EQ(test, -EPERM, vm_munmap(at, PAGE_SIZE));
		KUNIT_EXPECT_NE(test, 0, copy_from_user(&value, (void __user *)at, sizeof(value)));
	}
	KUNIT_EXPECT_EQ(test, -EPERM, vm_munmap(addr, len));
	/* Nor together with what lies around it. */
	if (addr && addr + len < TASK_SIZE)
		KUNIT_EXPECT_EQ(test, -EPERM, vm_munmap(addr - PAGE_SIZE, len + 2 * PAGE_SIZE));
	fixed = vm_mmap(NULL, addr, len, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, 0);
	KUNIT_EXPECT_EQ(test, -EPERM, (long)fixed);
}

#endif /* SVA_TEST_RESERVED_CASE_H */
