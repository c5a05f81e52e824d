// SPDX-License-Identifier: GPL-2.0
/* Reserved regions: S17, S18. */

#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kthread.h>
#include <linux/mman.h>
#include <linux/mmu_context.h>
#include <linux/sched/mm.h>

#include "fixture.h"

/* Far from what the kernel picks for a new mapping. */
#define HOLE		0x40000000UL
#define HOLE_LEN	(4 * PAGE_SIZE)
/* Another one. */
#define HOLE2		0x50000000UL

static struct device *device_with(struct kunit *test, u64 start, u64 len)
{
	struct mock_smmu_device config = {
		.pasid_bits = 10,
		.regions = { { .start = start, .len = len } },
	};

	return sva_test_device(test, &config);
}

static int bind(struct device *dev, struct sva_test_mm *space, int *pasid)
{
	return iommu_sva_bind_device(dev, space->mm, pasid, SVA_TEST_FLAGS, NULL);
}

/* Maps in the current address space, where nothing may be mapped. */
static unsigned long map_at(unsigned long addr, unsigned long len)
{
	return vm_mmap(NULL, addr, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, 0);
}

/* Whether the range can be mapped, and unmapped again. */
static bool is_free(unsigned long addr, unsigned long len)
{
	return map_at(addr, len) == addr && !vm_munmap(addr, len);
}

/* Whether the name of the mapping that has @addr tells what it is, as in /proc/PID/maps. */
static bool is_carved(struct mm_struct *mm, unsigned long addr)
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
static int count_carved(struct mm_struct *mm)
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
static void expect_carved(struct kunit *test, struct mm_struct *mm, unsigned long addr,
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

static void s17_region_is_carved_out(struct kunit *test)
{
	struct device *dev = device_with(test, HOLE, HOLE_LEN);
	struct sva_test_mm *space = sva_test_mm(test);
	int pasid;
	u64 value;

	KUNIT_ASSERT_TRUE(test, is_free(HOLE, HOLE_LEN));
	KUNIT_ASSERT_EQ(test, 0, bind(dev, space, &pasid));
	KUNIT_EXPECT_EQ(test, 1, count_carved(space->mm));
	expect_carved(test, space->mm, HOLE, HOLE_LEN);
	KUNIT_EXPECT_TRUE(test, is_free(HOLE - PAGE_SIZE, PAGE_SIZE));
	KUNIT_EXPECT_TRUE(test, is_free(HOLE + HOLE_LEN, PAGE_SIZE));

	/* The device gets nothing there, and everything else. */
	KUNIT_EXPECT_NE(test, 0, sva_test_read(dev, pasid, HOLE, &value));
	KUNIT_EXPECT_NE(test, 0, sva_test_write(dev, pasid, HOLE, 1));
	KUNIT_EXPECT_EQ(test, 0, sva_test_write(dev, pasid, space->addr, 1));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
}

static void s17_last_unbind_gives_it_back(struct kunit *test)
{
	struct device *dev = device_with(test, HOLE, HOLE_LEN);
	struct sva_test_mm *space = sva_test_mm(test);
	int pasid, round;

	for (round = 0; round < 3; round++) {
		KUNIT_ASSERT_EQ(test, 0, bind(dev, space, &pasid));
		KUNIT_ASSERT_EQ(test, 0, bind(dev, space, &pasid));
		KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
		expect_carved(test, space->mm, HOLE, HOLE_LEN);
		KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
		KUNIT_EXPECT_EQ(test, 0, count_carved(space->mm));
		KUNIT_EXPECT_TRUE(test, is_free(HOLE, HOLE_LEN));
	}
}

static void s17_occupied_region_eaddrinuse(struct kunit *test)
{
	struct device *dev = device_with(test, HOLE, HOLE_LEN);
	struct sva_test_mm *space = sva_test_mm(test);
	int maps, pasid = -7;

	/* Its last page is enough. */
	KUNIT_ASSERT_EQ(test, HOLE + HOLE_LEN - PAGE_SIZE,
			map_at(HOLE + HOLE_LEN - PAGE_SIZE, 2 * PAGE_SIZE));
	maps = space->mm->map_count;
	KUNIT_EXPECT_EQ(test, -EADDRINUSE, bind(dev, space, &pasid));
	KUNIT_EXPECT_EQ(test, -7, pasid);
	KUNIT_EXPECT_EQ(test, maps, space->mm->map_count);
	KUNIT_EXPECT_EQ(test, 0, count_carved(space->mm));

	/* It is the process's to give up. */
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(HOLE + HOLE_LEN - PAGE_SIZE, 2 * PAGE_SIZE));
	KUNIT_ASSERT_EQ(test, 0, bind(dev, space, &pasid));
	expect_carved(test, space->mm, HOLE, HOLE_LEN);
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
}

