// SPDX-License-Identifier: GPL-2.0
/* Points that a KUnit suite can have a task stop at, to force an order of events. */

#include <linux/export.h>
#include <linux/sva_test_point.h>

#if IS_ENABLED(CONFIG_KUNIT)
static void (*sva_test_hook)(enum sva_test_point point);

/* Has @hook called by who passes a point from now on; NULL: nobody calls anything. */
void sva_test_set_hook(void (*hook)(enum sva_test_point point))
{
	WRITE_ONCE(sva_test_hook, hook);
}
EXPORT_SYMBOL_NS_GPL(sva_test_set_hook, "SVA_TEST");

static long sva_test_wait_ms;

/* Has page requests wait @ms at most from now on, instead of "wait_seconds"; 0: as that says. */
void sva_test_set_wait_ms(long ms)
{
	WRITE_ONCE(sva_test_wait_ms, ms);
}
EXPORT_SYMBOL_NS_GPL(sva_test_set_wait_ms, "SVA_TEST");

long rust_helper_sva_test_wait_ms(void)
{
	return READ_ONCE(sva_test_wait_ms);
}

void rust_helper_sva_test_point_pass(enum sva_test_point point)
{
	void (*hook)(enum sva_test_point point) = READ_ONCE(sva_test_hook);

	if (unlikely(hook))
		hook(point);
}
#endif
