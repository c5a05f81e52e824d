// SPDX-License-Identifier: GPL-2.0
/* Interrupts: eventfds of the process. */

#include <linux/eventfd.h>
#include <linux/uaccess.h>

#include "mock_vfio.h"

void mock_vfio_irqs_init(struct mock_vfio_irqs *irqs)
{
	mutex_init(&irqs->lock);
}

/* Tells nobody any more, or @trigger in place of who was told. */
static void set_trigger(struct mock_vfio_irqs *irqs, unsigned int index,
			struct eventfd_ctx *trigger)
{
	struct eventfd_ctx *old;

	scoped_guard(mutex, &irqs->lock) {
		old = irqs->triggers[index];
		irqs->triggers[index] = trigger;
	}
	if (old)
		eventfd_ctx_put(old);
}

void mock_vfio_irqs_clear(struct mock_vfio_irqs *irqs)
{
	for (unsigned int i = 0; i < MOCK_VFIO_IRQS; i++)
		set_trigger(irqs, i, NULL);
}

void mock_vfio_irq_raise(struct mock_vfio_irqs *irqs, unsigned int index)
{
	guard(mutex)(&irqs->lock);
	if (irqs->triggers[index])
		eventfd_signal(irqs->triggers[index]);
}

long mock_vfio_irq_info(struct vfio_irq_info __user *arg)
{
	const size_t size = offsetofend(struct vfio_irq_info, count);
	struct vfio_irq_info info;

	if (copy_from_user(&info, arg, size))
		return -EFAULT;
	if (info.argsz < size || info.index >= MOCK_VFIO_IRQS)
		return -EINVAL;
	info.flags = VFIO_IRQ_INFO_EVENTFD;
	info.count = 1;
	return copy_to_user(arg, &info, size) ? -EFAULT : 0;
}

long mock_vfio_irq_set(struct mock_vfio_irqs *irqs, struct vfio_irq_set __user *arg)
{
	const size_t size = offsetofend(struct vfio_irq_set, count);
	struct eventfd_ctx *trigger = NULL;
	struct vfio_irq_set set;
	size_t data_size;
	s32 fd;
	int ret;

	if (copy_from_user(&set, arg, size))
		return -EFAULT;
	ret = vfio_set_irqs_validate_and_prepare(&set, 1, MOCK_VFIO_IRQS, &data_size);
	if (ret)
		return ret;
	if ((set.flags & VFIO_IRQ_SET_ACTION_TYPE_MASK) != VFIO_IRQ_SET_ACTION_TRIGGER)
		return -EINVAL;
	/* Nothing, or one eventfd, or -1 for none. */
	if (set.flags & VFIO_IRQ_SET_DATA_EVENTFD && data_size == sizeof(fd)) {
		if (copy_from_user(&fd, arg->data, sizeof(fd)))
			return -EFAULT;
		if (fd >= 0) {
			trigger = eventfd_ctx_fdget(fd);
			if (IS_ERR(trigger))
				return PTR_ERR(trigger);
		}
	} else if (!(set.flags & VFIO_IRQ_SET_DATA_NONE) || set.count) {
		return -EINVAL;
	}
	set_trigger(irqs, set.index, trigger);
	return 0;
}
