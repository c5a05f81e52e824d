/* SPDX-License-Identifier: GPL-2.0+ WITH Linux-syscall-note */
/*
 * Work for a mock accelerator that shares the address space of its user.
 *
 * A process opens /dev/mock_accelN. From then on the device reaches the
 * process's memory by the process's own addresses: each open file is a context,
 * with a queue of jobs of its own, and all contexts of one process have the
 * same PASID on a device.
 *
 * A job is described by a struct mock_accel_desc in the memory of the process.
 * MOCK_ACCEL_IOC_SUBMIT hands over its address and nothing else: the device
 * fetches the descriptor, reads and writes the data, and writes a struct
 * mock_accel_completion, all by DMA under the PASID. What the process could not
 * read or write itself, the device cannot either: the job then ends with
 * MOCK_ACCEL_PAGE_FAULT and the address. The top byte of an address may be a tag,
 * which is ignored, as the CPU does. A stack does not grow by the device, and memory
 * of memfd_secret() is a MOCK_ACCEL_BUS_ERROR: the mock is part of the kernel, which
 * does not reach that.
 *
 * The jobs of one context run in the order in which they were submitted; jobs
 * of different contexts run side by side. Descriptor, data and completion
 * record must stay in place until the job has ended. Closing the file's last
 * descriptor, or the death of the process, stops the context's jobs; a stopped
 * job leaves its completion record as it is.
 *
 * Any thread that shares the opener's memory may use the file. Another process
 * (after fork() or exec()) has other memory behind the same addresses, so it
 * gets -EPERM, save from MOCK_ACCEL_IOC_QUERY.
 */
#ifndef _UAPI_LINUX_MOCK_ACCEL_H
#define _UAPI_LINUX_MOCK_ACCEL_H

#include <linux/ioctl.h>
#include <linux/types.h>

/*
 * Operations, for mock_accel_desc.opcode. All numbers are little endian.
 *
 * COPY: length bytes from src to dst. The two must not overlap.
 * FILL: length bytes at dst with the eight bytes of operand, over and over.
 * COMPARE: length bytes at src and dst. The result is the offset of the first
 *	difference, or length if there is none.
 * CRC32: of length bytes at src, as zlib's crc32(operand, src, length).
 * CHASE: a linked list from the node at src up to a node whose next pointer is
 *	0. A node has its next pointer next_offset bytes after its address, and
 *	a 64-bit value value_offset bytes after it. The result is the sum of the
 *	values, modulo 2^64; bytes tells 16 for each node. A list of more than
 *	length nodes ends with MOCK_ACCEL_LIMIT.
 * ATOMIC_ADD: of operand to the 64-bit number at dst. The result is the number
 *	that was there before. length must be 8.
 */
#define MOCK_ACCEL_OP_COPY		1
#define MOCK_ACCEL_OP_FILL		2
#define MOCK_ACCEL_OP_COMPARE		3
#define MOCK_ACCEL_OP_CRC32		4
#define MOCK_ACCEL_OP_CHASE		5
#define MOCK_ACCEL_OP_ATOMIC_ADD	6

/*
 * Status of a job, in mock_accel_completion.status.
 *
 * PENDING: not ended; what a process writes there before it submits the job.
 * SUCCESS: done.
 * BAD_OPCODE: no such operation.
 * BAD_DESCRIPTOR: the descriptor contradicts itself or the device's limits: a
 *	reserved field that is not 0, a range beyond the end of the address
 *	space, a length above mock_accel_info.max_length (for CHASE: max_nodes,
 *	or 0), overlapping source and destination, a next_offset or value_offset
 *	above MOCK_ACCEL_MAX_OFFSET, an ATOMIC_ADD that is not aligned.
 * PAGE_FAULT: the process may not do at fault_address what the job wanted to.
 * BUS_ERROR: the access at fault_address failed for another reason, which the
 *	kernel log or the IOMMU's statistics tell.
 * STOPPED: the context was closed, or its process died, or the device went
 *	away.
 * LIMIT: the list has more nodes than length allows.
 */
