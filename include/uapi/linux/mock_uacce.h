/* SPDX-License-Identifier: GPL-2.0+ WITH Linux-syscall-note */
/*
 * Work for a mock accelerator behind the kernel's uacce framework.
 *
 * A process opens /dev/mock_uacce-N: that binds its address space to the device
 * and gives it a queue. It tells the device of a ring of descriptors in its own
 * memory (MOCK_UACCE_IOC_SET_RING), maps the queue's page of registers
 * (UACCE_QFRT_MMIO, offset 0, one page: struct mock_uacce_doorbell), and starts
 * the queue (UACCE_CMD_START_Q). From then on no system call is needed: it
 * writes descriptors (struct mock_accel_desc of <linux/mock_accel.h>, which
 * tells what they do) and then the new tail to the doorbell. The device carries
 * them out in order, writes each one's completion record and then the new head.
 *
 * Ring, data and completion records may lie anywhere in the process's memory. For
 * libraries that want some from the device, a queue has MOCK_UACCE_SHARED_SIZE bytes
 * to be mapped, all at once (UACCE_QFRT_DUS, MAP_SHARED).
 *
 * poll(2) says that there is something to read while head and seen differ.
 *
 * A job that ends with MOCK_ACCEL_BUS_ERROR is an error of the device. Root may
 * write to /sys/class/uacce/mock_uacce-N/isolate_strategy how many of them the
 * device may have within an hour; 0, as at first, is any number. One more, and
 * the device is isolated ("isolate" says 1): it does no more work, open(2) and
 * UACCE_CMD_START_Q fail with -EIO, and isolate_strategy cannot be changed
 * (-EPERM), until the device gets its driver anew.
 */
#ifndef _UAPI_LINUX_MOCK_UACCE_H
#define _UAPI_LINUX_MOCK_UACCE_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* Most descriptors that a ring has. */
#define MOCK_UACCE_MAX_ENTRIES	1024

/* What a queue shares by UACCE_QFRT_DUS, in bytes. */
#define MOCK_UACCE_SHARED_SIZE	65536

/* Most queues that a device has. */
#define MOCK_UACCE_MAX_QUEUES	16

/**
 * struct mock_uacce_doorbell - a queue's page of registers
 * @tail: written by the process: how many descriptors it has put into the ring
 * @seen: written by the process: how many completions it has seen
 * @head: written by the device: how many descriptors it has carried out
 * @reserved: 0
 *
 * All three count on without regard to the ring's size, and begin at 0 whenever
 * the queue is started. A tail that is more than a ring ahead of the head is
 * ignored.
 */
struct mock_uacce_doorbell {
	__u32 tail;
	__u32 seen;
	__u32 head;
	__u32 reserved;
};

/**
 * struct mock_uacce_ring - a queue's ring of descriptors
 * @addr: where it is; a multiple of MOCK_ACCEL_DESC_ALIGN
 * @entries: how many descriptors it has: a power of two, at most
 *	MOCK_UACCE_MAX_ENTRIES
 * @pasid: out: under which the device reaches the process
 */
struct mock_uacce_ring {
	__u64 addr;
	__u32 entries;
	__u32 pasid;
};

#define MOCK_UACCE_IOC_MAGIC	0xBD

/*
 * Tells the device of the ring. -EINVAL for one that cannot be; -EBUSY while the
 * queue is started; -EPERM for a process with another address space than that
 * which opened the file. A queue without a ring cannot be started (-EINVAL).
 */
#define MOCK_UACCE_IOC_SET_RING	_IOWR(MOCK_UACCE_IOC_MAGIC, 0, struct mock_uacce_ring)

#endif /* _UAPI_LINUX_MOCK_UACCE_H */
