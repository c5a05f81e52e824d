// SPDX-License-Identifier: GPL-2.0
/* What a process may not do itself, the device may not do for it. */

#include "accel.h"
#include "debugfs.h"

FIXTURE(fault) {
	int fd;
	size_t page;
	/* Three pages, of which a test takes the middle one away. */
	unsigned char *area;
	struct mock_accel_info before;
};

FIXTURE_SETUP(fault)
{
	self->fd = accel_open(0);
	ASSERT_LE(0, self->fd);
	self->page = page_size();
	self->area = map_fresh(3 * self->page);
	ASSERT_NE(NULL, self->area);
	memset(self->area, 0x55, 3 * self->page);
	ASSERT_EQ(0, accel_query(self->fd, &self->before));
}

FIXTURE_TEARDOWN(fault)
{
	uint64_t word = 0;

	/* Whatever was refused, the context works on. */
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(self->fd, &word, 7, 8));
	EXPECT_EQ(7, word);
	close(self->fd);
}

TEST_F(fault, unmapped)
{
	unsigned char *middle = self->area + self->page;

	ASSERT_EQ(0, munmap(middle, self->page));
	EXPECT_TRUE(read_refused(self->fd, middle));
	EXPECT_TRUE(write_refused(self->fd, middle + 16));
	EXPECT_TRUE(read_refused(self->fd, NULL));
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_read(self->fd, self->area, self->page));
}

/* The reason of a job that is refused. */
static unsigned int reason(int fd, void *addr)
{
	struct job job = fill_job(addr, 1, 8);

	return accel_run(fd, &job) == MOCK_ACCEL_PAGE_FAULT ? job.done.reason : -1;
}

TEST_F(fault, reasons)
{
	int file = memfd_create("short", 0);
	unsigned char *beyond;

	ASSERT_EQ(0, ftruncate(file, self->page));
	beyond = mmap(NULL, 2 * self->page, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	ASSERT_NE(MAP_FAILED, beyond);
	ASSERT_EQ(0, munmap(self->area, self->page));
	ASSERT_EQ(0, mprotect(self->area + self->page, self->page, PROT_READ));
	EXPECT_EQ(MOCK_ACCEL_REASON_NOT_MAPPED, reason(self->fd, self->area));
	EXPECT_EQ(MOCK_ACCEL_REASON_NO_RIGHT, reason(self->fd, self->area + self->page));
	EXPECT_EQ(MOCK_ACCEL_REASON_NO_PAGE, reason(self->fd, beyond + self->page));
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(self->fd, beyond, 1, 8));
	close(file);
}

/* One context's reasons are not lost by another's. */
TEST_F(fault, reasons_of_many)
{
	int other = accel_open(0);

	ASSERT_LE(0, other);
	ASSERT_EQ(0, munmap(self->area, self->page));
	for (int i = 0; i < 100; i++) {
		struct job a = fill_job(self->area, 1, 8), b = crc32_job(self->area + 64, 8, 0);
		struct mock_accel_completion done;
		int64_t number = accel_submit(self->fd, &a);

		EXPECT_EQ(MOCK_ACCEL_PAGE_FAULT, accel_run(other, &b));
		EXPECT_EQ(MOCK_ACCEL_REASON_NOT_MAPPED, b.done.reason);
		EXPECT_EQ(0, accel_wait(self->fd, number, &done));
		EXPECT_EQ(MOCK_ACCEL_REASON_NOT_MAPPED, done.reason);
		usleep(5000);
	}
	close(other);
}

TEST_F(fault, beyond_any_mapping)
{
	EXPECT_TRUE(read_refused(self->fd, (void *)(1ull << 47)));
	EXPECT_TRUE(write_refused(self->fd, (void *)((1ull << 48) - 4096)));
}

