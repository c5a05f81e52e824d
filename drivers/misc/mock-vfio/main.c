// SPDX-License-Identifier: GPL-2.0
/*
 * Gives devices behind a mock SMMU to processes, by VFIO.
 *
 * For platform devices named "mock_vfio", and for those whose driver_override
 * says so: it takes no accelerator away by itself. They have no registers: the
 * driver plays the device too, as <linux/mock_vfio.h> tells. The process says
 * by iommufd what the device's addresses mean.
 */

#include <linux/module.h>
#include <linux/platform_device.h>

#include "mock_vfio.h"

/**
 * struct mock_vfio - a device
 * @vdev: the device as VFIO knows it; first
 * @port: through which it does DMA
 * @irqs: its interrupts
 * @channels: what it does
 */
struct mock_vfio {
	struct vfio_device vdev;
	struct mock_smmu_port *port;
	struct mock_vfio_irqs irqs;
	struct mock_vfio_channel channels[MOCK_VFIO_CHANNELS];
};

static struct mock_vfio *from_vdev(struct vfio_device *vdev)
{
	return container_of(vdev, struct mock_vfio, vdev);
}

/*
 * Ends all accesses, and has the device as new. Of what is begun meanwhile the
 * channel stays as it is, and tells how it ended.
 */
static void reset(struct mock_vfio *mock)
{
	mock_smmu_stop(mock->port);
	mock_smmu_drain(mock->port);
	for (int i = 0; i < MOCK_VFIO_CHANNELS; i++)
		mock_vfio_channel_reset(&mock->channels[i]);
	mock_smmu_start(mock->port);
}

/* No file is left to begin an access with; who comes next finds the device as new. */
static void close_device(struct vfio_device *vdev)
{
	struct mock_vfio *mock = from_vdev(vdev);

	reset(mock);
	mock_vfio_irqs_clear(&mock->irqs);
}

/* The channel that a file position is in, and the position in it; or NULL. */
static struct mock_vfio_channel *channel_at(struct vfio_device *vdev, loff_t pos, size_t *at)
{
	if (pos < 0 || pos >= MOCK_VFIO_CHANNELS * MOCK_VFIO_CHANNEL_SIZE)
		return NULL;
	*at = pos % MOCK_VFIO_CHANNEL_SIZE;
	return &from_vdev(vdev)->channels[pos / MOCK_VFIO_CHANNEL_SIZE];
}

static ssize_t read(struct vfio_device *vdev, char __user *buf, size_t count, loff_t *pos)
{
	size_t at;
	struct mock_vfio_channel *channel = channel_at(vdev, *pos, &at);
	ssize_t ret = channel ? mock_vfio_channel_read(channel, buf, count, at) : -EINVAL;

	if (ret > 0)
		*pos += ret;
	return ret;
}

static ssize_t write(struct vfio_device *vdev, const char __user *buf, size_t count, loff_t *pos)
{
	size_t at;
	struct mock_vfio_channel *channel = channel_at(vdev, *pos, &at);
	ssize_t ret = channel ? mock_vfio_channel_write(channel, buf, count, at) : -EINVAL;

	if (ret > 0)
		*pos += ret;
	return ret;
}

static long get_info(struct vfio_device_info __user *arg)
{
	const size_t size = offsetofend(struct vfio_device_info, num_irqs);
	struct vfio_device_info info;

	if (copy_from_user(&info, arg, size))
		return -EFAULT;
	if (info.argsz < size)
		return -EINVAL;
	info.flags = VFIO_DEVICE_FLAGS_PLATFORM | VFIO_DEVICE_FLAGS_RESET;
	info.num_regions = 1;
	info.num_irqs = MOCK_VFIO_IRQS;
	return copy_to_user(arg, &info, size) ? -EFAULT : 0;
}

static int region_info(struct vfio_device *vdev, struct vfio_region_info *info,
		       struct vfio_info_cap *caps)
{
	if (info->index)
		return -EINVAL;
	info->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	info->size = MOCK_VFIO_CHANNELS * MOCK_VFIO_CHANNEL_SIZE;
	info->offset = 0;
	return 0;
}

static long ioctl(struct vfio_device *vdev, unsigned int cmd, unsigned long arg)
{
	struct mock_vfio *mock = from_vdev(vdev);

	switch (cmd) {
	case VFIO_DEVICE_GET_INFO:
		return get_info((void __user *)arg);
	case VFIO_DEVICE_GET_IRQ_INFO:
		return mock_vfio_irq_info((void __user *)arg);
	case VFIO_DEVICE_SET_IRQS:
		return mock_vfio_irq_set(&mock->irqs, (void __user *)arg);
	case VFIO_DEVICE_RESET:
		reset(mock);
		return 0;
	default:
		return -ENOTTY;
	}
}

/* The driver is to leave the device, and waits for the process to close it. */
static void request(struct vfio_device *vdev, unsigned int count)
{
	mock_vfio_irq_raise(&from_vdev(vdev)->irqs, MOCK_VFIO_IRQ_RELEASE);
}

static const struct vfio_device_ops mock_vfio_ops = {
	.name = "mock-vfio",
	.bind_iommufd = vfio_iommufd_physical_bind,
	.unbind_iommufd = vfio_iommufd_physical_unbind,
	.attach_ioas = vfio_iommufd_physical_attach_ioas,
	.detach_ioas = vfio_iommufd_physical_detach_ioas,
	.pasid_attach_ioas = vfio_iommufd_physical_pasid_attach_ioas,
	.pasid_detach_ioas = vfio_iommufd_physical_pasid_detach_ioas,
	.close_device = close_device,
	.read = read,
	.write = write,
	.ioctl = ioctl,
	.get_region_info_caps = region_info,
	.request = request,
};

static int probe(struct platform_device *pdev)
{
	struct mock_smmu_port *port;
	struct mock_vfio *mock;
	int ret;

	port = mock_smmu_port_get(&pdev->dev);
	if (IS_ERR(port))
		return PTR_ERR(port);
	mock = vfio_alloc_device(mock_vfio, vdev, &pdev->dev, &mock_vfio_ops);
	if (IS_ERR(mock)) {
		ret = PTR_ERR(mock);
		goto put_port;
	}
	mock->port = port;
	mock_vfio_irqs_init(&mock->irqs);
	for (int i = 0; i < MOCK_VFIO_CHANNELS; i++)
		mock_vfio_channel_init(&mock->channels[i], port, &mock->irqs);

	ret = vfio_register_group_dev(&mock->vdev);
	if (ret)
		goto put_device;
	platform_set_drvdata(pdev, mock);
	return 0;

put_device:
	vfio_put_device(&mock->vdev);
put_port:
	mock_smmu_port_put(port);
	return ret;
}

static void remove(struct platform_device *pdev)
{
	struct mock_vfio *mock = platform_get_drvdata(pdev);
	struct mock_smmu_port *port = mock->port;

	/* Waits until no process has it; so it has been closed, and is quiet. */
	vfio_unregister_group_dev(&mock->vdev);
	vfio_put_device(&mock->vdev);
	mock_smmu_port_put(port);
}

static struct platform_driver mock_vfio_driver = {
	.probe = probe,
	.remove = remove,
	.driver.name = "mock_vfio",
	.driver_managed_dma = true,
};
module_platform_driver(mock_vfio_driver);

MODULE_DESCRIPTION("Devices behind a mock SMMU for processes, by VFIO");
MODULE_AUTHOR("The sva developers");
MODULE_LICENSE("GPL");
MODULE_VERSION(SVA_VERSION);
MODULE_IMPORT_NS("MOCK_SMMU");
