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
	/* A driver is about to be called for the end of a bond. */
	SVA_TEST_STOPPING,
	/* A group of page requests is about to wait for its page. */
	SVA_TEST_WAITS,
};

/* Called by whoever passes a point, if not NULL; may sleep. Without lock: one test at a time. */
extern void (*sva_test_hook)(enum sva_test_point point);

#endif /* _LINUX_SVA_TEST_POINT_H */
