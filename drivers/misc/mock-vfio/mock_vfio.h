/* SPDX-License-Identifier: GPL-2.0 */
/* A device behind a mock SMMU for a process to drive: its parts. */
#ifndef MOCK_VFIO_H
#define MOCK_VFIO_H

#include <linux/mock_smmu.h>
#include <linux/mutex.h>
#include <linux/types.h>
#include <linux/vfio.h>
#include <uapi/linux/mock_vfio.h>

struct eventfd_ctx;
struct mock_vfio_irqs;

/**
 * struct mock_vfio_channel - what does one access at a time
 * @port: the device's way to memory
 * @irqs: where to tell that it is done
 * @lock: held for a copy
 * @regs: as the process sees them
 * @request: the access, the port's while @regs.state says busy
 * @data: as in the memory of any device: nothing keeps the process and an access apart
 */
struct mock_vfio_channel {
	struct mock_smmu_port *port;
	struct mock_vfio_irqs *irqs;
	struct mutex lock;	/* protects regs */
	struct mock_vfio_regs regs;
	struct mock_smmu_request request;
	u8 data[MOCK_VFIO_DATA_SIZE];
};

void mock_vfio_channel_init(struct mock_vfio_channel *channel, struct mock_smmu_port *port,
			    struct mock_vfio_irqs *irqs);
void mock_vfio_channel_reset(struct mock_vfio_channel *channel);
ssize_t mock_vfio_channel_read(struct mock_vfio_channel *channel, char __user *buf, size_t count,
			       size_t at);
ssize_t mock_vfio_channel_write(struct mock_vfio_channel *channel, const char __user *buf,
				size_t count, size_t at);

/**
 * struct mock_vfio_irqs - interrupts
 * @lock: held while one is told
 * @triggers: whom to tell; NULL for nobody
 */
struct mock_vfio_irqs {
	struct mutex lock;	/* protects triggers */
	struct eventfd_ctx *triggers[MOCK_VFIO_IRQS];
};

void mock_vfio_irqs_init(struct mock_vfio_irqs *irqs);
void mock_vfio_irqs_clear(struct mock_vfio_irqs *irqs);
void mock_vfio_irq_raise(struct mock_vfio_irqs *irqs, unsigned int index);
long mock_vfio_irq_info(struct vfio_irq_info __user *arg);
long mock_vfio_irq_set(struct mock_vfio_irqs *irqs, struct vfio_irq_set __user *arg);

#endif /* MOCK_VFIO_H */
