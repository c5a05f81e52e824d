// SPDX-License-Identifier: GPL-2.0
/* The exit of a process that is bound: S8, S9. */

#include <linux/delay.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "fixture.h"

/* What a test passes as drvdata. */
struct exit_record {
	struct completion called;
	struct device *dev;
	int pasid;
	int calls;
	/* What an access, and an unbind, gave within the handler. */
	int access_error;
	int unbind_error;
	bool unbind;
	/* The handler waits for this, if it is not NULL. */
	struct completion *go_on;
};

static int record_exit(struct device *dev, int pasid, void *drvdata)
{
	struct exit_record *record = drvdata;
	u64 value;

	record->dev = dev;
	record->pasid = pasid;
	record->calls++;
	record->access_error = sva_test_read(dev, pasid, PAGE_SIZE, &value);
	complete(&record->called);
	if (record->go_on)
		wait_for_completion(record->go_on);
	if (record->unbind)
		record->unbind_error = iommu_sva_unbind_device(dev, pasid);
	return 0;
}

static struct exit_record *new_record(struct kunit *test)
{
	struct exit_record *record = kunit_kzalloc(test, sizeof(*record), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, record);
	init_completion(&record->called);
	return record;
}

static bool exit_seen(struct exit_record *record)
{
	return wait_for_completion_timeout(&record->called, 10 * HZ);
}

/* The handler has returned and its bond has ended, which the unregistering waits for. */
static void stop_watching(struct kunit *test, struct device *dev)
{
	KUNIT_EXPECT_EQ(test, 0, iommu_unregister_mm_exit_handler(dev));
}

static void s8_handler_is_told(struct kunit *test)
{
	struct device *dev = sva_test_device(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test);
	struct exit_record *record = new_record(test);
	int pasid;
	u64 value;

	KUNIT_ASSERT_EQ(test, 0, sva_test_watch_exit(dev, record_exit));
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(dev, space->mm, &pasid, SVA_TEST_FLAGS,
						       record));
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(dev, pasid, space->addr, &value));
	sva_test_mm_exit(test, space);

	KUNIT_ASSERT_TRUE(test, exit_seen(record));
	stop_watching(test, dev);
	KUNIT_EXPECT_PTR_EQ(test, dev, record->dev);
	KUNIT_EXPECT_EQ(test, pasid, record->pasid);
	KUNIT_EXPECT_EQ(test, 1, record->calls);
	KUNIT_EXPECT_NE(test, 0, record->access_error);
	/* S9: the bond is gone. */
	KUNIT_EXPECT_EQ(test, -ESRCH, iommu_sva_unbind_device(dev, pasid));
}

/* Whether the device has a bond under the PASID, of a process that may be gone. */
static bool has_bond(struct device *dev, int pasid)
{
	return sva_unpin_range(dev, pasid, PAGE_SIZE, PAGE_SIZE) == -ENOENT;
}

/* Has a process bound and exit; its PASID. */
static int exited(struct kunit *test, struct device *dev, struct exit_record *record, int binds)
{
	struct sva_test_mm *space = sva_test_mm(test);
	int pasid = 0;

	reinit_completion(&record->called);
	while (binds--)
		KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(dev, space->mm, &pasid,
							       SVA_TEST_FLAGS, record));
	sva_test_mm_exit(test, space);
	KUNIT_ASSERT_TRUE(test, exit_seen(record));
	/* The bond ends when the handler has returned. */
	for (int i = 0; i < 1500 && has_bond(dev, pasid); i++)
		msleep(20);
	return pasid;
}

/*
 * A driver that unbinds late, though it has heard of the exit. The process that comes
 * next does not lose its bond by that.
 */
