// SPDX-License-Identifier: GPL-2.0
/* The trace event of carving; programs test the others. */

#include <linux/mman.h>
#include <trace/events/sva.h>

#include "fixture.h"

#define HOLE	0x40000000UL
#define HOLE2	0x50000000UL

#define MOST	8

/* What the event told. */
struct carve_log {
	/* Probes may run side by side. */
	spinlock_t lock;
	int count;
	struct {
		u64 start;
		u64 end;
		bool taken;
	} seen[MOST];
};

static void note_carve(void *data, u64 start, u64 end, bool taken)
{
	struct carve_log *log = data;

	spin_lock(&log->lock);
	if (log->count < MOST) {
		log->seen[log->count].start = start;
		log->seen[log->count].end = end;
		log->seen[log->count].taken = taken;
	}
	log->count++;
	spin_unlock(&log->lock);
}

static void stop_noting(void *log)
{
	unregister_trace_carve(note_carve, log);
	tracepoint_synchronize_unregister();
}

static struct carve_log *carve_log(struct kunit *test)
{
	struct carve_log *log = kunit_kzalloc(test, sizeof(*log), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, log);
	spin_lock_init(&log->lock);
	KUNIT_ASSERT_EQ(test, 0, register_trace_carve(note_carve, log));
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, stop_noting, log));
	return log;
}

static void expect_carve(struct kunit *test, struct carve_log *log, int at, u64 start, u64 end,
			 bool taken)
{
	KUNIT_EXPECT_EQ(test, start, log->seen[at].start);
	KUNIT_EXPECT_EQ(test, end, log->seen[at].end);
	KUNIT_EXPECT_EQ(test, taken, log->seen[at].taken);
}

static struct device *device_with_two(struct kunit *test)
{
	struct mock_smmu_device config = {
		.pasid_bits = 10,
		.regions = { { HOLE, PAGE_SIZE }, { HOLE2, 2 * PAGE_SIZE } },
	};

	return sva_test_device(test, &config);
}

static void s17_carve_is_traced(struct kunit *test)
{
	struct device *dev = device_with_two(test);
	struct sva_test_mm *space = sva_test_mm(test);
	struct carve_log *log = carve_log(test);
	int pasid;

	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(dev, space->mm, &pasid, SVA_TEST_FLAGS,
						       NULL));
	KUNIT_ASSERT_EQ(test, 2, log->count);
	expect_carve(test, log, 0, HOLE, HOLE + PAGE_SIZE, true);
	expect_carve(test, log, 1, HOLE2, HOLE2 + 2 * PAGE_SIZE, true);
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
	KUNIT_ASSERT_EQ(test, 4, log->count);
	expect_carve(test, log, 2, HOLE, HOLE + PAGE_SIZE, false);
	expect_carve(test, log, 3, HOLE2, HOLE2 + 2 * PAGE_SIZE, false);
}

static void s17_carve_that_fails_is_traced(struct kunit *test)
{
	struct device *dev = device_with_two(test);
	struct sva_test_mm *space = sva_test_mm(test);
	struct carve_log *log = carve_log(test);
	int pasid;

	KUNIT_ASSERT_EQ(test, HOLE2, vm_mmap(NULL, HOLE2, PAGE_SIZE, PROT_READ,
					     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
					     0));
	KUNIT_EXPECT_EQ(test, -EADDRINUSE, iommu_sva_bind_device(dev, space->mm, &pasid,
								 SVA_TEST_FLAGS, NULL));
	KUNIT_ASSERT_EQ(test, 2, log->count);
	expect_carve(test, log, 0, HOLE, HOLE + PAGE_SIZE, true);
	expect_carve(test, log, 1, HOLE, HOLE + PAGE_SIZE, false);
}

static struct kunit_case sva_trace_cases[] = {
	KUNIT_CASE(s17_carve_is_traced),
	KUNIT_CASE(s17_carve_that_fails_is_traced),
	{}
};

struct kunit_suite sva_trace_suite = {
	.name = "sva_trace",
	.test_cases = sva_trace_cases,
};
