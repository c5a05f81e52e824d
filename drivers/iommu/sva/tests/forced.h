/* SPDX-License-Identifier: GPL-2.0 */
/* Orders of events that are forced: one task stops at a point of the core, another acts. */
#ifndef SVA_TEST_FORCED_H
#define SVA_TEST_FORCED_H

#include <linux/sva_test_point.h>

#include "fixture.h"

/* Whether the task at the point waits for the end of the other's action. */
enum forced_wait {
	FORCED_TO_THE_END,
	/* The action needs what the task at the point holds: it gets time enough to get there. */
	FORCED_A_WHILE,
};

/*
 * The first task that passes @point has @act called in a thread of its own, and waits as @wait
 * says. Until the test ends, or the next force().
 */
void force(struct kunit *test, enum sva_test_point point, enum forced_wait wait,
	   int (*act)(void *arg), void *arg);

/* What the action gave, once it has ended; -EAGAIN if nobody passes the point in 30 seconds. */
int forced_result(void);

/* Whether the action waited for the task to go on from the point: after forced_result(). */
bool forced_waited(void);

#endif /* SVA_TEST_FORCED_H */
