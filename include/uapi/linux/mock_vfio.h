/* SPDX-License-Identifier: GPL-2.0+ WITH Linux-syscall-note */
/*
 * A device that VFIO gives to a process, and that does DMA on command.
 *
 * Its one region, at offset 0 of the device's file, has MOCK_VFIO_CHANNELS
 * channels of MOCK_VFIO_CHANNEL_SIZE bytes each, to be read and written, not
 * mapped. A channel begins with a struct mock_vfio_regs; at MOCK_VFIO_DATA it has
 * MOCK_VFIO_DATA_SIZE bytes for what the device reads and writes. A read or
 * write must not go beyond the one or the other.
 *
 * Channels work side by side. VFIO_DEVICE_RESET stops them all.
 */
#ifndef _UAPI_LINUX_MOCK_VFIO_H
#define _UAPI_LINUX_MOCK_VFIO_H

#include <linux/types.h>

#define MOCK_VFIO_CHANNELS	4
#define MOCK_VFIO_CHANNEL_SIZE	8192
#define MOCK_VFIO_DATA		4096
#define MOCK_VFIO_DATA_SIZE	4096

/* Commands: from memory to the channel's data, and the other way. */
#define MOCK_VFIO_READ		1
#define MOCK_VFIO_WRITE		2

/* In place of a PASID: the access has none. */
#define MOCK_VFIO_NO_PASID	0xffffffffU

/* What a channel is at. */
#define MOCK_VFIO_IDLE		0
#define MOCK_VFIO_BUSY		1
#define MOCK_VFIO_DONE		2

/**
 * struct mock_vfio_regs - the registers of a channel
 * @command: MOCK_VFIO_READ or MOCK_VFIO_WRITE; a write to it, alone or with
 *	other registers, has the channel do that
 * @pasid: with which the accesses are tagged, or MOCK_VFIO_NO_PASID
 * @iova: where in memory
 * @length: how many bytes; at most MOCK_VFIO_DATA_SIZE
 * @state: MOCK_VFIO_IDLE, MOCK_VFIO_BUSY or MOCK_VFIO_DONE; writes to it are
 *	ignored, as to all that follow
 * @error: 0, or how it failed: EFAULT if nothing may be accessed there, EIO if
 *	the IOMMU aborted the access, ETIMEDOUT if a page request was not answered
 *	in time, EINVAL for a command or length that there is not, ESHUTDOWN when
 *	it was stopped
 * @reserved: 0
 * @fault_iova: the first address that could not be accessed
 *
 * A write while the channel is busy gives -EBUSY and changes nothing.
 */
struct mock_vfio_regs {
	__u32 command;
	__u32 pasid;
	__u64 iova;
	__u32 length;
	__u32 state;
	__u32 error;
	__u32 reserved;
	__u64 fault_iova;
};

/*
 * Interrupts, each an eventfd. DONE: a channel is done. RELEASE: the device is
 * to be unplugged, or taken from VFIO, which waits until its file is closed.
 */
#define MOCK_VFIO_IRQ_DONE	0
#define MOCK_VFIO_IRQ_RELEASE	1
#define MOCK_VFIO_IRQS		2

#endif /* _UAPI_LINUX_MOCK_VFIO_H */
