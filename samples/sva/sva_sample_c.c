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
#include <linux/sched/mm.h>
#include <linux/sva.h>

#include "sva_sample.h"

#define SHARED (IOMMU_SVA_FEAT_PASID | IOMMU_SVA_FEAT_IOPF)

/* The device; kept until the driver and all files have left it. */
struct engine {
	struct miscdevice misc;
	struct mock_smmu_port *port;
	struct device *dev;
	struct kref users;
	struct rw_semaphore working;	/* held for reading while the device works */
	bool gone;
};

/* An open file. While it is there, the device may use the memory of who opened it. */
struct queue {
	struct engine *engine;
	struct mm_struct *mm;		/* only to compare */
	struct sva_bond *bond;
	u32 pasid;			/* 0 when the process is gone */
};

static void engine_free(struct kref *users)
{
	struct engine *engine = container_of(users, struct engine, users);

	mock_smmu_port_put(engine->port);
	kfree(engine);
}

/*
 * There is nothing to wait for: only a thread of the process has this device work for
 * it, and none is left. Hardware that works by itself is stopped here.
 */
static void exited(struct device *dev, u32 pasid, void *drvdata)
{
	struct queue *queue = drvdata;

	queue->pasid = 0;
}

static int sample_open(struct inode *inode, struct file *file)
{
	struct engine *engine = container_of(file->private_data, struct engine, misc);
	struct queue *queue __free(kfree) = kzalloc_obj(*queue);

	if (!queue)
		return -ENOMEM;
	queue->bond = sva_bind(engine->dev, current->mm, SHARED, exited, queue);
	if (IS_ERR(queue->bond))
		return PTR_ERR(queue->bond);
	queue->pasid = sva_bond_pasid(queue->bond);
	queue->mm = current->mm;
	mmgrab(queue->mm);
	queue->engine = engine;
	kref_get(&engine->users);
	file->private_data = no_free_ptr(queue);
	return 0;
}

static int sample_release(struct inode *inode, struct file *file)
{
	struct queue *queue = file->private_data;

	sva_unbind(queue->bond);
	mmdrop(queue->mm);
	kref_put(&queue->engine->users, engine_free);
	kfree(queue);
	return 0;
}

static long sample_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct queue *queue = file->private_data;
	struct engine *engine = queue->engine;
	u64 old;

	if (cmd != SVA_SAMPLE_COUNT)
		return -ENOTTY;
	if (current->mm != queue->mm)
		return -EPERM;
	guard(rwsem_read)(&engine->working);
	if (engine->gone || !queue->pasid)
		return -ESHUTDOWN;
	return mock_smmu_fetch_add(engine->port, queue->pasid, arg, 1, &old);
}

static const struct file_operations sample_fops = {
	.owner = THIS_MODULE,
	.open = sample_open,
	.release = sample_release,
	.unlocked_ioctl = sample_ioctl,
};

static int sample_probe(struct platform_device *pdev)
{
	struct device *dev = &pdev->dev;
	struct engine *engine;
	int ret;

	engine = kzalloc_obj(*engine);
	if (!engine)
		return -ENOMEM;
	engine->port = mock_smmu_port_get(dev);
	if (IS_ERR(engine->port)) {
		ret = PTR_ERR(engine->port);
		kfree(engine);
		return ret;
	}
	mock_smmu_start(engine->port);
	engine->dev = dev;
	kref_init(&engine->users);
	init_rwsem(&engine->working);
	ret = sva_device_init(dev, SHARED, 0);
	if (ret)
		goto put_engine;
	engine->misc.minor = MISC_DYNAMIC_MINOR;
	engine->misc.name = dev_name(dev);
	engine->misc.fops = &sample_fops;
	platform_set_drvdata(pdev, engine);
	ret = misc_register(&engine->misc);
	if (!ret)
		return 0;
	sva_device_shutdown(dev);
put_engine:
	kref_put(&engine->users, engine_free);
	return ret;
}

static void sample_remove(struct platform_device *pdev)
{
	struct engine *engine = platform_get_drvdata(pdev);

	misc_deregister(&engine->misc);
	/* The device may wait for a page that its process never gives. */
	mock_smmu_stop(engine->port);
	down_write(&engine->working);
	engine->gone = true;
	up_write(&engine->working);
	sva_device_shutdown(&pdev->dev);
	kref_put(&engine->users, engine_free);
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
