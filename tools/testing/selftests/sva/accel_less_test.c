// SPDX-License-Identifier: GPL-2.0
/* Jobs on devices that have no page requests, or no PASIDs: the same as on any other. */

#include <sys/resource.h>
#include <sys/syscall.h>

#include <linux/capability.h>

#include "configfs_fixture.h"

#define SIZE	(4 << 20)

FIXTURE_VARIANT(configfs) {
	const char *pasid_bits;
	uint32_t mode;
};

FIXTURE_VARIANT_ADD(configfs, pinned) {
	.pasid_bits = "8", .mode = MOCK_ACCEL_MODE_PINNED,
};

FIXTURE_VARIANT_ADD(configfs, mapped) {
	.pasid_bits = "0", .mode = MOCK_ACCEL_MODE_MAPPED,
};

/* Plugs the device in, and opens it. */
static int plug_in(const char *pasid_bits)
{
	if (config_make(FIRST, "pri", "0", "pasid_bits", pasid_bits, "online", "1", NULL))
		return -EINVAL;
	return open_accel(FIRST);
}

TEST_F(configfs, any_address)
{
	unsigned char *from = map_fresh(SIZE), *to = map_fresh(SIZE);
	int fd = plug_in(variant->pasid_bits);

	ASSERT_LE(0, fd);
	EXPECT_EQ(variant->mode, accel_mode(fd));
	for (int i = 0; i < SIZE; i++)
		from[i] = i * 7 + i / 4096;
	/* Beginnings and ends in the middle of pages, and pages that nobody has touched. */
	for (size_t at = 1; at < 3 * 4096; at += 1003) {
		struct job job = copy_job(to + at, from + 2 * at, at * 3);

		ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_run(fd, &job));
		ASSERT_EQ(0, memcmp(to + at, from + 2 * at, at * 3));
	}
	close(fd);
}

/* What a job had is not what the next one gets by the same address. */
TEST_F(configfs, remapped_between_jobs)
{
	uint64_t *memory = map_fresh(SIZE);
	int fd = plug_in(variant->pasid_bits);

	ASSERT_LE(0, fd);
	for (uint64_t round = 1; round < 5; round++) {
		ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(fd, memory, round, SIZE));
		EXPECT_EQ(round, memory[SIZE / 16]);
		ASSERT_EQ(memory, mmap(memory, SIZE, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
		EXPECT_EQ(0, memory[SIZE / 16]);
	}
	close(fd);
}

/* The process may not lock more memory than its limit any more. */
static int keep_to_limit(rlim_t limit)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct rlimit rlimit = { limit, limit };
	struct __user_cap_data_struct caps[2];

	if (setrlimit(RLIMIT_MEMLOCK, &rlimit) || syscall(SYS_capget, &header, caps))
		return -errno;
	caps[0].effective &= ~(1U << CAP_IPC_LOCK);
	return syscall(SYS_capset, &header, caps) ? -errno : 0;
}

/* Jobs of any size work within the limit; where it is 0 none does. */
TEST_F(configfs, limit_of_locked_memory)
{
	const rlim_t limits[] = { 1 << 20, 0 };
	const int results[] = { MOCK_ACCEL_SUCCESS, -EFAULT };
	int fd = plug_in(variant->pasid_bits);

	ASSERT_LE(0, fd);
	for (int i = 0; i < 2; i++) {
		pid_t child = fork();

		if (!child) {
			/* That of who binds counts. */
			if (keep_to_limit(limits[i]))
				_exit(100);
			fd = open_accel(FIRST);
			_exit(fd < 0 ? 101 : accel_fill(fd, map_fresh(SIZE), 0x5a, SIZE) & 0x7f);
		}
		EXPECT_EQ(results[i] & 0x7f, child_status(child));
	}
	close(fd);
}

/* The device goes while a job is at it. */
TEST_F(configfs, unplugged_in_mid_job)
{
	const size_t size = 256 << 20;
	struct mock_accel_completion done;
	struct job job;
	int64_t number;
	int fd = plug_in(variant->pasid_bits), ret;
	uint64_t *memory = map_fresh(size);

	ASSERT_LE(0, fd);
	job = fill_job(memory, 1, size);
	number = accel_submit(fd, &job);
	ASSERT_LT(0, number);
	while (!__atomic_load_n(memory, __ATOMIC_RELAXED))
		usleep(100);
	EXPECT_EQ(0, config_set(FIRST, "online", "0"));
	ret = accel_wait(fd, number, &done);
	EXPECT_TRUE(ret == -ENODEV || ret == -ESRCH);
	close(fd);
}

TEST_HARNESS_MAIN
