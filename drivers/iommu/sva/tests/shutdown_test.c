// SPDX-License-Identifier: GPL-2.0
/* The end of a device's bonds, by its driver or without it: S11. */

#include <linux/platform_device.h>
#include <linux/sched/mm.h>
#include <trace/events/printk.h>

#include "fixture.h"

static void s11_unbind_all_and_shutdown_end_bonds(struct kunit *test)
{
	struct device *dev = sva_test_device(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test);
	struct mm_struct *other = mm_alloc();
	int first, second;
	u64 value;

	KUNIT_ASSERT_NOT_NULL(test, other);
	/* However often they were bound. */
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(dev, space->mm, &first, SVA_TEST_FLAGS,
						       NULL));
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(dev, space->mm, &first, SVA_TEST_FLAGS,
						       NULL));
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(dev, other, &second, SVA_TEST_FLAGS,
						       NULL));
	KUNIT_EXPECT_NE(test, first, second);
	__iommu_sva_unbind_dev_all(dev);
	KUNIT_EXPECT_NE(test, 0, sva_test_read(dev, first, space->addr, &value));
	KUNIT_EXPECT_EQ(test, -ESRCH, iommu_sva_unbind_device(dev, first));
	KUNIT_EXPECT_EQ(test, -ESRCH, iommu_sva_unbind_device(dev, second));

	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(dev, space->mm, &first, SVA_TEST_FLAGS,
						       NULL));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_device_shutdown(dev));
	KUNIT_EXPECT_NE(test, 0, sva_test_read(dev, first, space->addr, &value));
	mmput(other);
}

/* The messages of the kernel that have a text in them. */
struct messages {
	const char *text;
	atomic_t count;
};

static void note_message(void *data, const char *text, size_t len)
{
	struct messages *messages = data;

	if (strnstr(text, messages->text, len))
		atomic_inc(&messages->count);
}

static void stop_noting(void *messages)
{
	unregister_trace_console(note_message, messages);
	tracepoint_synchronize_unregister();
}

static struct messages *count_messages(struct kunit *test, const char *text)
{
	struct messages *messages = kunit_kzalloc(test, sizeof(*messages), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, messages);
	messages->text = text;
	KUNIT_ASSERT_EQ(test, 0, register_trace_console(note_message, messages));
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, stop_noting, messages));
	return messages;
}

static void s11_driver_that_forgets(struct kunit *test)
{
	struct messages *of_ours = count_messages(test, "driver left 2 bonds behind");
	struct messages *any = count_messages(test, "bonds behind");
	struct device *dev = sva_test_device(test, NULL);
	struct sva_test_device *state = dev_get_drvdata(dev);
	struct sva_test_mm *space = sva_test_mm(test);
	struct mm_struct *other = mm_alloc();
	int pasid, second, again;
	u64 value;

	KUNIT_ASSERT_NOT_NULL(test, other);
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(dev, space->mm, &pasid, SVA_TEST_FLAGS,
						       NULL));
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(dev, space->mm, &pasid, SVA_TEST_FLAGS,
						       NULL));
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(dev, other, &second, SVA_TEST_FLAGS,
						       NULL));
	/* So that remove() does not call device_shutdown. */
	state->init_error = -EIO;
	device_release_driver(dev);
	KUNIT_EXPECT_NE(test, 0, sva_test_read(dev, pasid, space->addr, &value));
	/* One warning, however many bonds there were. */
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&of_ours->count));
	KUNIT_EXPECT_EQ(test, 1, atomic_read(&any->count));
	mmput(other);

	KUNIT_ASSERT_EQ(test, 1, device_attach(dev));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_bind_device(dev, space->mm, &again, SVA_TEST_FLAGS,
						       NULL));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, again));
}

static void s11_driver_that_forgets_without_bonds(struct kunit *test)
{
	struct messages *any = count_messages(test, "bonds behind");
	struct device *dev = sva_test_device(test, NULL);
	struct sva_test_device *state = dev_get_drvdata(dev);
	struct sva_test_mm *space = sva_test_mm(test);
	int pasid;

	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(dev, space->mm, &pasid, SVA_TEST_FLAGS,
						       NULL));
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
	state->init_error = -EIO;
	device_release_driver(dev);
	KUNIT_EXPECT_EQ(test, 0, atomic_read(&any->count));
	KUNIT_ASSERT_EQ(test, 1, device_attach(dev));
}

static struct kunit_case sva_shutdown_cases[] = {
	KUNIT_CASE(s11_unbind_all_and_shutdown_end_bonds),
	KUNIT_CASE(s11_driver_that_forgets),
	KUNIT_CASE(s11_driver_that_forgets_without_bonds),
	{}
};

struct kunit_suite sva_shutdown_suite = {
	.name = "sva_shutdown",
	.test_cases = sva_shutdown_cases,
};
