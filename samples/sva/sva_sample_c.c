// SPDX-License-Identifier: GPL-2.0
/*
 * The driver of a device that works in the memory of whoever opens its file.
 *
 * "sva_sample.h" tells what the device does. It is behind a mock SMMU, and has no
 * registers: where this has the device's port make an access, hardware would be told
 * by a register to make it.
 */

#include <linux/miscdevice.h>
#include <linux/mock_smmu.h>
#include <linux/platform_device.h>
#include <linux/sva.h>

#include "sva_sample.h"

/* The device; gone with its driver, and so are all bonds then. */
struct engine {
	struct miscdevice misc;
	struct mock_smmu_port *port;
	struct device *dev;
};

/* An open file. While it is there, the device may use the memory of who opened it. */
struct queue {
	struct engine *engine;
	struct sva_bond *bond;
};

/* A word in that memory. */
struct word {
	struct engine *engine;
	struct sva_range range;
};

/* This device works in count() only, which has returned. One that goes on is stopped here. */
static void exited(struct device *dev, u32 pasid, void *drvdata)
{
}

static int sample_open(struct inode *inode, struct file *file)
{
	struct engine *engine = container_of(file->private_data, struct engine, misc);
	struct queue *queue __free(kfree) = kzalloc_obj(*queue);

	if (!queue)
		return -ENOMEM;
	queue->engine = engine;
	queue->bond = sva_bind(engine->dev, current->mm, IOMMU_SVA_FEAT_ANY, exited, NULL);
	if (IS_ERR(queue->bond))
		return PTR_ERR(queue->bond);
	file->private_data = no_free_ptr(queue);
	return 0;
}

static int sample_release(struct inode *inode, struct file *file)
{
	struct queue *queue = file->private_data;

	sva_unbind(queue->bond);
	kfree(queue);
	return 0;
}

/* While this runs neither the bond ends, nor is the driver gone. */
static int count(u32 pasid, void *arg)
{
	struct word *word = arg;
	u64 old;

	return mock_smmu_fetch_add(word->engine->port, pasid ?: MOCK_SMMU_NO_SSID,
				   word->range.addr, 1, &old);
}

static long sample_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct queue *queue = file->private_data;
	struct word word = { .engine = queue->engine };
	int ret;

	if (cmd != SVA_SAMPLE_COUNT)
		return -ENOTTY;
	if (!sva_bond_is_callers(queue->bond))
		return -EPERM;
	ret = sva_bond_range(queue->bond, arg, sizeof(u64), true, &word.range);
	if (!ret) {
		ret = sva_start(queue->bond, count, &word);
		sva_range_end(&word.range);
	}
	return ret == -ESRCH ? -ESHUTDOWN : ret;
}

static const struct file_operations sample_fops = {
	.owner = THIS_MODULE,
	.open = sample_open,
	.release = sample_release,
	.unlocked_ioctl = sample_ioctl,
};

static void sample_put_port(void *port)
{
	mock_smmu_port_put(port);
}

static int sample_probe(struct platform_device *pdev)
{
	struct device *dev = &pdev->dev;
	struct engine *engine = devm_kzalloc(dev, sizeof(*engine), GFP_KERNEL);
	int ret;

	if (!engine)
		return -ENOMEM;
	engine->dev = dev;
	engine->port = mock_smmu_port_get(dev);
	if (IS_ERR(engine->port))
		return PTR_ERR(engine->port);
	ret = devm_add_action_or_reset(dev, sample_put_port, engine->port);
	if (ret)
		return ret;
	ret = sva_device_init(dev, IOMMU_SVA_FEAT_ANY, 0);
	if (ret)
		return ret;
	engine->misc.minor = MISC_DYNAMIC_MINOR;
	engine->misc.name = dev_name(dev);
	engine->misc.fops = &sample_fops;
	platform_set_drvdata(pdev, engine);
	ret = misc_register(&engine->misc);
	if (ret)
		sva_device_shutdown(dev);
	return ret;
}

static void sample_remove(struct platform_device *pdev)
{
	struct engine *engine = platform_get_drvdata(pdev);

	misc_deregister(&engine->misc);
	/* Ends all bonds, and waits for count(); a page that never comes is waited for no more. */
	sva_device_shutdown(&pdev->dev);
}

static struct platform_driver sample_driver = {
	.probe = sample_probe,
	.remove = sample_remove,
	.driver.name = "sva_sample_c",
};
module_platform_driver(sample_driver);

MODULE_DESCRIPTION("A device that counts in its users' memory, driven in C");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("SVA");
MODULE_IMPORT_NS("MOCK_SMMU");
