// SPDX-License-Identifier: GPL-2.0
/* Channels: registers, data, and the access that a process has them make. */

#include <linux/uaccess.h>

#include "mock_vfio.h"

/* The registers that a process writes come first. */
#define WRITABLE offsetof(struct mock_vfio_regs, state)

static void finish(struct mock_vfio_channel *channel, int error, u64 fault_iova)
{
	scoped_guard(mutex, &channel->lock) {
		channel->regs.state = MOCK_VFIO_DONE;
		channel->regs.error = -error;
		channel->regs.fault_iova = fault_iova;
	}
	mock_vfio_irq_raise(channel->irqs, MOCK_VFIO_IRQ_DONE);
}

static void complete_access(struct mock_smmu_request *request)
{
	finish(request->context, request->error, request->fault_addr);
}

/* Fills in the request that the registers, which are ours, describe. */
static int describe(struct mock_vfio_channel *channel)
{
	const struct mock_vfio_regs *regs = &channel->regs;

	if (regs->length > MOCK_VFIO_DATA_SIZE)
		return -EINVAL;
	if (regs->command != MOCK_VFIO_READ && regs->command != MOCK_VFIO_WRITE)
		return -EINVAL;
	channel->request = (struct mock_smmu_request) {
		.op = regs->command == MOCK_VFIO_READ ? MOCK_SMMU_READ : MOCK_SMMU_WRITE,
		.ssid = regs->pasid,
		.addr = regs->iova,
		.buf = channel->data,
		.len = regs->length,
		.complete = complete_access,
		.context = channel,
	};
	return 0;
}

static void start(struct mock_vfio_channel *channel)
{
	int ret = describe(channel);

	if (!ret)
		ret = mock_smmu_submit(channel->port, &channel->request);
	if (ret)
		finish(channel, ret, 0);
}

static ssize_t write_regs(struct mock_vfio_channel *channel, const char __user *buf, size_t count,
			  size_t at)
{
	struct mock_vfio_regs regs;
	bool command = !at && count >= sizeof(regs.command);

	/* Not under the lock: the memory may be slow. */
	if (copy_from_user((u8 *)&regs + at, buf, count))
		return -EFAULT;
	scoped_guard(mutex, &channel->lock) {
		if (channel->regs.state == MOCK_VFIO_BUSY)
			return -EBUSY;
		if (at < WRITABLE)
			memcpy((u8 *)&channel->regs + at, (u8 *)&regs + at,
			       min(count, WRITABLE - at));
		if (command)
			channel->regs.state = MOCK_VFIO_BUSY;
	}
	/* Nobody else changes a busy channel. */
	if (command)
		start(channel);
	return count;
}

static ssize_t read_regs(struct mock_vfio_channel *channel, char __user *buf, size_t count,
			 size_t at)
{
	struct mock_vfio_regs regs;

	scoped_guard(mutex, &channel->lock)
		regs = channel->regs;
	return copy_to_user(buf, (u8 *)&regs + at, count) ? -EFAULT : count;
}

/* Whether @count bytes at @at are within @size bytes at @start. */
static bool within(size_t at, size_t count, size_t start, size_t size)
{
	return at >= start && at - start <= size && count <= size - (at - start);
}

ssize_t mock_vfio_channel_read(struct mock_vfio_channel *channel, char __user *buf, size_t count,
			       size_t at)
{
	if (within(at, count, 0, sizeof(struct mock_vfio_regs)))
		return read_regs(channel, buf, count, at);
	if (!within(at, count, MOCK_VFIO_DATA, MOCK_VFIO_DATA_SIZE))
		return -EINVAL;
	at -= MOCK_VFIO_DATA;
	return copy_to_user(buf, channel->data + at, count) ? -EFAULT : count;
}

ssize_t mock_vfio_channel_write(struct mock_vfio_channel *channel, const char __user *buf,
				size_t count, size_t at)
{
	if (within(at, count, 0, sizeof(struct mock_vfio_regs)))
		return write_regs(channel, buf, count, at);
	if (!within(at, count, MOCK_VFIO_DATA, MOCK_VFIO_DATA_SIZE))
		return -EINVAL;
	at -= MOCK_VFIO_DATA;
	return copy_from_user(channel->data + at, buf, count) ? -EFAULT : count;
}

/* As new, unless it is busy. */
void mock_vfio_channel_reset(struct mock_vfio_channel *channel)
{
	guard(mutex)(&channel->lock);
	if (channel->regs.state == MOCK_VFIO_BUSY)
		return;
	channel->regs = (struct mock_vfio_regs) { .pasid = MOCK_VFIO_NO_PASID };
	memset(channel->data, 0, sizeof(channel->data));
}

void mock_vfio_channel_init(struct mock_vfio_channel *channel, struct mock_smmu_port *port,
			    struct mock_vfio_irqs *irqs)
{
	channel->port = port;
	channel->irqs = irqs;
	mutex_init(&channel->lock);
	mock_vfio_channel_reset(channel);
}
