// SPDX-License-Identifier: GPL-2.0
/*
 * Every allocation of every call fails in turn: the call gives an error that it
 * documents, or does without; nothing is left behind; and the same call works
 * afterwards.
 *
 * Needs a kernel with fault injection, and failslab/ignore-gfp-wait set to N.
 */

#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "fixture.h"

/* No call allocates more often than this. */
#define MOST	200

#ifdef CONFIG_FAULT_INJECTION
static void fail_nth(unsigned int n)
{
	WRITE_ONCE(current->fail_nth, n);
}

/* Ends the injection; whether the allocation that was to fail has been reached. */
static bool failed(void)
{
	bool reached = !READ_ONCE(current->fail_nth);

	WRITE_ONCE(current->fail_nth, 0);
	return reached;
}
#else
static void fail_nth(unsigned int n)
{
}

static bool failed(void)
{
	return false;
}
#endif

static int alloc_init(struct kunit *test)
{
	void *memory;

	fail_nth(1);
	memory = kmalloc(8, GFP_KERNEL);
	failed();
	kfree(memory);
	if (memory)
		kunit_skip(test, "this kernel fails no allocations on request");
	return 0;
}

/* A call, and what undoes it. */
struct sweep {
	int (*call)(void *context);
	int (*undo)(void *context);
	void *context;
};

/* Fails each allocation of the call once. How often that made it fail. */
static unsigned int sweep_once(struct kunit *test, const struct sweep *sweep, int also)
{
	unsigned int n, errors = 0;

	for (n = 1; n <= MOST; n++) {
		bool reached;
		int ret;

		fail_nth(n);
		ret = sweep->call(sweep->context);
		reached = failed();

		if (ret) {
			KUNIT_EXPECT_TRUE_MSG(test, ret == -ENOMEM || ret == also,
					      "allocation %u gave %d", n, ret);
			errors++;
			ret = sweep->call(sweep->context);
			KUNIT_EXPECT_EQ_MSG(test, 0, ret, "after allocation %u", n);
		}
		if (!ret)
			KUNIT_EXPECT_EQ_MSG(test, 0, sweep->undo(sweep->context),
					    "after allocation %u", n);
		if (!reached)
			break;
	}
	KUNIT_EXPECT_LE(test, n, MOST);
	return errors;
}

/*
 * @also: an errno that the call may give beside -ENOMEM.
 *
 * The slab allocator has allocations of its own, now and then, which it can do without.
 * One of those may fail in place of one of the call's.
 */
static void sweep(struct kunit *test, const struct sweep *sweep, int also)
{
	unsigned int errors = 0, tries;

	for (tries = 0; !errors && tries < 10; tries++)
		errors = sweep_once(test, sweep, also);
	KUNIT_EXPECT_GT(test, errors, 0);
}

struct alloc_case {
	struct device *dev;
	struct mm_struct *mm;
	unsigned long flags;
	unsigned long addr;
	size_t len;
	int pasid;
};

static int call_init(void *context)
{
	struct alloc_case *c = context;

	return iommu_sva_device_init(c->dev, SVA_TEST_FLAGS, 0);
}

static int undo_init(void *context)
{
	struct alloc_case *c = context;

	return iommu_sva_device_shutdown(c->dev);
}

static int call_bind(void *context)
{
	struct alloc_case *c = context;

	return iommu_sva_bind_device(c->dev, c->mm, &c->pasid, c->flags, NULL);
}

static int undo_bind(void *context)
{
	struct alloc_case *c = context;

	return iommu_sva_unbind_device(c->dev, c->pasid);
}

static int call_bind_group(void *context)
{
	struct alloc_case *c = context;

	return iommu_sva_bind_group(c->dev->iommu_group, c->mm, &c->pasid, c->flags, NULL);
}

static int undo_bind_group(void *context)
{
	struct alloc_case *c = context;

	return iommu_sva_unbind_group(c->dev->iommu_group, c->pasid);
}

static int call_pin(void *context)
{
	struct alloc_case *c = context;

	return sva_pin_range(c->dev, c->pasid, c->addr, c->len, true);
}

static int undo_pin(void *context)
{
	struct alloc_case *c = context;

	return sva_unpin_range(c->dev, c->pasid, c->addr, c->len);
}

static int no_exit(struct device *dev, int pasid, void *drvdata)
{
	return 0;
}

static int call_watch(void *context)
{
	struct alloc_case *c = context;

	return sva_test_watch_exit(c->dev, no_exit);
}

static int undo_watch(void *context)
{
	struct alloc_case *c = context;

	return iommu_unregister_mm_exit_handler(c->dev);
}

static struct alloc_case alloc_case(struct kunit *test, const struct mock_smmu_device *config)
{
	struct sva_test_mm *space = sva_test_mm(test);