static void s9_late_unbind_hits_nobody(struct kunit *test)
{
	struct mock_smmu_device config = { .pasid_bits = 4 };
	struct device *dev = sva_test_device(test, &config);
	struct exit_record *record = new_record(test);
	struct sva_test_mm *next;
	int gone, pasid;
	u64 value;

	KUNIT_ASSERT_EQ(test, 0, sva_test_watch_exit(dev, record_exit));
	gone = exited(test, dev, record, 2);
	next = sva_test_mm(test);
	for (int late = 0; late < 2; late++) {
		KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(dev, next->mm, &pasid,
							       SVA_TEST_FLAGS, NULL));
		KUNIT_EXPECT_NE(test, gone, pasid);
		KUNIT_EXPECT_EQ(test, -ESRCH, iommu_sva_unbind_device(dev, gone));
		KUNIT_EXPECT_EQ(test, 0, sva_test_read(dev, pasid, next->addr, &value));
		KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
	}
	/* It was bound twice, and unbound twice: the number may be had again. */
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(dev, next->mm, &pasid, SVA_TEST_FLAGS,
						       NULL));
	KUNIT_EXPECT_GE(test, gone, pasid);
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
	stop_watching(test, dev);
}

/* A driver that never unbinds late, as it should: its PASIDs do not run out. */
static void s9_no_late_unbind(struct kunit *test)
{
	struct mock_smmu_device config = { .pasid_bits = 3 };
	struct device *dev = sva_test_device(test, &config);
	struct exit_record *record = new_record(test);

	KUNIT_ASSERT_EQ(test, 0, sva_test_watch_exit(dev, record_exit));
	for (int i = 0; i < 20; i++)
		exited(test, dev, record, 1);
	stop_watching(test, dev);
}

static void s8_handler_that_unbinds(struct kunit *test)
{
	struct device *dev = sva_test_device(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test);
	struct exit_record *record = new_record(test);
	int pasid;

	record->unbind = true;
	KUNIT_ASSERT_EQ(test, 0, sva_test_watch_exit(dev, record_exit));
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(dev, space->mm, &pasid, SVA_TEST_FLAGS,
						       record));
	sva_test_mm_exit(test, space);
	KUNIT_ASSERT_TRUE(test, exit_seen(record));
	stop_watching(test, dev);
	KUNIT_EXPECT_EQ(test, 0, record->unbind_error);
	KUNIT_EXPECT_EQ(test, -ESRCH, iommu_sva_unbind_device(dev, pasid));
}

static void s8_handler_registered_after_bind(struct kunit *test)
{
	struct device *dev = sva_test_device(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test);
	struct exit_record *record = new_record(test);
	int pasid;

	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(dev, space->mm, &pasid, SVA_TEST_FLAGS,
						       record));
	KUNIT_ASSERT_EQ(test, 0, sva_test_watch_exit(dev, record_exit));
	KUNIT_EXPECT_EQ(test, -EBUSY, sva_test_watch_exit(dev, record_exit));
	sva_test_mm_exit(test, space);
	KUNIT_EXPECT_TRUE(test, exit_seen(record));
	stop_watching(test, dev);
	KUNIT_EXPECT_EQ(test, -EINVAL, iommu_unregister_mm_exit_handler(dev));
}

static void s8_two_devices_on_one_mm(struct kunit *test)
{
	struct device *a = sva_test_device(test, NULL);
	struct device *b = sva_test_device(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test);
	struct exit_record *of_a = new_record(test), *of_b = new_record(test);
	int pasid;

	KUNIT_ASSERT_EQ(test, 0, sva_test_watch_exit(a, record_exit));
	KUNIT_ASSERT_EQ(test, 0, sva_test_watch_exit(b, record_exit));
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(a, space->mm, &pasid, SVA_TEST_FLAGS,
						       of_a));
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(b, space->mm, &pasid, SVA_TEST_FLAGS,
						       of_b));
	sva_test_mm_exit(test, space);
	KUNIT_EXPECT_TRUE(test, exit_seen(of_a));
	KUNIT_EXPECT_TRUE(test, exit_seen(of_b));
	stop_watching(test, a);
	stop_watching(test, b);
	KUNIT_EXPECT_PTR_EQ(test, a, of_a->dev);
	KUNIT_EXPECT_PTR_EQ(test, b, of_b->dev);
}

