// SPDX-License-Identifier: GPL-2.0
/* Whether the drivers take the devices that they are for: whatever these can. */

#include <kunit/test.h>
#include <linux/device.h>
#include <linux/mock_smmu.h>
#include <linux/module.h>

static const char *const drivers[] = { "sva_sample_c", "sva_sample_rust" };

KUNIT_ARRAY_PARAM(driver, drivers, NULL);

/* Plugs in a device for the driver, and tells whether it takes it. */
static bool takes(struct kunit *test, unsigned int pasid_bits)
{
	const struct mock_smmu_device config = {
		.name = *(const char *const *)test->param_value,
		.id = 900,
		.pasid_bits = pasid_bits,
		.ats = true,
	};
	struct device *dev = mock_smmu_device_create(&config);
	bool taken;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dev);
	taken = dev->driver;
	mock_smmu_device_destroy(dev);
	return taken;
}

static void device_with_pasids(struct kunit *test)
{
	KUNIT_EXPECT_TRUE(test, takes(test, 8));
	/* Unplugged, and plugged in again. */
	KUNIT_EXPECT_TRUE(test, takes(test, 8));
}

static void device_without_pasids(struct kunit *test)
{
	KUNIT_EXPECT_TRUE(test, takes(test, 0));
}

static struct kunit_case cases[] = {
	KUNIT_CASE_PARAM(device_with_pasids, driver_gen_params),
	KUNIT_CASE_PARAM(device_without_pasids, driver_gen_params),
	{}
};

static struct kunit_suite suite = {
	.name = "sva_sample",
	.test_cases = cases,
};

kunit_test_suite(suite);

MODULE_SOFTDEP("pre: sva_sample_c sva_sample_rust");
MODULE_DESCRIPTION("KUnit suite of the sample drivers");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("MOCK_SMMU");
