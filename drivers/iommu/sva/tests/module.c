// SPDX-License-Identifier: GPL-2.0
/* The module: a driver for the test devices, a file for programs, and the suites. */

#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/platform_device.h>

#include "fixture.h"

unsigned int sva_test_rounds = 1;
module_param_named(rounds, sva_test_rounds, uint, 0444);
MODULE_PARM_DESC(rounds, "how often tests of races do what they do");

kunit_test_suites(&sva_bind_suite, &sva_shutdown_suite, &sva_exit_suite, &sva_group_suite,
		  &sva_pci_suite, &sva_fault_suite, &sva_pin_suite, &sva_pin_release_suite,
		  &sva_reserved_regions_suite, &sva_reserved_life_suite, &sva_rid_suite,
		  &sva_rid_device_suite, &sva_rid_dma_suite, &sva_stall_suite, &sva_stub_suite,
		  &sva_alloc_suite, &sva_trace_suite, &sva_count_suite, &sva_port_suite,
		  &sva_race_suite, &sva_race_group_suite, &sva_race_fault_suite, &sva_handle_suite,
		  &sva_rights_suite, &sva_refusals_suite, &sva_copy_suite,
		  &sva_pasid_suite, &sva_in_tree_fault_suite, &sva_cost_suite,
		  &sva_range_suite, &sva_range_end_suite, &sva_late_suite);

static int __init sva_test_init(void)
{
	int ret = platform_driver_register(&sva_test_driver);

	if (ret)
		return ret;
	ret = platform_driver_register(&sva_test_dma_driver);
	if (ret)
		goto unregister;
	ret = pci_register_driver(&sva_test_pci_driver);
	if (ret)
		goto unregister_platform;
	ret = misc_register(&sva_test_pin_file);
	if (ret)
		goto unregister_pci;
	return 0;

unregister_pci:
	pci_unregister_driver(&sva_test_pci_driver);
unregister_platform:
	platform_driver_unregister(&sva_test_dma_driver);
unregister:
	platform_driver_unregister(&sva_test_driver);
	return ret;
}
module_init(sva_test_init);

static void __exit sva_test_exit(void)
{
	misc_deregister(&sva_test_pin_file);
	pci_unregister_driver(&sva_test_pci_driver);
	platform_driver_unregister(&sva_test_dma_driver);
	platform_driver_unregister(&sva_test_driver);
}
module_exit(sva_test_exit);

MODULE_DESCRIPTION("KUnit suites for shared virtual addressing");
MODULE_LICENSE("GPL");
MODULE_VERSION(SVA_VERSION);
MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");
MODULE_IMPORT_NS("MOCK_PCI");
MODULE_IMPORT_NS("MOCK_SMMU");
MODULE_IMPORT_NS("SVA");
MODULE_IMPORT_NS("SVA_TEST");
