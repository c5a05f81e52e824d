// SPDX-License-Identifier: GPL-2.0
/* Whatever a process does to its mappings, the device sees as the process does. */

#include "accel.h"
#include "debugfs.h"

/* A function, to have an address of code. */
static int accel_memory_code(void)
{
	return 0;
}

FIXTURE(memory) {
	int fd;
	unsigned int pasid;
	size_t page, length;
	uint64_t *area;
};

FIXTURE_SETUP(memory)
{
	self->fd = accel_open(0);
	ASSERT_LE(0, self->fd);
	self->pasid = accel_pasid(self->fd);
	self->page = page_size();
	self->length = 8 * self->page;
	self->area = map_fresh(self->length);
	ASSERT_NE(NULL, self->area);
}

FIXTURE_TEARDOWN(memory)
{
	close(self->fd);
}

/* How many pages of a mapping are there. */
static size_t resident(const void *p, size_t length)
{
	unsigned char pages[1024];
	size_t count = 0;

	if (length / page_size() > sizeof(pages) || mincore((void *)p, length, pages))
		return -1;
	for (size_t i = 0; i < length / page_size(); i++)
		count += pages[i] & 1;
	return count;
}

TEST_F(memory, cold_pages_are_faulted_in)
{
	struct bond before, after;

	ASSERT_EQ(1, find_bond(NULL, self->pasid, &before));
	ASSERT_EQ(0, resident(self->area, self->length));
	ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(self->fd, self->area, 5, self->length));
	EXPECT_EQ(8, resident(self->area, self->length));
	EXPECT_TRUE(all_words(self->area, 5, self->length));
	ASSERT_EQ(1, find_bond(NULL, self->pasid, &after));
	EXPECT_LE(before.requests + 8, after.requests);
	EXPECT_LE(before.pages + 8, after.pages);
	EXPECT_EQ(before.refused, after.refused);
}

TEST_F(memory, warm_pages_are_not_asked_for_again)
{
	struct bond before, after;

	ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(self->fd, self->area, 5, self->length));
	ASSERT_EQ(1, find_bond(NULL, self->pasid, &before));
	for (int i = 0; i < 10; i++)
		ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(self->fd, self->area, i, self->length));
	ASSERT_EQ(1, find_bond(NULL, self->pasid, &after));
	/* A few for the job and its record, on the stack. */
	EXPECT_GE(before.requests + 4, after.requests);
}

TEST_F(memory, zero_page_read_then_written)
{
	struct job check = crc32_job(self->area, self->length, 0);
	uint64_t *zeros = map_fresh(self->length);

	/* First the shared page of zeros, then one of its own. */
	ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_run(self->fd, &check));
	ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_read(self->fd, zeros, self->length));
	ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(self->fd, self->area, 1, self->length));
	EXPECT_TRUE(all_words(self->area, 1, self->length));
	EXPECT_TRUE(all_words(zeros, 0, self->length));
}

TEST_F(memory, device_and_cpu_see_each_other)
{
	for (uint64_t i = 1; i < 50; i++) {
		struct job job = add_job(&self->area[i], 1);

		__atomic_store_n(&self->area[i], i, __ATOMIC_RELAXED);
		ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_run(self->fd, &job));
		EXPECT_EQ(i, job.done.result);
		EXPECT_EQ(i + 1, __atomic_load_n(&self->area[i], __ATOMIC_RELAXED));
	}
}

TEST_F(memory, mprotect_takes_effect_at_once)
{
	for (int i = 0; i < 20; i++) {
		ASSERT_EQ(0, mprotect(self->area, self->length, PROT_READ | PROT_WRITE));
		ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(self->fd, self->area, i, self->length));
		ASSERT_EQ(0, mprotect(self->area, self->length, PROT_READ));
		ASSERT_TRUE(write_refused(self->fd, self->area));
		ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_read(self->fd, self->area, 64));
		ASSERT_EQ(0, mprotect(self->area, self->length, PROT_NONE));
		ASSERT_TRUE(read_refused(self->fd, self->area));
	}
	ASSERT_EQ(0, mprotect(self->area, self->length, PROT_READ));
	EXPECT_TRUE(all_words(self->area, 19, self->length));
}

