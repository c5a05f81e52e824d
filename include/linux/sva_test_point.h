/* SPDX-License-Identifier: GPL-2.0 */
/* Where tasks pass in sva_core: for KUnit suites that force an order of events. */
#ifndef _LINUX_SVA_TEST_POINT_H
#define _LINUX_SVA_TEST_POINT_H

enum sva_test_point {
	/* A bond is listed, and not attached yet. */
	SVA_TEST_LISTED,
	/* A bond has been detached, and is listed still. */
	SVA_TEST_DETACHED,
	/* The first member of a group has been bound, and the others have not. */
	SVA_TEST_FIRST_MEMBER,
	/* A group's bond has been unbound, and its members have not ended. */
	SVA_TEST_GROUP_UNBOUND,
	/* A driver is about to be called for the end of a bond. */
	SVA_TEST_STOPPING,
	/* A group of page requests is about to wait for its page. */
	SVA_TEST_WAITS,
};

/*
 * sva_test_set_hook() - have a function called by whoever passes a point
 * @hook: the function, which may sleep; NULL for none
 *
 * One test at a time, which keeps @hook until all have passed that it lets pass.
 */
void sva_test_set_hook(void (*hook)(enum sva_test_point point));

/*
 * sva_test_set_wait_ms() - change how long page requests may wait for their pages
 * @ms: how long, in milliseconds; 0 for what the module parameter "wait_seconds" says
 */
void sva_test_set_wait_ms(long ms);

#endif /* _LINUX_SVA_TEST_POINT_H */
