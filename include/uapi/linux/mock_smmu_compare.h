/* SPDX-License-Identifier: GPL-2.0+ WITH Linux-syscall-note */
/*
 * For tests: does the mock SMMU translate as the kernel does?
 *
 * /dev/mock_smmu_compare asks, for each page of a range of the calling process,
 * where a device behind the mock SMMU would read, write and execute, and where
 * the kernel says that the process does (get_user_pages_fast() without faulting).
 * Neither asks for a page that is missing. Both are asked about the same instant:
 * a page is asked for again if the address space has changed there meanwhile.
 */
#ifndef _UAPI_LINUX_MOCK_SMMU_COMPARE_H
#define _UAPI_LINUX_MOCK_SMMU_COMPARE_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* Where an access goes that would fault. */
#define MOCK_SMMU_COMPARE_NONE	0xffffffffffffffffULL

/* Walk the tables, whatever TLB and ATC remember. */
#define MOCK_SMMU_COMPARE_WALK	1

/**
 * struct mock_smmu_compare_page - what one address leads to
 * @read: physical address of reads, or MOCK_SMMU_COMPARE_NONE
 * @write: of writes
 * @exec: of instruction fetches
 */
struct mock_smmu_compare_page {
	__u64 read;
	__u64 write;
	__u64 exec;
};

/**
 * struct mock_smmu_compare - a comparison, and how it went
 * @device: name of a device behind a mock SMMU
 * @pasid: what binds the process to it
 * @flags: MOCK_SMMU_COMPARE_*
 * @addr: first address; a multiple of the page size
 * @length: in bytes; a multiple of the page size, not 0
 * @pages: out: how many pages were compared
 * @readable: out: how many of them the device would read
 * @writable: out: how many it would write
 * @executable: out: how many it would execute
 * @folios: out: how many lie in folios of 16 pages or more
 * @large: out: how many are covered by a translation of 16 pages or more
 * @retries: out: how often the address space had changed meanwhile
 * @differ: out: how many pages differ
 * @where: out: the first address that differs
 * @device_says: out: what the device finds there
 * @kernel_says: out: what the kernel finds there
 */
struct mock_smmu_compare {
	__u8 device[32];
	__u32 pasid;
	__u32 flags;
	__u64 addr;
	__u64 length;
	__u64 pages;
	__u64 readable;
	__u64 writable;
	__u64 executable;
	__u64 folios;
	__u64 large;
	__u64 retries;
	__u64 differ;
	__u64 where;
	struct mock_smmu_compare_page device_says;
	struct mock_smmu_compare_page kernel_says;
};

#define MOCK_SMMU_COMPARE_IOC_MAGIC	0xBC

/*
 * Compares. -EINVAL for a range or flags that make no sense; -ENODEV without such
 * a device behind a mock SMMU; -EIO if the SMMU does not translate for the PASID;
 * -EAGAIN if a page does not stay the same for long enough.
 */
#define MOCK_SMMU_COMPARE_IOC_RUN \
	_IOWR(MOCK_SMMU_COMPARE_IOC_MAGIC, 0, struct mock_smmu_compare)

#endif /* _UAPI_LINUX_MOCK_SMMU_COMPARE_H */
