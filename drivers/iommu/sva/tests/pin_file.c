// SPDX-License-Identifier: GPL-2.0
/* A device for each open file, bound to who asks for it, without page faults. */

#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "fixture.h"
#include "pin_file.h"

struct pin_file {
	struct device *dev;
	struct sva_bond *bond;
	/* The handler of the exit has begun. */
	struct completion exiting;
};

static int pin_file_open(struct inode *inode, struct file *file)
{
	struct pin_file *pins = kzalloc_obj(*pins);

	if (!pins)
		return -ENOMEM;
	init_completion(&pins->exiting);
	file->private_data = pins;
	return 0;
}

/* Far longer than it takes to free memory. */
static void exit_slowly(struct device *dev, u32 pasid, void *drvdata)
{
	struct pin_file *pins = drvdata;

	complete_all(&pins->exiting);
	msleep(3000);
}

/* Not part of open(): that holds a lock which drivers take as they probe. */
static int pin_file_bind(struct pin_file *pins, sva_exit_t exit)
{
	/* The suites count from 1. */
	static atomic_t next_id = ATOMIC_INIT(1 << 20);
	struct mock_smmu_device config = {
		.name = "sva_test",
		.id = atomic_inc_return(&next_id),
		.pasid_bits = 10,
	};
	struct sva_bond *bond;
	struct device *dev;

	if (pins->dev)
		return -EBUSY;
	dev = mock_smmu_device_create(&config);
	if (IS_ERR(dev))
		return PTR_ERR(dev);
	bond = sva_bind(dev, current->mm, IOMMU_SVA_FEAT_PASID, exit, pins);
	if (IS_ERR(bond)) {
		mock_smmu_device_destroy(dev);
		return PTR_ERR(bond);
	}
	pins->bond = bond;
	pins->dev = dev;
	return 0;
}

static int pin_file_release(struct inode *inode, struct file *file)
{
	struct pin_file *pins = file->private_data;

	if (pins->dev) {
		sva_unbind(pins->bond);
		mock_smmu_device_destroy(pins->dev);
	}
	kfree(pins);
	return 0;
}

static long pin_file_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct pin_file *pins = file->private_data;
	void __user *user = (void __user *)arg;
	struct sva_test_range range;
	struct sva_test_word word;
	int ret;

	if (cmd == SVA_TEST_BIND)
		return pin_file_bind(pins, NULL);
	if (cmd == SVA_TEST_BIND_SLOW)
		return pin_file_bind(pins, exit_slowly);
	if (!pins->dev)
		return -ENODEV;
	switch (cmd) {
	case SVA_TEST_EXITING:
		return wait_for_completion_killable(&pins->exiting);
	case SVA_TEST_PIN:
	case SVA_TEST_UNPIN:
		if (copy_from_user(&range, user, sizeof(range)))
			return -EFAULT;
		if (cmd == SVA_TEST_UNPIN)
			return sva_bond_unpin(pins->bond, range.addr, range.len);
		return sva_bond_pin(pins->bond, range.addr, range.len, true);
	case SVA_TEST_READ:
		if (copy_from_user(&word, user, sizeof(word)))
			return -EFAULT;
		ret = sva_test_read(pins->dev, sva_bond_pasid(pins->bond), word.addr, &word.value);
		if (ret)
			return ret;
		return copy_to_user(user, &word, sizeof(word)) ? -EFAULT : 0;
	case SVA_TEST_WRITE:
		if (copy_from_user(&word, user, sizeof(word)))
			return -EFAULT;
		return sva_test_write(pins->dev, sva_bond_pasid(pins->bond), word.addr,
				      word.value);
	case SVA_TEST_COPY:
		if (copy_from_user(&word, user, sizeof(word)))
			return -EFAULT;
		return sva_copy_to(pins->bond, word.addr, &word.value, sizeof(word.value));
	}
	return -ENOTTY;
}

static const struct file_operations pin_file_ops = {
	.owner = THIS_MODULE,
	.open = pin_file_open,
	.release = pin_file_release,
	.unlocked_ioctl = pin_file_ioctl,
};

struct miscdevice sva_test_pin_file = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "sva_test_pin",
	.fops = &pin_file_ops,
};