	return (struct alloc_case) {
		.dev = sva_test_device(test, config),
		.mm = space->mm,
		.flags = SVA_TEST_FLAGS,
		.addr = space->addr,
		.len = space->len,
	};
}

static void alloc_device_init(struct kunit *test)
{
	struct alloc_case c = alloc_case(test, NULL);

	KUNIT_ASSERT_EQ(test, 0, iommu_sva_device_shutdown(c.dev));
	sweep(test, &(struct sweep) { call_init, undo_init, &c }, 0);
}

static void alloc_bind_device(struct kunit *test)
{
	struct alloc_case c = alloc_case(test, NULL);

	/* The kernel's allocator of PASIDs gives no other error than that it has none. */
	sweep(test, &(struct sweep) { call_bind, undo_bind, &c }, -ENOSPC);
}

static void alloc_bind_with_exit_handler(struct kunit *test)
{
	struct alloc_case c = alloc_case(test, NULL);

	KUNIT_ASSERT_EQ(test, 0, sva_test_watch_exit(c.dev, no_exit));
	sweep(test, &(struct sweep) { call_bind, undo_bind, &c }, -ENOSPC);
	KUNIT_EXPECT_EQ(test, 0, iommu_unregister_mm_exit_handler(c.dev));
}

static void alloc_bind_without_pasid(struct kunit *test)
{
	struct alloc_case c = alloc_case(test, NULL);

	c.flags = IOMMU_SVA_FEAT_IOPF;
	sweep(test, &(struct sweep) { call_bind, undo_bind, &c }, 0);
}

static void alloc_bind_that_carves(struct kunit *test)
{
	static const struct mock_smmu_device config = {
		.pasid_bits = 10,
		.regions = { { .start = 0x10000000, .len = 2 * PAGE_SIZE } },
	};
	struct alloc_case c = alloc_case(test, &config);

	sweep(test, &(struct sweep) { call_bind, undo_bind, &c }, -ENOSPC);
}

/* The last unbind gives what was carved out back, whatever fails. */
static void alloc_unbind_that_gives_back(struct kunit *test)
{
	static const struct mock_smmu_device config = {
		.pasid_bits = 10,
		.regions = { { .start = 0x10000000, .len = 2 * PAGE_SIZE } },
	};
	struct alloc_case c = alloc_case(test, &config);
	int maps = c.mm->map_count;
	unsigned int n;
	bool reached = true;

	for (n = 1; reached && n <= MOST; n++) {
		KUNIT_ASSERT_EQ_MSG(test, 0, call_bind(&c), "before allocation %u", n);
		fail_nth(n);
		KUNIT_EXPECT_EQ(test, 0, undo_bind(&c));
		reached = failed();
		KUNIT_EXPECT_EQ_MSG(test, maps, c.mm->map_count, "after allocation %u", n);
	}
	KUNIT_EXPECT_GT(test, n, 2);
}

static void alloc_bind_group(struct kunit *test)
{
	static const struct mock_smmu_device config = { .pasid_bits = 10, .group = 77 };
	struct alloc_case c = alloc_case(test, &config);

	sva_test_device(test, &config);
	sweep(test, &(struct sweep) { call_bind_group, undo_bind_group, &c }, -ENOSPC);
}

static void alloc_pin_range(struct kunit *test)
{
	struct alloc_case c = alloc_case(test, NULL);

	c.flags = IOMMU_SVA_FEAT_PASID;
	KUNIT_ASSERT_EQ(test, 0, call_bind(&c));
	sweep(test, &(struct sweep) { call_pin, undo_pin, &c }, 0);
	KUNIT_EXPECT_EQ(test, 0, undo_bind(&c));
}

static void alloc_register_exit_handler(struct kunit *test)
{
	struct alloc_case c = alloc_case(test, NULL);

	KUNIT_ASSERT_EQ(test, 0, call_bind(&c));
	sweep(test, &(struct sweep) { call_watch, undo_watch, &c }, 0);
	KUNIT_EXPECT_EQ(test, 0, undo_bind(&c));
}

static struct kunit_case sva_alloc_cases[] = {
	KUNIT_CASE(alloc_device_init),
	KUNIT_CASE(alloc_bind_device),
	KUNIT_CASE(alloc_bind_with_exit_handler),
	KUNIT_CASE(alloc_bind_without_pasid),
	KUNIT_CASE(alloc_bind_that_carves),
	KUNIT_CASE(alloc_unbind_that_gives_back),
	KUNIT_CASE(alloc_bind_group),
	KUNIT_CASE(alloc_pin_range),
	KUNIT_CASE(alloc_register_exit_handler),
	{}
};

struct kunit_suite sva_alloc_suite = {
	.name = "sva_alloc",
	.init = alloc_init,
	.test_cases = sva_alloc_cases,
};
