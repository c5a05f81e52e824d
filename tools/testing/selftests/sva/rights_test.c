// SPDX-License-Identifier: GPL-2.0
/*
 * What the device may do is what the CPU may do: Documentation/rights.rst has the
 * table, and what it explains.
 */

#include <linux/mempolicy.h>
#include <sys/syscall.h>

#include "rights.h"
#include "uffd.h"

#include "../../../../drivers/iommu/sva/tests/pin_file.h"

FIXTURE(rights) {
	int fd;
	int file;
	size_t page;
};

FIXTURE_SETUP(rights)
{
	self->fd = accel_open(0);
	ASSERT_LE(0, self->fd);
	self->page = page_size();
	self->file = memfd_create("rights", MFD_CLOEXEC);
	ASSERT_LE(0, self->file);
	ASSERT_EQ(0, ftruncate(self->file, 8 * self->page));
}

FIXTURE_TEARDOWN(rights)
{
	close(self->fd);
	close(self->file);
}

/* Memory that is served at once, and memory that a worker serves. */
static const struct {
	const char *name;
	int flags;
	bool file;
} kinds[] = {
	{ "private", MAP_PRIVATE | MAP_ANONYMOUS, false },
	{ "shared", MAP_SHARED | MAP_ANONYMOUS, false },
	{ "private file", MAP_PRIVATE, true },
	{ "shared file", MAP_SHARED, true },
};

static uint64_t *map_kind(size_t kind, int prot, size_t length, int file)
{
	uint64_t *p = mmap(NULL, length, prot, kinds[kind].flags, kinds[kind].file ? file : -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* Each protection of each kind of memory, read and written; cold, and as the other left it. */
TEST_F(rights, p1_cold_and_warm_as_the_cpu)
{
	for (size_t kind = 0; kind < ARRAY_SIZE(kinds); kind++) {
		for (int prot = 0; prot < 8; prot++) {
			for (int write = 0; write < 2; write++) {
				uint64_t *p = map_kind(kind, prot, 2 * self->page, self->file);
				uint64_t *q = (uint64_t *)((char *)p + self->page);
				int cold, warm;
				bool may;

				ASSERT_NE(NULL, p);
				cold = device_may(self->fd, p, write, 1);
				may = cpu_may(p, write, 2);
				EXPECT_EQ(may, cpu_may(q, write, 3));
				warm = device_may(self->fd, q, write, 4);
				EXPECT_EQ(may, cold);
				EXPECT_EQ(may, warm);
				if (may != cold || may != warm)
					TH_LOG("%s, prot %d, write %d", kinds[kind].name, prot,
					       write);
				munmap(p, 2 * self->page);
			}
		}
	}
}

/* The same memory when its protection changes under the device. */
TEST_F(rights, p1_after_mprotect_as_the_cpu)
{
	for (size_t kind = 0; kind < ARRAY_SIZE(kinds); kind++) {
		uint64_t *p = map_kind(kind, PROT_READ | PROT_WRITE, self->page, self->file);

		ASSERT_NE(NULL, p);
		for (int i = 0; i < 64; i++) {
			const int prot = i % 8;
			const bool write = i / 8 % 2;

			ASSERT_EQ(0, mprotect(p, self->page, PROT_READ | PROT_WRITE));
			ASSERT_EQ(1, device_may(self->fd, p, i / 16 % 2, i));
			ASSERT_EQ(0, mprotect(p, self->page, prot));
			ASSERT_EQ(cpu_may(p, write, i), device_may(self->fd, p, write, i)) {
				TH_LOG("%s, prot %d, write %d", kinds[kind].name, prot, write);
			}
		}
		munmap(p, self->page);
	}
}

/* Write-only memory whose pages come from elsewhere: a worker waits for them. */
TEST_F(rights, p1_served_by_a_worker)
{
	uint64_t *p = map_kind(0, PROT_WRITE, self->page, -1), content[512] = { 7 };
	struct job job = crc32_job(p, 8, 0);
	struct mock_accel_completion done;
	int uffd = uffd_for(p, self->page);
	int64_t number;

	ASSERT_LE(0, uffd);
	number = accel_submit(self->fd, &job);
	ASSERT_LT(0, number);
	ASSERT_EQ((uintptr_t)p, uffd_missed(uffd));
	ASSERT_EQ(0, uffd_give(uffd, p, content));
	ASSERT_EQ(0, accel_wait(self->fd, number, &done));
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, done.status);
	close(uffd);
}

TEST_F(rights, p1_pins_as_the_cpu)
{
	int fd = open("/dev/sva_test_pin", O_RDWR | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		SKIP(return, "the module with the test devices is not loaded");
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ioctl(fd, SVA_TEST_BIND));
	for (size_t kind = 0; kind < ARRAY_SIZE(kinds); kind++) {
		for (int prot = 0; prot < 8; prot++) {
			uint64_t *p = map_kind(kind, prot, self->page, self->file);
			struct sva_test_range range = { (uintptr_t)p, self->page };
			struct sva_test_word word = { .addr = (uintptr_t)p, .value = 1 };
			bool may;

			ASSERT_NE(NULL, p);
			may = !ioctl(fd, SVA_TEST_PIN, &range);
			EXPECT_EQ(may, !ioctl(fd, SVA_TEST_WRITE, &word));
			EXPECT_EQ(may, cpu_may(p, true, 1)) {
				TH_LOG("%s, prot %d", kinds[kind].name, prot);
			}
			if (may)
				EXPECT_EQ(0, ioctl(fd, SVA_TEST_UNPIN, &range));
			munmap(p, self->page);
		}
	}
	close(fd);
}

/* Who watches writes sees those of the device. */
TEST_F(rights, p1_write_protected_by_userfaultfd)
{
	uint64_t *p = map_kind(0, PROT_READ | PROT_WRITE, self->page, -1);
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_PAGEFAULT_FLAG_WP };
	struct uffdio_register watch = {
		.range = { .start = (uintptr_t)p, .len = self->page },
		.mode = UFFDIO_REGISTER_MODE_WP,
	};
	struct uffdio_writeprotect protect = {
		.range = watch.range,
		.mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};
	int uffd = syscall(__NR_userfaultfd, O_CLOEXEC);
	struct job job = fill_job(p, 5, 8);
	struct mock_accel_completion done;
	int64_t number;

	ASSERT_LE(0, uffd);
	if (ioctl(uffd, UFFDIO_API, &api))
		SKIP(return, "this kernel has no such watch");
	*p = 1;
	ASSERT_EQ(0, ioctl(uffd, UFFDIO_REGISTER, &watch));
	ASSERT_EQ(0, ioctl(uffd, UFFDIO_WRITEPROTECT, &protect));
	EXPECT_EQ(1, device_may(self->fd, p, false, 0));
	number = accel_submit(self->fd, &job);
	ASSERT_LT(0, number);
	ASSERT_EQ((uintptr_t)p, uffd_missed(uffd));
	EXPECT_EQ(1, *p);
	protect.mode = 0;
	ASSERT_EQ(0, ioctl(uffd, UFFDIO_WRITEPROTECT, &protect));
	ASSERT_EQ(0, accel_wait(self->fd, number, &done));
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, done.status);
	EXPECT_EQ(5, *p);
	close(uffd);
}