/* Above the addresses of processes there is no translation to ask for. */
TEST_F(fault, kernel_and_odd_addresses)
{
	static const uint64_t addresses[] = {
		1ull << 48, 1ull << 52, 1ull << 55, 0xffff000000000000, 0xffff800080000000,
		0xfffffffffffff000,
	};

	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
		struct job read = crc32_job((void *)addresses[i], 8, 0);
		struct job write = fill_job((void *)addresses[i], 1, 8);

		EXPECT_LE(MOCK_ACCEL_PAGE_FAULT, accel_run(self->fd, &read));
		EXPECT_GE(MOCK_ACCEL_BUS_ERROR, read.done.status);
		EXPECT_EQ(addresses[i], read.done.fault_address);
		EXPECT_LE(MOCK_ACCEL_PAGE_FAULT, accel_run(self->fd, &write));
		EXPECT_GE(MOCK_ACCEL_BUS_ERROR, write.done.status);
		EXPECT_EQ(addresses[i], write.done.fault_address);
	}
}

TEST_F(fault, read_only_memory_is_not_written)
{
	unsigned char *middle = self->area + self->page;

	ASSERT_EQ(0, mprotect(middle, self->page, PROT_READ));
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_read(self->fd, middle, self->page));
	EXPECT_TRUE(write_refused(self->fd, middle));
	EXPECT_EQ(0x55, middle[0]);
}

TEST_F(fault, read_only_memory_never_touched)
{
	void *fresh = mmap(NULL, self->page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, fresh);
	EXPECT_TRUE(write_refused(self->fd, fresh));
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_read(self->fd, fresh, self->page));
}

TEST_F(fault, read_only_atomic)
{
	unsigned char *middle = self->area + self->page;
	struct job job = add_job((uint64_t *)middle, 1);

	ASSERT_EQ(0, mprotect(middle, self->page, PROT_READ));
	EXPECT_EQ(MOCK_ACCEL_PAGE_FAULT, accel_run(self->fd, &job));
	EXPECT_EQ((uintptr_t)middle, job.done.fault_address);
	EXPECT_EQ(0x55, middle[0]);
}

TEST_F(fault, no_access)
{
	unsigned char *middle = self->area + self->page;

	ASSERT_EQ(0, mprotect(middle, self->page, PROT_NONE));
	EXPECT_TRUE(read_refused(self->fd, middle));
	EXPECT_TRUE(write_refused(self->fd, middle));
	ASSERT_EQ(0, mprotect(middle, self->page, PROT_READ));
	EXPECT_EQ(0x55, middle[0]);
}

TEST_F(fault, copy_up_to_a_hole)
{
	unsigned char *hole = self->area + self->page, *dst = map_fresh(2 * self->page);
	struct job from = copy_job(dst, hole - 100, 200);
	struct job to = copy_job(hole - 50, dst, 200);

	ASSERT_NE(NULL, dst);
	ASSERT_EQ(0, munmap(hole, self->page));
	EXPECT_EQ(MOCK_ACCEL_PAGE_FAULT, accel_run(self->fd, &from));
	EXPECT_EQ((uintptr_t)hole, from.done.fault_address);
	EXPECT_EQ(100, from.done.bytes);
	EXPECT_EQ(0, memcmp(dst, hole - 100, 100));
	EXPECT_EQ(0, dst[100]);

	memset(dst, 0x66, 200);
	EXPECT_EQ(MOCK_ACCEL_PAGE_FAULT, accel_run(self->fd, &to));
	EXPECT_EQ((uintptr_t)hole, to.done.fault_address);
	EXPECT_EQ(50, to.done.bytes);
	EXPECT_EQ(0x66, hole[-1]);
	EXPECT_EQ(0x55, hole[-51]);
}

TEST_F(fault, list_out_of_memory)
{
	struct node *node = (struct node *)self->area;
	struct job job = chase_job(node, 10);

	node->next = (struct node *)(self->area + self->page);
	ASSERT_EQ(0, munmap(node->next, self->page));
	EXPECT_EQ(MOCK_ACCEL_PAGE_FAULT, accel_run(self->fd, &job));
	EXPECT_EQ((uintptr_t)node->next, job.done.fault_address);
	EXPECT_EQ(16, job.done.bytes);
}

