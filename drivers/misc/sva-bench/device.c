// SPDX-License-Identifier: GPL-2.0
/* Devices behind either hardware, and their driver. */

#include <linux/mock_smmu.h>
#include <linux/platform_device.h>

#include "bench.h"

#define BENCH_FLAGS	(IOMMU_SVA_FEAT_PASID | IOMMU_SVA_FEAT_IOPF)

const char *const bench_hardware_suffix[2] = {
	[BENCH_MOCK] = "",
	[BENCH_NULL] = ", null hardware",
};

static int bench_probe(struct platform_device *pdev)
{
	return 0;
}

static struct platform_driver bench_driver = {
	.probe = bench_probe,
	.driver.name = "sva_bench",
};

int bench_devices_init(void)
{
	int ret = bench_null_init();

	if (ret)
		return ret;
	ret = platform_driver_register(&bench_driver);
	if (ret)
		bench_null_exit();
	return ret;
}

void bench_devices_exit(void)
{
	platform_driver_unregister(&bench_driver);
	bench_null_exit();
}

static struct device *make(enum bench_hardware hardware, bool awake)
{
	struct mock_smmu_device config = {
		.name = bench_driver.driver.name,
		.pasid_bits = 16,
		.awake = awake,
	};
	static int id;
	struct device *dev;

	config.id = id++;
	if (hardware == BENCH_NULL)
		dev = bench_null_device_make(config.name, config.id);
	else
		dev = mock_smmu_device_create(&config);
	if (IS_ERR(dev))
		pr_err("bench: no device: %ld\n", PTR_ERR(dev));
	return dev;
}

/* A device that its driver has not initialised for our API. */
struct device *bench_device_make(enum bench_hardware hardware)
{
	return make(hardware, false);
}

/* One behind the mock SMMU, no bond of which sleeps. */
struct device *bench_device_make_awake(void)
{
	return make(BENCH_MOCK, true);
}

void bench_device_drop(enum bench_hardware hardware, struct device *dev)
{
	if (hardware == BENCH_NULL)
		bench_null_device_drop(dev);
	else
		mock_smmu_device_destroy(dev);
}

int bench_device_init_sva(struct device *dev)
{
	return sva_device_init(dev, BENCH_FLAGS, 0);
}

void bench_device_end_sva(struct device *dev)
{
	sva_device_shutdown(dev);
}