#define MOCK_ACCEL_PENDING		0
#define MOCK_ACCEL_SUCCESS		1
#define MOCK_ACCEL_BAD_OPCODE		2
#define MOCK_ACCEL_BAD_DESCRIPTOR	3
#define MOCK_ACCEL_PAGE_FAULT		4
#define MOCK_ACCEL_BUS_ERROR		5
#define MOCK_ACCEL_STOPPED		6
#define MOCK_ACCEL_LIMIT		7

/*
 * Why the process may not, in mock_accel_completion.reason, for PAGE_FAULT.
 *
 * UNKNOWN: the driver was not told: behind uacce, or of too many in a second.
 * NOT_MAPPED: nothing is mapped there.
 * NO_RIGHT: the process may not do that there either.
 * PROCESS_GONE: it has exited.
 * NEVER_CAME: its file, or userfaultfd, did not give the page in time.
 * QUOTA: too many page requests of the process, or of the device, wait already.
 * NO_MEMORY: the kernel has no memory for the page.
 * NO_PAGE: the page cannot be had: beyond the end of its file, an I/O error.
 * NOT_ASKED: the device is bound without page requests.
 * ENDING: the context was ending.
 */
#define MOCK_ACCEL_REASON_UNKNOWN	0
#define MOCK_ACCEL_REASON_NOT_MAPPED	1
#define MOCK_ACCEL_REASON_NO_RIGHT	2
#define MOCK_ACCEL_REASON_PROCESS_GONE	3
#define MOCK_ACCEL_REASON_NEVER_CAME	4
#define MOCK_ACCEL_REASON_QUOTA		5
#define MOCK_ACCEL_REASON_NO_MEMORY	6
#define MOCK_ACCEL_REASON_NO_PAGE	7
#define MOCK_ACCEL_REASON_NOT_ASKED	8
#define MOCK_ACCEL_REASON_ENDING	9

/*
 * How a device reaches the memory of a process, in mock_accel_info.mode. Jobs are the
 * same in all. But if memory of a job is remapped, or the process forks, while the job
 * runs, only SHARED does as the process itself would.
 *
 * SHARED: by the process's own page tables; it waits for missing pages.
 * PINNED: the same, but the driver pins what a job uses, page by page.
 * MAPPED: the driver pins it, and maps it where the device has no PASIDs.
 */
#define MOCK_ACCEL_MODE_SHARED		1
#define MOCK_ACCEL_MODE_PINNED		2
#define MOCK_ACCEL_MODE_MAPPED		3

/* Alignment of a descriptor and of a completion record, so that neither crosses a page. */
#define MOCK_ACCEL_DESC_ALIGN		64
#define MOCK_ACCEL_COMPLETION_ALIGN	32

/* The largest next_offset and value_offset of CHASE. */
#define MOCK_ACCEL_MAX_OFFSET		4096

/**
 * struct mock_accel_desc - a job, in the memory of the process
 * @opcode: MOCK_ACCEL_OP_*
 * @reserved: 0
 * @completion: address of a struct mock_accel_completion
 * @src: address of the source
 * @dst: address of the destination
 * @length: how many bytes, or for CHASE how many nodes at most
 * @operand: for FILL the pattern, for ATOMIC_ADD what to add, for CRC32 the seed:
 *	0, or the checksum of what comes before
 * @next_offset: for CHASE
 * @value_offset: for CHASE
 * @reserved2: 0
 *
 * Aligned to MOCK_ACCEL_DESC_ALIGN. An operation ignores the fields that it does
 * not use.
 */
struct mock_accel_desc {
	__u32 opcode;
	__u32 reserved;
	__u64 completion;
	__u64 src;
	__u64 dst;
	__u64 length;
	__u64 operand;
	__u32 next_offset;
	__u32 value_offset;
	__u64 reserved2;
};

/**
 * struct mock_accel_completion - the end of a job, in the memory of the process
 * @status: MOCK_ACCEL_*; written after the rest, so that one may poll for it
 * @reason: for PAGE_FAULT: MOCK_ACCEL_REASON_*; else 0
 * @result: as the operation says; 0 unless the status is SUCCESS
 * @bytes: how many bytes are done, from the start, without a gap
 * @fault_address: for PAGE_FAULT and BUS_ERROR: which access failed; else 0
 *
 * Aligned to MOCK_ACCEL_COMPLETION_ALIGN.
 */