TEST_F(memory, munmap_takes_effect_at_once)
{
	for (int i = 0; i < 20; i++) {
		void *again;

		ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(self->fd, self->area, 1, self->length));
		ASSERT_EQ(0, munmap(self->area, self->length));
		ASSERT_TRUE(write_refused(self->fd, self->area));
		ASSERT_TRUE(read_refused(self->fd, self->area + 1));
		again = mmap(self->area, self->length, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		ASSERT_EQ((void *)self->area, again);
		ASSERT_TRUE(all_words(self->area, 0, 8));
	}
}

/* The old pages must not be reached through what the device remembers. */
TEST_F(memory, remapped_address_has_other_memory)
{
	uint64_t *kept = map_fresh(self->length);

	for (int i = 1; i < 20; i++) {
		ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(self->fd, kept, i, self->length));
		ASSERT_EQ((void *)self->area,
			  mremap(kept, self->length, self->length, MREMAP_MAYMOVE | MREMAP_FIXED,
				 self->area));
		ASSERT_TRUE(all_words(self->area, i, self->length));
		ASSERT_TRUE(write_refused(self->fd, kept));
		ASSERT_EQ((void *)kept, mmap(kept, self->length, PROT_READ | PROT_WRITE,
					     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
		ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(self->fd, kept, 99, self->length));
		ASSERT_TRUE(all_words(self->area, i, self->length));
	}
}

TEST_F(memory, mremap_moves_with_the_data)
{
	uint64_t *moved;
	struct job check;

	ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(self->fd, self->area, 3, self->length));
	moved = mremap(self->area, self->length, 64 * self->length, MREMAP_MAYMOVE);
	ASSERT_NE(MAP_FAILED, moved);
	check = add_job(&moved[1], 1);
	ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_run(self->fd, &check));
	EXPECT_EQ(3, check.done.result);
	ASSERT_EQ(MOCK_ACCEL_SUCCESS,
		  accel_fill(self->fd, moved, 4, 64 * self->length));
	EXPECT_TRUE(all_words(moved, 4, 64 * self->length));
	if (moved != self->area)
		EXPECT_TRUE(write_refused(self->fd, self->area));
}

TEST_F(memory, dontneed_gives_zeros)
{
	for (int i = 1; i < 20; i++) {
		struct job job = add_job(&self->area[9], 0);

		ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(self->fd, self->area, i, self->length));
		ASSERT_EQ(0, madvise(self->area, self->length, MADV_DONTNEED));
		ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_run(self->fd, &job));
		ASSERT_EQ(0, job.done.result);
	}
}

TEST_F(memory, munmap_during_a_job)
{
	struct node *ring = (struct node *)self->area;
	static struct endless endless;
	struct mock_accel_completion done;
	int64_t number;

	endless.first = crc32_job(&endless, 1, 0);
	endless.job = chase_job(ring, 1 << 24);
	ring->next = ring;
	ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_run(self->fd, &endless.first));
	number = accel_submit(self->fd, &endless.job);
	ASSERT_LT(0, number);
	usleep(20000);
	EXPECT_EQ(MOCK_ACCEL_PENDING, endless.job.done.status);
	ASSERT_EQ(0, munmap(ring, self->page));
	ASSERT_EQ(0, accel_wait(self->fd, number, &done));
	EXPECT_EQ(MOCK_ACCEL_PAGE_FAULT, done.status);
	EXPECT_EQ((uintptr_t)ring, done.fault_address);
	EXPECT_LT(0, done.bytes);
}

TEST_F(memory, mprotect_during_a_job)
{
	const size_t length = 32 << 20;
	uint64_t *memory = map_fresh(length);
	struct mock_accel_completion done;
	static struct job job;
	int64_t number;

	job = fill_job(memory, 1, length);
	number = accel_submit(self->fd, &job);
	ASSERT_LT(0, number);
	while (!__atomic_load_n(memory, __ATOMIC_RELAXED))
		;
	ASSERT_EQ(0, mprotect(memory, length, PROT_READ));
	ASSERT_EQ(0, accel_wait(self->fd, number, &done));
	ASSERT_EQ(MOCK_ACCEL_PAGE_FAULT, done.status);
	/* Exactly what the device says is done is done. */
	EXPECT_EQ((uintptr_t)memory + done.bytes, done.fault_address);
	EXPECT_TRUE(all_words(memory, 1, done.bytes));
	EXPECT_TRUE(all_words(memory + done.bytes / 8, 0, length - done.bytes));
}

