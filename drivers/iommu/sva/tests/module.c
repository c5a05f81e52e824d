// SPDX-License-Identifier: GPL-2.0
/* The module: a driver for the test devices, and the suites. */

#include <linux/module.h>
#include <linux/platform_device.h>

#include "fixture.h"

kunit_test_suites(&sva_bind_suite, &sva_count_suite, &sva_exit_suite, &sva_group_suite,
		  &sva_fault_suite, &sva_pin_suite, &sva_pin_release_suite,
		  &sva_reserved_regions_suite, &sva_rid_suite, &sva_stub_suite, &sva_alloc_suite,
		  &sva_trace_suite);

module_platform_driver(sva_test_driver);

MODULE_DESCRIPTION("KUnit suites for shared virtual addressing");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");
MODULE_IMPORT_NS("MOCK_SMMU");