TEST_F(rights, t1_tagged_data)
{
	uint64_t *p = map_fresh(4 * self->page);
	struct job job;

	ASSERT_NE(NULL, p);
	/* Across pages, and cold. */
	job = fill_job(tagged(p, 0xab), 5, 2 * self->page);
	ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_run(self->fd, &job));
	EXPECT_TRUE(all_words(p, 5, 2 * self->page));
	job = copy_job(tagged((char *)p + 2 * self->page, 0x01), tagged(p, 0xff), 2 * self->page);
	ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_run(self->fd, &job));
	EXPECT_TRUE(all_words(p, 5, 4 * self->page));
	job = add_job(tagged(p, 0x10), 2);
	ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_run(self->fd, &job));
	EXPECT_EQ(7, *p);
	/* Another tag makes no other memory of it. */
	job = copy_job(tagged(p, 0xab), p, 8);
	EXPECT_EQ(MOCK_ACCEL_BAD_DESCRIPTOR, accel_run(self->fd, &job));
}

TEST_F(rights, t1_tagged_list)
{
	struct node *nodes = map_fresh(self->page);
	struct job job;

	ASSERT_NE(NULL, nodes);
	for (int i = 0; i < 16; i++) {
		nodes[i].next = i == 15 ? NULL : tagged(&nodes[i + 1], i * 16);
		nodes[i].value = i;
	}
	job = chase_job(tagged(nodes, 0x80), 16);
	ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_run(self->fd, &job));
	EXPECT_EQ(120, job.done.result);
}

TEST_F(rights, t1_tagged_descriptor_and_completion)
{
	uint64_t *p = map_fresh(self->page);
	struct job *job = map_fresh(self->page);
	struct mock_accel_completion done;
	int64_t number;

	ASSERT_NE(NULL, job);
	*job = fill_job(p, 5, 8);
	job->desc.completion = (uintptr_t)tagged(&job->done, 0x42);
	number = accel_submit_at(self->fd, (uintptr_t)tagged(&job->desc, 0x24));
	ASSERT_LT(0, number);
	ASSERT_EQ(0, accel_wait(self->fd, number, &done));
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, job->done.status);
	EXPECT_EQ(5, *p);
}