TEST_F(memory, huge_pages)
{
	const size_t huge = 2 << 20, length = 3 * huge;
	unsigned char *all = map_fresh(length + huge);
	uint64_t *memory = (uint64_t *)(((uintptr_t)all + huge - 1) & ~(huge - 1));
	struct job compare;

	ASSERT_EQ(0, madvise(memory, length, MADV_HUGEPAGE));
	ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(self->fd, memory, 1, length));
	EXPECT_TRUE(all_words(memory, 1, length));

	/* A hole splits a huge page; its other parts stay. */
	ASSERT_EQ(0, madvise((char *)memory + huge + 5 * self->page, self->page, MADV_DONTNEED));
	compare = compare_job(memory, (char *)memory + huge, huge);
	ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_run(self->fd, &compare));
	EXPECT_EQ(5 * self->page, compare.done.result);

	ASSERT_EQ(0, mprotect((char *)memory + self->page, self->page, PROT_READ));
	EXPECT_TRUE(write_refused(self->fd, (char *)memory + self->page));
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(self->fd, memory, 2, self->page));
	ASSERT_EQ(0, munmap((char *)memory + 2 * huge, huge));
	EXPECT_TRUE(write_refused(self->fd, (char *)memory + 2 * huge));
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_read(self->fd, memory, 2 * huge));
}

TEST_F(memory, private_file_mapping)
{
	int file = memfd_create("private", MFD_CLOEXEC);
	uint64_t *p, word;

	ASSERT_LE(0, file);
	ASSERT_EQ(0, ftruncate(file, self->length));
	ASSERT_EQ(8, pwrite(file, &(uint64_t){ 77 }, 8, 0));
	p = mmap(NULL, self->length, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_read(self->fd, p, self->length));
	ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(self->fd, p, 1, self->length));
	EXPECT_TRUE(all_words(p, 1, self->length));
	ASSERT_EQ(8, pread(file, &word, 8, 0));
	EXPECT_EQ(77, word);
	ASSERT_EQ(8, pread(file, &word, 8, self->page));
	EXPECT_EQ(0, word);
	close(file);
}

TEST_F(memory, shared_file_mapping)
{
	int file = memfd_create("shared", MFD_CLOEXEC);
	uint64_t *p, word;
	struct job job;

	ASSERT_LE(0, file);
	ASSERT_EQ(0, ftruncate(file, self->length));
	p = mmap(NULL, self->length, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(self->fd, p, 6, self->length));
	ASSERT_EQ(8, pread(file, &word, 8, 3 * self->page));
	EXPECT_EQ(6, word);
	ASSERT_EQ(8, pwrite(file, &(uint64_t){ 88 }, 8, self->page));
	job = add_job(p + self->page / 8, 1);
	ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_run(self->fd, &job));
	EXPECT_EQ(88, job.done.result);

	/* A truncated file takes its pages away. */
	ASSERT_EQ(0, ftruncate(file, self->page));
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(self->fd, p, 7, self->page));
	EXPECT_TRUE(write_refused(self->fd, p + self->page / 8));
	close(file);
}

TEST_F(memory, read_only_file_mapping)
{
	int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct job compare;
	char elf[64];
	void *p;

	ASSERT_LE(0, file);
	ASSERT_EQ(sizeof(elf), pread(file, elf, sizeof(elf), 0));
	p = mmap(NULL, self->page, PROT_READ, MAP_SHARED, file, 0);
	ASSERT_NE(MAP_FAILED, p);
	compare = compare_job(p, elf, sizeof(elf));
	ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_run(self->fd, &compare));
	EXPECT_EQ(sizeof(elf), compare.done.result);
	EXPECT_TRUE(write_refused(self->fd, p));
	close(file);
}

TEST_F(memory, own_program_is_not_written)
{
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_read(self->fd, (void *)accel_memory_code, 64));
	EXPECT_TRUE(write_refused(self->fd, (void *)accel_memory_code));
}