static void s17_second_region_occupied_changes_nothing(struct kunit *test)
{
	struct mock_smmu_device config = {
		.pasid_bits = 10,
		.regions = { { HOLE, HOLE_LEN }, { HOLE2, HOLE_LEN } },
	};
	struct device *dev = sva_test_device(test, &config);
	struct sva_test_mm *space = sva_test_mm(test);
	int maps, pasid = -7;

	KUNIT_ASSERT_EQ(test, HOLE2, map_at(HOLE2, PAGE_SIZE));
	maps = space->mm->map_count;
	KUNIT_EXPECT_EQ(test, -EADDRINUSE, bind(dev, space, &pasid));
	KUNIT_EXPECT_EQ(test, -7, pasid);
	KUNIT_EXPECT_EQ(test, maps, space->mm->map_count);
	KUNIT_EXPECT_EQ(test, 0, count_carved(space->mm));
	KUNIT_EXPECT_TRUE(test, is_free(HOLE, HOLE_LEN));
	KUNIT_EXPECT_EQ(test, 0, vm_munmap(HOLE2, PAGE_SIZE));
}

static void s17_occupied_region_leaves_other_bonds(struct kunit *test)
{
	struct device *first = device_with(test, HOLE, HOLE_LEN);
	struct device *second = device_with(test, HOLE + PAGE_SIZE, HOLE_LEN);
	struct sva_test_mm *space = sva_test_mm(test);
	int pasid, other = -7;
	u64 value;

	KUNIT_ASSERT_EQ(test, 0, bind(first, space, &pasid));
	KUNIT_ASSERT_EQ(test, HOLE + HOLE_LEN, map_at(HOLE + HOLE_LEN, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -EADDRINUSE, bind(second, space, &other));
	KUNIT_EXPECT_EQ(test, -7, other);
	KUNIT_EXPECT_NE(test, 0, sva_test_read(second, pasid, space->addr, &value));

	KUNIT_EXPECT_EQ(test, 0, sva_test_read(first, pasid, space->addr, &value));
	expect_carved(test, space->mm, HOLE, HOLE_LEN);
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(first, pasid));
	KUNIT_EXPECT_EQ(test, 0, count_carved(space->mm));
	KUNIT_EXPECT_EQ(test, 0, vm_munmap(HOLE + HOLE_LEN, PAGE_SIZE));
}

static void s17_several_regions(struct kunit *test)
{
	struct mock_smmu_device config = {
		.pasid_bits = 10,
		/* The lowest addresses, one that is not whole pages, and two that touch. */
		.regions = {
			{ 0, PAGE_SIZE },
			{ HOLE + 16, PAGE_SIZE },
			{ HOLE2, PAGE_SIZE, true },
			{ HOLE2 + PAGE_SIZE, PAGE_SIZE },
		},
	};
	struct device *dev = sva_test_device(test, &config);
	struct sva_test_mm *space = sva_test_mm(test);
	int pasid;

	KUNIT_ASSERT_EQ(test, 0, bind(dev, space, &pasid));
	KUNIT_EXPECT_EQ(test, 4, count_carved(space->mm));
	expect_carved(test, space->mm, 0, PAGE_SIZE);
	expect_carved(test, space->mm, HOLE, 2 * PAGE_SIZE);
	expect_carved(test, space->mm, HOLE2, 2 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
	KUNIT_EXPECT_EQ(test, 0, count_carved(space->mm));
}

static void s17_direct_region_overlaps_reserved(struct kunit *test)
{
	struct mock_smmu_device config = {
		.pasid_bits = 10,
		.regions = { { HOLE, HOLE_LEN, true }, { HOLE + PAGE_SIZE, HOLE_LEN } },
	};
	struct device *dev = sva_test_device(test, &config);
	struct sva_test_mm *space = sva_test_mm(test);
	int pasid;

	KUNIT_ASSERT_EQ(test, 0, bind(dev, space, &pasid));
	expect_carved(test, space->mm, HOLE, HOLE_LEN + PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
	KUNIT_EXPECT_TRUE(test, is_free(HOLE, HOLE_LEN + PAGE_SIZE));
}

static void s17_two_devices_with_overlapping_regions(struct kunit *test)
{
	struct device *first = device_with(test, HOLE, HOLE_LEN);
	struct device *second = device_with(test, HOLE + 2 * PAGE_SIZE, HOLE_LEN);
	struct sva_test_mm *space = sva_test_mm(test);
	int a, b;

	KUNIT_ASSERT_EQ(test, 0, bind(first, space, &a));
	expect_carved(test, space->mm, HOLE, HOLE_LEN);
	KUNIT_EXPECT_TRUE(test, is_free(HOLE + HOLE_LEN, 2 * PAGE_SIZE));
	KUNIT_ASSERT_EQ(test, 0, bind(second, space, &b));
	expect_carved(test, space->mm, HOLE, HOLE_LEN + 2 * PAGE_SIZE);

	/* The second device still needs part of what the first had carved out. */
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(first, a));
	expect_carved(test, space->mm, HOLE + 2 * PAGE_SIZE, HOLE_LEN);
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(second, b));
	KUNIT_EXPECT_EQ(test, 0, count_carved(space->mm));
	KUNIT_EXPECT_TRUE(test, is_free(HOLE, HOLE_LEN + 2 * PAGE_SIZE));
}

