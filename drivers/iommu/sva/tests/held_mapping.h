/* SPDX-License-Identifier: GPL-2.0 */
/* Pages that do not come. */
#ifndef SVA_TEST_HELD_MAPPING_H
#define SVA_TEST_HELD_MAPPING_H

#include <linux/kthread.h>
#include <linux/mm.h>

#include "fixture.h"

/*
 * A mapping that is just being changed, for as long as a test wants: page requests for it wait. By
 * a thread of its own, since a bind takes mmap_lock inside the core's locks, and not the reverse.
 */
struct held_mapping {
	struct sva_test_mm *space;
	struct completion held, let_go, done;
};

static inline int hold_thread(void *arg)
{
	struct held_mapping *mapping = arg;
	struct mm_struct *mm = mapping->space->mm;

	mmap_write_lock(mm);
	vma_start_write(find_vma(mm, mapping->space->addr));
	complete(&mapping->held);
	wait_for_completion(&mapping->let_go);
	mmap_write_unlock(mm);
	complete(&mapping->done);
	return 0;
}

static inline void hold(struct kunit *test, struct held_mapping *mapping, struct sva_test_mm *space)
{
	mapping->space = space;
	init_completion(&mapping->held);
	init_completion(&mapping->let_go);
	init_completion(&mapping->done);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, kthread_run(hold_thread, mapping, "sva_hold"));
	wait_for_completion(&mapping->held);
}

static inline void let_go(struct held_mapping *mapping)
{
	complete(&mapping->let_go);
	wait_for_completion(&mapping->done);
}

#endif /* SVA_TEST_HELD_MAPPING_H */