struct mock_accel_completion {
	__u32 status;
	__u32 reason;
	__u64 result;
	__u64 bytes;
	__u64 fault_address;
};

/**
 * struct mock_accel_info - a context and its device
 * @pasid: under which the device reaches the memory of the process; 0 for none
 * @queue_depth: how many jobs may be submitted and not waited for
 * @operations: bit n: the device has the operation with opcode n
 * @max_length: of COPY, FILL, COMPARE and CRC32, in bytes
 * @max_nodes: largest length of CHASE
 * @jobs: how many jobs of this context have ended
 * @errors: how many of them not with MOCK_ACCEL_SUCCESS
 * @bytes: sum over their completion records
 * @mode: how the device reaches the memory of the process: MOCK_ACCEL_MODE_*
 * @reserved: 0
 */
struct mock_accel_info {
	__u32 pasid;
	__u32 queue_depth;
	__u64 operations;
	__u64 max_length;
	__u64 max_nodes;
	__u64 jobs;
	__u64 errors;
	__u64 bytes;
	__u32 mode;
	__u32 reserved;
};

/**
 * struct mock_accel_submit - argument of MOCK_ACCEL_IOC_SUBMIT
 * @desc: in: address of the struct mock_accel_desc
 * @job: out: the job's number in this context, from 1 on
 */
struct mock_accel_submit {
	__u64 desc;
	__u64 job;
};

/**
 * struct mock_accel_wait - argument of MOCK_ACCEL_IOC_WAIT
 * @job: in: which job to wait for
 * @completion: out: what the device wrote to the job's completion record
 */
struct mock_accel_wait {
	__u64 job;
	struct mock_accel_completion completion;
};

/**
 * struct mock_accel_prefetch - argument of MOCK_ACCEL_IOC_PREFETCH
 * @addr: in: first address
 * @length: in: how many bytes
 * @write: in: 1 if the device will write to them, else 0
 * @reserved: 0
 * @pages: out: how many of the pages are there
 */
struct mock_accel_prefetch {
	__u64 addr;
	__u64 length;
	__u32 write;
	__u32 reserved;
	__u64 pages;
};

#define MOCK_ACCEL_IOC_MAGIC	0xBB

/*
 * MOCK_ACCEL_IOC_QUERY: tells of the context and the device. For any process.
 *
 * MOCK_ACCEL_IOC_SUBMIT: queues a job and returns at once. Errors:
 *	EINVAL: the descriptor's address is not aligned
 *	EBUSY: queue_depth jobs are waiting to be run or waited for
 *	EPERM: the caller's memory is not that of the opener
 *	ESRCH: the device has been taken from the process
 *	ENODEV: the device is gone
 *
 * MOCK_ACCEL_IOC_WAIT: waits until a job has ended, and forgets it. A signal
 * interrupts the wait; it may simply be called again. Errors:
 *	EFAULT: the completion record could not be written (or the descriptor
 *		not be read, so that its address is unknown): the argument has
 *		been filled in all the same
 *	ENOENT: no such job, or it has been waited for already
 *	EINTR: a signal arrived
 *	EPERM, ESRCH, ENODEV: as above
 *
 * MOCK_ACCEL_IOC_PREFETCH: has memory there before a job asks for it, as far as memory
 * is plentiful and nothing has to be waited for: what is left out, jobs ask for. Errors:
 *	EINVAL: the range wraps, or a field is wrong
 *	EINTR: the caller is being killed
 *	EPERM, ESRCH: as above
 */
#define MOCK_ACCEL_IOC_QUERY	_IOR(MOCK_ACCEL_IOC_MAGIC, 0, struct mock_accel_info)
#define MOCK_ACCEL_IOC_SUBMIT	_IOWR(MOCK_ACCEL_IOC_MAGIC, 1, struct mock_accel_submit)
#define MOCK_ACCEL_IOC_WAIT	_IOWR(MOCK_ACCEL_IOC_MAGIC, 2, struct mock_accel_wait)
#define MOCK_ACCEL_IOC_PREFETCH	_IOWR(MOCK_ACCEL_IOC_MAGIC, 3, struct mock_accel_prefetch)

#endif /* _UAPI_LINUX_MOCK_ACCEL_H */
