// SPDX-License-Identifier: GPL-2.0
/* Reserved regions: what is carved out, and when it is not: S17. */

#include "reserved_case.h"

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
	KUNIT_CASE(s17_no_region_carves_nothing),
	KUNIT_CASE(s17_region_above_the_users_range),
	KUNIT_CASE(s17_msi_window_is_left_alone),
	KUNIT_CASE(s17_of_a_process_that_locks_its_memory),
	{}
};

struct kunit_suite sva_reserved_regions_suite = {
	.name = "sva_reserved_regions",
	.test_cases = sva_reserved_cases,
};