/* A tag opens nothing, and what the process takes away is gone under each tag. */
TEST_F(rights, t1_tagged_pointer_loses_what_the_process_loses)
{
	uint64_t *p = map_fresh(self->page);

	ASSERT_NE(NULL, p);
	ASSERT_EQ(1, device_may(self->fd, tagged(p, 0x11), true, 1));
	ASSERT_EQ(1, device_may(self->fd, tagged(p, 0x22), false, 0));
	ASSERT_EQ(0, mprotect(p, self->page, PROT_READ));
	EXPECT_EQ(0, device_may(self->fd, tagged(p, 0x11), true, 2));
	EXPECT_EQ(1, device_may(self->fd, tagged(p, 0x11), false, 0));
	ASSERT_EQ(0, munmap(p, self->page));
	EXPECT_EQ(0, device_may(self->fd, tagged(p, 0x11), false, 0));
	EXPECT_EQ(0, device_may(self->fd, tagged(p, 0x22), false, 0));
	/* The kernel's half has no tags that are ignored. */
	EXPECT_EQ(0, device_may(self->fd, (void *)0x00ff000000001000, false, 0));
}

/* The first address of the mapping that @name is in /proc/self/maps. */
static uintptr_t start_of(const char *name)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	uintptr_t start = 0;
	char line[256];

	while (maps && fgets(line, sizeof(line), maps)) {
		if (strstr(line, name)) {
			start = strtoull(line, NULL, 16);
			break;
		}
	}
	if (maps)
		fclose(maps);
	return start;
}

/* The CPU makes the stack grow, the device does not: it gets what is there by then. */
TEST_F(rights, s1_stack_does_not_grow_by_the_device)
{
	uint64_t *below, here;

	EXPECT_EQ(1, device_may(self->fd, &here, true, 1));
	below = (uint64_t *)(start_of("[stack]") - self->page);
	ASSERT_NE(NULL, below);
	EXPECT_EQ(0, device_may(self->fd, below, true, 1));
	EXPECT_EQ(0, device_may(self->fd, below, false, 0));
	ASSERT_TRUE(cpu_may(below, true, 2));
	EXPECT_EQ((uintptr_t)below, start_of("[stack]"));
	EXPECT_EQ(1, device_may(self->fd, below, true, 3));
	EXPECT_EQ(3, *below);
}

/* Where a page of the process is. */
static int node_of(void *p)
{
	int node = -1;

	return syscall(__NR_get_mempolicy, &node, NULL, 0, p, MPOL_F_NODE | MPOL_F_ADDR) ? -errno :
											   node;
}

/* What belongs to the memory counts; what belongs to a thread does not: the device is none. */
TEST_F(rights, n1_policy_of_the_mapping_counts)
{
	const size_t pages = 64;
	unsigned long mask;

	for (int node = 0; node < 2; node++) {
		char *p = map_fresh(pages * self->page);

		ASSERT_NE(NULL, p);
		mask = 1ul << node;
		if (syscall(__NR_mbind, p, pages * self->page, MPOL_BIND, &mask, 8, 0))
			SKIP(return, "this machine has one NUMA node");
		ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(self->fd, p, 1, pages * self->page));
		for (size_t i = 0; i < pages; i++)
			EXPECT_EQ(node, node_of(p + i * self->page));
		munmap(p, pages * self->page);
	}
}

/* Were it otherwise, the device's pages would always be where the thread wants its own. */
TEST_F(rights, n1_policy_of_a_thread_does_not_count)
{
	const size_t pages = 64, length = pages * self->page;
	size_t elsewhere = 0;

	for (int i = 0; i < 8; i++) {
		const int node = i % 2;
		unsigned long mask = 1ul << node;
		char *mine = map_fresh(length), *devices = map_fresh(length);

		ASSERT_NE(NULL, mine);
		ASSERT_NE(NULL, devices);
		if (syscall(__NR_set_mempolicy, MPOL_BIND, &mask, 8))
			SKIP(return, "this machine has one NUMA node");
		memset(mine, 1, length);
		ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(self->fd, devices, 1, length));
		for (size_t at = 0; at < length; at += self->page) {
			EXPECT_EQ(node, node_of(mine + at));
			elsewhere += node_of(devices + at) != node;
		}
		munmap(mine, length);
		munmap(devices, length);
	}
	EXPECT_LT(0, elsewhere);
}

TEST_HARNESS_MAIN
