// SPDX-License-Identifier: GPL-2.0
/*
 * An IOMMU that does nothing: it attaches, blocks and answers without hardware,
 * so that what remains is the cost of the cores above it.
 */

#include <linux/iommu.h>
#include <linux/platform_device.h>
#include <linux/property.h>
#include <linux/slab.h>

#include "bench.h"
#include "null_iommu.h"

#define NULL_PASID_BITS		20

static struct platform_device *null_hardware;
static struct iommu_device null_iommu = { .max_pasids = 1 << NULL_PASID_BITS };
static struct iopf_queue *null_queue;

static int null_attach(struct iommu_domain *domain, struct device *dev, struct iommu_domain *old)
{
	return 0;
}

static int null_set_pasid(struct iommu_domain *domain, struct device *dev, ioasid_t pasid,
			  struct iommu_domain *old)
{
	return 0;
}

static void null_free(struct iommu_domain *domain)
{
	kfree(domain);
}

static const struct iommu_domain_ops null_sva_ops = {
	.set_dev_pasid = null_set_pasid,
	.free = null_free,
};

static struct iommu_domain *null_alloc_sva(struct device *dev, struct mm_struct *mm)
{
	struct iommu_domain *domain = kzalloc_obj(*domain);

	if (!domain)
		return ERR_PTR(-ENOMEM);
	domain->ops = &null_sva_ops;
	return domain;
}

static struct iommu_device *null_probe_device(struct device *dev)
{
	struct bench_null_port *port = kzalloc_obj(*port);

	if (!port)
		return ERR_PTR(-ENOMEM);
	init_completion(&port->answered);
	dev_iommu_priv_set(dev, port);
	return &null_iommu;
}

static void null_probe_finalize(struct device *dev)
{
	if (iopf_queue_add_device(null_queue, dev))
		dev_err(dev, "no page requests\n");
}

static void null_release_device(struct device *dev)
{
	iopf_queue_remove_device(null_queue, dev);
	kfree(dev_iommu_priv_get(dev));
}

static void null_page_response(struct device *dev, struct iopf_fault *fault,
			       struct iommu_page_response *response)
{
	struct bench_null_port *port = dev_iommu_priv_get(dev);

	port->code = response->code;
	complete(&port->answered);
}

static int null_def_domain_type(struct device *dev)
{
	return IOMMU_DOMAIN_IDENTITY;
}

static struct iommu_domain null_identity = {
	.type = IOMMU_DOMAIN_IDENTITY,
	.ops = &(const struct iommu_domain_ops) { .attach_dev = null_attach },
};

static struct iommu_domain null_blocked = {
	.type = IOMMU_DOMAIN_BLOCKED,
	.ops = &(const struct iommu_domain_ops) {
		.attach_dev = null_attach,
		.set_dev_pasid = null_set_pasid,
	},
};

static const struct iommu_ops null_ops = {
	.owner = THIS_MODULE,
	.identity_domain = &null_identity,
	.blocked_domain = &null_blocked,
	.def_domain_type = null_def_domain_type,
	.domain_alloc_sva = null_alloc_sva,
	.probe_device = null_probe_device,
	.probe_finalize = null_probe_finalize,
	.release_device = null_release_device,
	.device_group = generic_device_group,
	.page_response = null_page_response,
};

int bench_null_init(void)
{
	const struct property_entry cells[] = { PROPERTY_ENTRY_U32("#iommu-cells", 1), { } };
	const struct platform_device_info info = {
		.name = "sva_bench_null",
		.id = PLATFORM_DEVID_NONE,
		.properties = cells,
	};
	int ret;

	null_queue = iopf_queue_alloc(info.name);
	if (!null_queue)
		return -ENOMEM;
	null_hardware = platform_device_register_full(&info);
	if (IS_ERR(null_hardware)) {
		ret = PTR_ERR(null_hardware);
		goto free_queue;
	}
	ret = iommu_device_sysfs_add(&null_iommu, &null_hardware->dev, NULL, info.name);
	if (ret)
		goto unregister_hardware;
	ret = iommu_device_register(&null_iommu, &null_ops, &null_hardware->dev);
	if (ret)
		goto remove_sysfs;
	return 0;

remove_sysfs:
	iommu_device_sysfs_remove(&null_iommu);
unregister_hardware:
	platform_device_unregister(null_hardware);
free_queue:
	iopf_queue_free(null_queue);
	return ret;
}

void bench_null_exit(void)
{
	iommu_device_unregister(&null_iommu);
	iommu_device_sysfs_remove(&null_iommu);
	platform_device_unregister(null_hardware);
	iopf_queue_free(null_queue);
}

/* Puts a device that is not added yet behind this IOMMU. */
static int null_connect(struct device *dev)
{
	struct iommu_fwspec *spec;
	struct dev_iommu *param;

	/* What iommu_fwspec_init() does, under a lock that is not exported. */
	param = kzalloc_obj(*param);
	if (!param)
		return -ENOMEM;
	spec = kzalloc_obj(*spec);
	if (!spec) {
		kfree(param);
		return -ENOMEM;
	}
	mutex_init(&param->lock);
	spec->iommu_fwnode = fwnode_handle_get(dev_fwnode(&null_hardware->dev));
	param->fwspec = spec;
	dev->iommu = param;
	return 0;
}

/* Undoes it for a device that could not be added. */
static void null_disconnect(struct device *dev)
{
	struct dev_iommu *param = dev->iommu;

	if (!param)
		return;
	dev->iommu = NULL;
	fwnode_handle_put(param->fwspec->iommu_fwnode);
	kfree(param->fwspec);
	kfree(param);
}

struct device *bench_null_device_make(const char *name, int id)
{
	const struct property_entry pasids[] = {
		PROPERTY_ENTRY_U32("pasid-num-bits", NULL_PASID_BITS),
		{ },
	};
	struct platform_device *pdev = platform_device_alloc(name, id);
	int ret;

	if (!pdev)
		return ERR_PTR(-ENOMEM);
	ret = device_create_managed_software_node(&pdev->dev, pasids, NULL);
	if (!ret)
		ret = null_connect(&pdev->dev);
	if (!ret)
		ret = platform_device_add(pdev);
	if (ret) {
		null_disconnect(&pdev->dev);
		platform_device_put(pdev);
		return ERR_PTR(ret);
	}
	if (!pdev->dev.iommu_group) {
		platform_device_unregister(pdev);
		return ERR_PTR(-ENODEV);
	}
	return &pdev->dev;
}

void bench_null_device_drop(struct device *dev)
{
	platform_device_unregister(to_platform_device(dev));
}
