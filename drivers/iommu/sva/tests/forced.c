// SPDX-License-Identifier: GPL-2.0
/* Orders of events that are forced: see forced.h. */

#include <linux/delay.h>
#include <linux/kthread.h>

#include "forced.h"

static struct {
	enum sva_test_point point;
	enum forced_wait wait;
	atomic_t armed;
	int (*act)(void *arg);
	void *arg;
	int result;
	/* Whether the task had left the point when the action ended. */
	bool left, waited_for;
	struct completion done;
} forced;

static int forced_thread(void *arg)
{
	forced.result = forced.act(forced.arg);
	forced.waited_for = READ_ONCE(forced.left);
	complete_all(&forced.done);
	return 0;
}

static void at_point(enum sva_test_point point)
{
	if (point != forced.point || !atomic_cmpxchg(&forced.armed, 1, 0))
		return;
	if (IS_ERR(kthread_run(forced_thread, NULL, "sva_forced"))) {
		forced.result = -ENOMEM;
		complete_all(&forced.done);
		return;
	}
	if (forced.wait == FORCED_TO_THE_END)
		wait_for_completion(&forced.done);
	else
		msleep(50);
	WRITE_ONCE(forced.left, true);
}

static void no_hook(void *unused)
{
	sva_test_set_hook(NULL);
	/* Who has read it before has passed, since what a test starts it waits for. */
}

void force(struct kunit *test, enum sva_test_point point, enum forced_wait wait,
	   int (*act)(void *arg), void *arg)
{
	forced.point = point;
	forced.wait = wait;
	forced.act = act;
	forced.arg = arg;
	forced.left = false;
	forced.waited_for = false;
	init_completion(&forced.done);
	atomic_set(&forced.armed, 1);
	sva_test_set_hook(at_point);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, no_hook, NULL));
}

int forced_result(void)
{
	if (!wait_for_completion_timeout(&forced.done, 30 * HZ) &&
	    atomic_xchg(&forced.armed, 0))
		return -EAGAIN;
	/* Or it takes its time. */
	wait_for_completion(&forced.done);
	return forced.result;
}

bool forced_waited(void)
{
	return forced.waited_for;
}