TEST_F(fault, beyond_the_end_of_a_file)
{
	int file = memfd_create("short", MFD_CLOEXEC);
	unsigned char *p;

	ASSERT_LE(0, file);
	ASSERT_EQ(0, ftruncate(file, 100));
	p = mmap(NULL, 2 * self->page, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(self->fd, p, 1, self->page));
	EXPECT_TRUE(read_refused(self->fd, p + self->page));
	EXPECT_TRUE(write_refused(self->fd, p + self->page));
	close(file);
}

TEST_F(fault, descriptor_unreachable)
{
	static const uint64_t descs[] = { 0, 4096, 1ull << 46, 0xffff800080000000 };

	for (size_t i = 0; i < ARRAY_SIZE(descs); i++) {
		struct mock_accel_completion done;
		int64_t number = accel_submit_at(self->fd, descs[i]);

		ASSERT_LT(0, number);
		EXPECT_EQ(-EFAULT, accel_wait(self->fd, number, &done));
		EXPECT_LE(MOCK_ACCEL_PAGE_FAULT, done.status);
		EXPECT_GE(MOCK_ACCEL_BUS_ERROR, done.status);
		EXPECT_EQ(descs[i], done.fault_address);
	}
}

TEST_F(fault, descriptor_not_aligned)
{
	struct job job = fill_job(self->area, 1, 8);

	EXPECT_EQ(-EINVAL, accel_submit_at(self->fd, (uintptr_t)&job.desc + 8));
	EXPECT_EQ(-EINVAL, accel_submit_at(self->fd, (uintptr_t)&job.desc + 1));
}

TEST_F(fault, completion_unreachable)
{
	struct job job = fill_job(self->area, 0x77, 1);
	const uint64_t bad[] = {
		0, (uintptr_t)self->area + self->page, (uintptr_t)&job.done + 8,
	};

	ASSERT_EQ(0, mprotect(self->area + self->page, self->page, PROT_READ));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct mock_accel_completion done;
		int64_t number;

		job.desc.completion = bad[i];
		self->area[0] = 0;
		number = accel_submit_at(self->fd, (uintptr_t)&job.desc);
		ASSERT_LT(0, number);
		EXPECT_EQ(-EFAULT, accel_wait(self->fd, number, &done));
		/* The job itself was done. */
		EXPECT_EQ(MOCK_ACCEL_SUCCESS, done.status);
		EXPECT_EQ(0x77, self->area[0]);
		EXPECT_EQ(MOCK_ACCEL_PENDING, job.done.status);
	}
}

TEST_F(fault, errors_are_counted)
{
	struct mock_accel_info after;
	struct bond bond;
	uint64_t refused;

	ASSERT_EQ(1, find_bond(NULL, self->before.pasid, &bond));
	refused = bond.refused;
	EXPECT_TRUE(read_refused(self->fd, NULL));
	EXPECT_TRUE(write_refused(self->fd, NULL));
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(self->fd, self->area, 1, 100));
	ASSERT_EQ(0, accel_query(self->fd, &after));
	EXPECT_EQ(self->before.jobs + 3, after.jobs);
	EXPECT_EQ(self->before.errors + 2, after.errors);
	EXPECT_EQ(self->before.bytes + 100, after.bytes);
	ASSERT_EQ(1, find_bond(NULL, self->before.pasid, &bond));
	EXPECT_LE(refused + 2, bond.refused);
}

/* Every other one of many jobs in flight fails; each learns its own fate. */
TEST_F(fault, mixed_fates)
{
	enum { JOBS = 32 };
	static struct job jobs[JOBS];
	int64_t numbers[JOBS];

	for (int i = 0; i < JOBS; i++) {
		jobs[i] = fill_job(i % 2 ? NULL : self->area + i * 8, i, 8);
		numbers[i] = accel_submit(self->fd, &jobs[i]);
		ASSERT_LT(0, numbers[i]);
	}
	for (int i = JOBS - 1; i >= 0; i--) {
		struct mock_accel_completion done;

		ASSERT_EQ(0, accel_wait(self->fd, numbers[i], &done));
		EXPECT_EQ(i % 2 ? MOCK_ACCEL_PAGE_FAULT : MOCK_ACCEL_SUCCESS, done.status);
	}
	EXPECT_EQ(30, ((uint64_t *)self->area)[30]);
}

TEST_HARNESS_MAIN