static void s9_without_handler_the_pasid_stays_reserved(struct kunit *test)
{
	struct device *dev = sva_test_device(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test), *next;
	int pasid, other;
	u64 value;

	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(dev, space->mm, &pasid, SVA_TEST_FLAGS,
						       NULL));
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(dev, pasid, space->addr, &value));
	sva_test_mm_exit(test, space);

	/* Quiet, and nobody else's. */
	KUNIT_EXPECT_NE(test, 0, sva_test_read(dev, pasid, space->addr, &value));
	next = sva_test_mm(test);
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(dev, next->mm, &other, SVA_TEST_FLAGS,
						       NULL));
	KUNIT_EXPECT_NE(test, pasid, other);
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(dev, other, next->addr, &value));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, other));
}

static void s9_bind_of_a_dead_mm(struct kunit *test)
{
	struct device *dev = sva_test_device(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test);
	struct mm_struct *mm = space->mm;
	int pasid = -7;

	mmgrab(mm);
	sva_test_mm_exit(test, space);
	KUNIT_EXPECT_EQ(test, -ESRCH, iommu_sva_bind_device(dev, mm, &pasid, SVA_TEST_FLAGS,
							    NULL));
	KUNIT_EXPECT_EQ(test, -7, pasid);
	mmdrop(mm);
}

struct late_unbind {
	struct work_struct work;
	struct device *dev;
	int pasid;
	int error;
	struct completion done;
};

static void late_unbind(struct work_struct *work)
{
	struct late_unbind *late = container_of(work, struct late_unbind, work);

	late->error = iommu_sva_unbind_device(late->dev, late->pasid);
	complete(&late->done);
}

static void s8_unbind_waits_for_the_handler(struct kunit *test)
{
	struct device *dev = sva_test_device(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test);
	struct exit_record *record = new_record(test);
	struct late_unbind *late = kunit_kzalloc(test, sizeof(*late), GFP_KERNEL);
	struct completion *go_on = kunit_kzalloc(test, sizeof(*go_on), GFP_KERNEL);
	bool early;

	KUNIT_ASSERT_NOT_NULL(test, late);
	KUNIT_ASSERT_NOT_NULL(test, go_on);
	init_completion(go_on);
	init_completion(&late->done);
	INIT_WORK(&late->work, late_unbind);
	late->dev = dev;
	record->go_on = go_on;

	KUNIT_ASSERT_EQ(test, 0, sva_test_watch_exit(dev, record_exit));
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(dev, space->mm, &late->pasid,
						       SVA_TEST_FLAGS, record));
	sva_test_mm_exit(test, space);
	KUNIT_ASSERT_TRUE(test, exit_seen(record));

	/* The handler runs: drvdata must not go while it does. */
	queue_work(system_dfl_wq, &late->work);
	early = wait_for_completion_timeout(&late->done, HZ / 10);
	complete(go_on);
	KUNIT_EXPECT_FALSE(test, early);
	if (!early)
		KUNIT_EXPECT_NE(test, 0, wait_for_completion_timeout(&late->done, 10 * HZ));
	KUNIT_EXPECT_EQ(test, -ESRCH, late->error);
	stop_watching(test, dev);
}

static struct kunit_case sva_exit_cases[] = {
	KUNIT_CASE(s8_handler_is_told),
	KUNIT_CASE(s8_handler_that_unbinds),
	KUNIT_CASE(s9_late_unbind_hits_nobody),
	KUNIT_CASE(s9_no_late_unbind),
	KUNIT_CASE(s8_handler_registered_after_bind),
	KUNIT_CASE(s8_two_devices_on_one_mm),
	KUNIT_CASE(s8_unbind_waits_for_the_handler),
	KUNIT_CASE(s9_without_handler_the_pasid_stays_reserved),
	KUNIT_CASE(s9_bind_of_a_dead_mm),
	{}
};

struct kunit_suite sva_exit_suite = {
	.name = "sva_exit",
	.test_cases = sva_exit_cases,
};