static void s17_region_around_another(struct kunit *test)
{
	struct device *inner = device_with(test, HOLE + PAGE_SIZE, PAGE_SIZE);
	struct device *outer = device_with(test, HOLE, HOLE_LEN);
	struct sva_test_mm *space = sva_test_mm(test);
	int a, b;

	KUNIT_ASSERT_EQ(test, 0, bind(inner, space, &a));
	KUNIT_ASSERT_EQ(test, 0, bind(outer, space, &b));
	KUNIT_EXPECT_EQ(test, 3, count_carved(space->mm));
	expect_carved(test, space->mm, HOLE, HOLE_LEN);
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(outer, b));
	expect_carved(test, space->mm, HOLE + PAGE_SIZE, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(inner, a));
	KUNIT_EXPECT_TRUE(test, is_free(HOLE, HOLE_LEN));
}

static void s17_foreign_mm(struct kunit *test)
{
	struct device *dev = device_with(test, HOLE, HOLE_LEN);
	struct sva_test_mm *space = sva_test_mm(test);
	struct sva_test_mm *own;
	int pasid;

	sva_test_unuse(space);
	own = sva_test_mm(test);

	KUNIT_ASSERT_EQ(test, 0, bind(dev, space, &pasid));
	KUNIT_EXPECT_EQ(test, 1, count_carved(space->mm));
	KUNIT_EXPECT_EQ(test, 0, count_carved(own->mm));
	KUNIT_EXPECT_TRUE(test, is_free(HOLE, HOLE_LEN));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
	KUNIT_EXPECT_EQ(test, 0, count_carved(space->mm));
}

static void s17_two_processes(struct kunit *test)
{
	struct device *dev = device_with(test, HOLE, HOLE_LEN);
	struct sva_test_mm *first = sva_test_mm(test), *second;
	int a, b;

	KUNIT_ASSERT_EQ(test, 0, bind(dev, first, &a));
	sva_test_unuse(first);
	second = sva_test_mm(test);
	KUNIT_ASSERT_EQ(test, 0, bind(dev, second, &b));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, a));
	KUNIT_EXPECT_EQ(test, 0, count_carved(first->mm));
	expect_carved(test, second->mm, HOLE, HOLE_LEN);
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, b));
}

static void s17_exit_with_carved_ranges(struct kunit *test)
{
	struct device *dev = device_with(test, HOLE, HOLE_LEN);
	struct sva_test_mm *space = sva_test_mm(test), *next;
	int pasid, other;

	KUNIT_ASSERT_EQ(test, 0, bind(dev, space, &pasid));
	sva_test_mm_exit(test, space);

	/* The next process is not concerned, before and after. */
	next = sva_test_mm(test);
	KUNIT_ASSERT_EQ(test, 0, bind(dev, next, &other));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
	expect_carved(test, next->mm, HOLE, HOLE_LEN);
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, other));
}

static int ignore_exit(struct device *dev, int pasid, void *drvdata)
{
	return 0;
}

static void s17_exit_with_carved_ranges_and_handler(struct kunit *test)
{
	struct device *dev = device_with(test, HOLE, HOLE_LEN);
	struct sva_test_mm *space = sva_test_mm(test);
	int pasid;

	KUNIT_ASSERT_EQ(test, 0, sva_test_watch_exit(dev, ignore_exit));
	KUNIT_ASSERT_EQ(test, 0, bind(dev, space, &pasid));
	sva_test_mm_exit(test, space);
	KUNIT_EXPECT_EQ(test, 0, iommu_unregister_mm_exit_handler(dev));
	KUNIT_EXPECT_EQ(test, -ESRCH, iommu_sva_unbind_device(dev, pasid));
}