TEST_F(memory, locked_and_populated)
{
	struct bond before, after;
	void *p = mmap(NULL, self->length, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, mlock(self->area, self->length));
	ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(self->fd, &before, 0, 8));
	ASSERT_EQ(1, find_bond(NULL, self->pasid, &before));
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(self->fd, p, 1, self->length));
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(self->fd, self->area, 1, self->length));
	ASSERT_EQ(1, find_bond(NULL, self->pasid, &after));
	/* What is there needs no page request. */
	EXPECT_GE(before.requests + 4, after.requests);
}

TEST_F_TIMEOUT(memory, churn_while_the_device_works, 110)
{
	static struct job jobs[8];
	struct mock_accel_completion done;
	int64_t numbers[8];

	for (int round = 0; round < 20; round++) {
		uint64_t *memory = map_fresh(256 * self->page);

		for (int i = 0; i < 8; i++) {
			jobs[i] = fill_job(memory, i, 256 * self->page);
			numbers[i] = accel_submit(self->fd, &jobs[i]);
			ASSERT_LT(0, numbers[i]);
		}
		for (int i = 0; i < 50; i++) {
			madvise(memory, 128 * self->page, MADV_DONTNEED);
			mprotect(memory + self->page / 8, 64 * self->page, PROT_READ);
			mprotect(memory, 256 * self->page, PROT_READ | PROT_WRITE);
		}
		ASSERT_EQ(0, munmap(memory, 256 * self->page));
		for (int i = 0; i < 8; i++) {
			ASSERT_EQ(0, accel_wait(self->fd, numbers[i], &done));
			ASSERT_TRUE(done.status == MOCK_ACCEL_SUCCESS ||
				    done.status == MOCK_ACCEL_PAGE_FAULT);
		}
	}
	/* Nothing of it went elsewhere. */
	EXPECT_TRUE(all_words(self->area, 0, self->length));
}

static int prefetch(int fd, struct mock_accel_prefetch *arg)
{
	return ioctl(fd, MOCK_ACCEL_IOC_PREFETCH, arg) ? -errno : 0;
}

TEST(prefetch_saves_page_requests)
{
	const size_t pages = 1024, length = pages * page_size();
	int fd = accel_open(0);
	char *area = map_fresh(length + page_size());
	struct mock_accel_prefetch arg = {
		.addr = (uintptr_t)area, .length = length, .write = 1,
	};
	struct bond before, after;
	unsigned int pasid;

	ASSERT_LE(0, fd);
	ASSERT_NE(NULL, area);
	pasid = accel_pasid(fd);
	/* The stack, where the jobs are. */
	ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(fd, area + length, 1, 8));
	EXPECT_EQ(0, prefetch(fd, &arg));
	EXPECT_EQ(pages, arg.pages);
	ASSERT_EQ(1, find_bond("mock_accel.0", pasid, &before));
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(fd, area, 1, length));
	ASSERT_EQ(1, find_bond("mock_accel.0", pasid, &after));
	EXPECT_EQ(before.requests, after.requests);
	close(fd);
}

TEST(prefetch_mistakes)
{
	int fd = accel_open(0), status;
	char *area = map_fresh(page_size());
	struct mock_accel_prefetch arg = { .addr = (uintptr_t)area, .length = 8 }, wrong = arg;
	pid_t child;

	ASSERT_LE(0, fd);
	wrong.write = 2;
	EXPECT_EQ(-EINVAL, prefetch(fd, &wrong));
	wrong = arg;
	wrong.reserved = 1;
	EXPECT_EQ(-EINVAL, prefetch(fd, &wrong));
	wrong = arg;
	wrong.length = UINT64_MAX;
	EXPECT_EQ(-EINVAL, prefetch(fd, &wrong));
	EXPECT_EQ(0, prefetch(fd, &arg));
	EXPECT_EQ(1, arg.pages);
	munmap(area, page_size());
	EXPECT_EQ(0, prefetch(fd, &arg));
	EXPECT_EQ(0, arg.pages);
	child = fork();
	if (!child)
		_exit(prefetch(fd, &arg) == -EPERM ? 0 : 1);
	status = child_status(child);
	EXPECT_EQ(0, status);
	close(fd);
}

TEST_HARNESS_MAIN
