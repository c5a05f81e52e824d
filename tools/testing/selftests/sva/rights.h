/* SPDX-License-Identifier: GPL-2.0 */
/* What the CPU may do, tried by the CPU; what the device may, tried by the device. */
#ifndef SELFTESTS_SVA_RIGHTS_H
#define SELFTESTS_SVA_RIGHTS_H

#include <setjmp.h>
#include <signal.h>

#include "accel.h"

static sigjmp_buf rights_back;

static inline void rights_denied(int signal)
{
	siglongjmp(rights_back, 1);
}

/* Has the process read the word at @addr, or write @value there; whether it may. */
static inline bool cpu_may(volatile uint64_t *addr, bool write, uint64_t value)
{
	struct sigaction deny = { .sa_handler = rights_denied }, segv, bus;
	volatile bool may = false;

	sigaction(SIGSEGV, &deny, &segv);
	sigaction(SIGBUS, &deny, &bus);
	if (!sigsetjmp(rights_back, 1)) {
		if (write)
			*addr = value;
		else
			(void)*addr;
		may = true;
	}
	sigaction(SIGSEGV, &segv, NULL);
	sigaction(SIGBUS, &bus, NULL);
	return may;
}

/* The same by the device: 1, 0, or a negative number if it failed in another way. */
static inline int device_may(int accel, uint64_t *addr, bool write, uint64_t value)
{
	struct job job = write ? fill_job(addr, value, 8) : crc32_job(addr, 8, 0);

	switch (accel_run(accel, &job)) {
	case MOCK_ACCEL_SUCCESS:
		return 1;
	case MOCK_ACCEL_PAGE_FAULT:
		return job.done.fault_address == (uintptr_t)addr ? 0 : -EFAULT;
	case MOCK_ACCEL_BUS_ERROR:
		return -EIO;
	default:
		return -EINVAL;
	}
}

/* Whether an SMMU ignores tags: the kernel's own driver has it refuse them. */
static inline bool tags_are_ignored(void)
{
	const char *smmu = getenv("smmu");

	return !smmu || strcmp(smmu, "stock");
}

/* A pointer to the same memory, as C libraries tag theirs. */
static inline void *tagged(const void *addr, uint8_t tag)
{
	return (void *)((uintptr_t)addr | (uintptr_t)tag << 56);
}

#endif /* SELFTESTS_SVA_RIGHTS_H */