static void s17_shutdown_gives_it_back(struct kunit *test)
{
	struct device *dev = device_with(test, HOLE, HOLE_LEN);
	struct sva_test_mm *space = sva_test_mm(test);
	int pasid;

	KUNIT_ASSERT_EQ(test, 0, bind(dev, space, &pasid));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_device_shutdown(dev));
	KUNIT_EXPECT_EQ(test, 0, count_carved(space->mm));
	KUNIT_EXPECT_TRUE(test, is_free(HOLE, HOLE_LEN));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_device_init(dev, SVA_TEST_FLAGS, 0));
}

static void s17_no_region_carves_nothing(struct kunit *test)
{
	struct device *dev = sva_test_device(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test);
	int maps = space->mm->map_count;
	int pasid;

	KUNIT_ASSERT_EQ(test, 0, bind(dev, space, &pasid));
	KUNIT_EXPECT_EQ(test, maps, space->mm->map_count);
	KUNIT_EXPECT_EQ(test, 0, count_carved(space->mm));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
}

static void s17_region_above_the_users_range(struct kunit *test)
{
	struct mock_smmu_device config = {
		.pasid_bits = 10,
		/* One begins where user addresses end, and one beyond; one lies across. */
		.regions = {
			{ TASK_SIZE, HOLE_LEN },
			{ 0xffff000000000000, HOLE_LEN, true },
			{ TASK_SIZE - PAGE_SIZE, HOLE_LEN, true },
		},
	};
	struct device *dev = sva_test_device(test, &config);
	struct sva_test_mm *space = sva_test_mm(test);
	int pasid;

	KUNIT_ASSERT_EQ(test, 0, bind(dev, space, &pasid));
	KUNIT_EXPECT_EQ(test, 1, count_carved(space->mm));
	expect_carved(test, space->mm, TASK_SIZE - PAGE_SIZE, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
	KUNIT_EXPECT_EQ(test, 0, count_carved(space->mm));
}

static void s17_msi_window_is_left_alone(struct kunit *test)
{
	struct device *dev = device_with(test, HOLE, HOLE_LEN);
	struct sva_test_mm *space = sva_test_mm(test);
	struct iommu_resv_region *region;
	bool reserved = false;
	u64 window = 0;
	int pasid;
	LIST_HEAD(regions);

	iommu_get_resv_regions(dev, &regions);
	list_for_each_entry(region, &regions, list) {
		if (region->type == IOMMU_RESV_SW_MSI)
			window = region->start;
		if (region->type == IOMMU_RESV_RESERVED)
			reserved = region->start == HOLE && region->length == HOLE_LEN;
	}
	iommu_put_resv_regions(dev, &regions);
	KUNIT_EXPECT_TRUE(test, reserved);
	KUNIT_ASSERT_NE(test, 0, window);

	/* Accesses with a PASID are no interrupts. */
	KUNIT_ASSERT_EQ(test, 0, bind(dev, space, &pasid));
	KUNIT_EXPECT_TRUE(test, is_free(window, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
}

static void s17_of_a_process_that_locks_its_memory(struct kunit *test)
{
	struct device *dev = device_with(test, HOLE, HOLE_LEN);
	struct sva_test_mm *space = sva_test_mm(test);
	int pasid;

	/* As mlockall(MCL_FUTURE) does. */
	mmap_write_lock(space->mm);
	space->mm->def_flags |= VM_LOCKED;
	mmap_write_unlock(space->mm);
	KUNIT_ASSERT_EQ(test, 0, bind(dev, space, &pasid));
	KUNIT_EXPECT_EQ(test, 0, space->mm->locked_vm);
	expect_carved(test, space->mm, HOLE, HOLE_LEN);
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
	KUNIT_EXPECT_EQ(test, 0, space->mm->locked_vm);
}

struct race {
	struct work_struct work;
	struct device *dev;
	struct sva_test_mm *space;
	int errors;
};

static void bind_and_unbind(struct work_struct *work)
{
	struct race *race = container_of(work, struct race, work);
	int i, pasid;

	for (i = 0; i < 200; i++) {
		if (bind(race->dev, race->space, &pasid) ||
		    iommu_sva_unbind_device(race->dev, pasid))
			race->errors++;
	}
}

static void s17_bind_races_with_the_last_unbind(struct kunit *test)
{
	struct sva_test_mm *space = sva_test_mm(test);
	struct race *races[2];
	int i;

	for (i = 0; i < ARRAY_SIZE(races); i++) {
		races[i] = kunit_kzalloc(test, sizeof(*races[i]), GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, races[i]);
		races[i]->dev = device_with(test, HOLE, HOLE_LEN);
		races[i]->space = space;
		INIT_WORK(&races[i]->work, bind_and_unbind);
	}
	for (i = 0; i < ARRAY_SIZE(races); i++)
		queue_work(system_dfl_wq, &races[i]->work);
	for (i = 0; i < ARRAY_SIZE(races); i++)
		flush_work(&races[i]->work);

	/* What one gives back the other does not take for the process's. */
	for (i = 0; i < ARRAY_SIZE(races); i++)
		KUNIT_EXPECT_EQ(test, 0, races[i]->errors);
	KUNIT_EXPECT_EQ(test, 0, count_carved(space->mm));
}

static void s18_regions_of_all_members(struct kunit *test)
{
	struct mock_smmu_device config = {
		.pasid_bits = 10,
		.group = 3001,
		.regions = { { HOLE, HOLE_LEN } },
	};
	struct sva_test_mm *space = sva_test_mm(test);
	struct device *a, *b;
	int pasid;

	a = sva_test_device(test, &config);
	config.pasid_bits = 0;
	config.regions[0].start = HOLE2;
	b = sva_test_device(test, &config);
	KUNIT_ASSERT_PTR_EQ(test, a->iommu_group, b->iommu_group);

	/* Also those of a member that has no bond: what the bus does is the same for both. */
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_group(a->iommu_group, space->mm, &pasid,
						      SVA_TEST_FLAGS, NULL));
	expect_carved(test, space->mm, HOLE, HOLE_LEN);
	expect_carved(test, space->mm, HOLE2, HOLE_LEN);
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_group(a->iommu_group, pasid));
	KUNIT_EXPECT_EQ(test, 0, count_carved(space->mm));
}

static void s18_bind_group_with_an_occupied_region(struct kunit *test)
{
	struct mock_smmu_device config = {
		.pasid_bits = 10,
		.group = 3002,
		.regions = { { HOLE, HOLE_LEN } },
	};
	struct sva_test_mm *space = sva_test_mm(test);
	struct device *a, *b;
	int pasid = -7;

	a = sva_test_device(test, &config);
	config.regions[0].start = HOLE2;
	b = sva_test_device(test, &config);
	KUNIT_ASSERT_PTR_EQ(test, a->iommu_group, b->iommu_group);

	KUNIT_ASSERT_EQ(test, HOLE2, map_at(HOLE2, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -EADDRINUSE, iommu_sva_bind_group(a->iommu_group, space->mm, &pasid,
								SVA_TEST_FLAGS, NULL));
	KUNIT_EXPECT_EQ(test, -7, pasid);
	KUNIT_EXPECT_EQ(test, 0, count_carved(space->mm));
	KUNIT_EXPECT_TRUE(test, is_free(HOLE, HOLE_LEN));
	KUNIT_EXPECT_EQ(test, 0, vm_munmap(HOLE2, PAGE_SIZE));
}

static struct kunit_case sva_reserved_cases[] = {
	KUNIT_CASE(s17_region_is_carved_out),
	KUNIT_CASE(s17_last_unbind_gives_it_back),
	KUNIT_CASE(s17_occupied_region_eaddrinuse),
	KUNIT_CASE(s17_second_region_occupied_changes_nothing),
	KUNIT_CASE(s17_occupied_region_leaves_other_bonds),
	KUNIT_CASE(s17_several_regions),
	KUNIT_CASE(s17_direct_region_overlaps_reserved),
	KUNIT_CASE(s17_two_devices_with_overlapping_regions),
	KUNIT_CASE(s17_region_around_another),
	KUNIT_CASE(s17_foreign_mm),
	KUNIT_CASE(s17_two_processes),
	KUNIT_CASE(s17_exit_with_carved_ranges),
	KUNIT_CASE(s17_exit_with_carved_ranges_and_handler),
	KUNIT_CASE(s17_shutdown_gives_it_back),
	KUNIT_CASE(s17_no_region_carves_nothing),
	KUNIT_CASE(s17_region_above_the_users_range),
	KUNIT_CASE(s17_msi_window_is_left_alone),
	KUNIT_CASE(s17_of_a_process_that_locks_its_memory),
	KUNIT_CASE(s17_bind_races_with_the_last_unbind),
	KUNIT_CASE(s18_regions_of_all_members),
	KUNIT_CASE(s18_bind_group_with_an_occupied_region),
	{}
};

struct kunit_suite sva_reserved_regions_suite = {
	.name = "sva_reserved_regions",
	.test_cases = sva_reserved_cases,
};
