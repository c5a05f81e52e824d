// SPDX-License-Identifier: GPL-2.0
/* Pages that take long to come: nobody waits for another's. */

#include <pthread.h>
#include <signal.h>
#include <sys/swap.h>
#include <sys/syscall.h>

#include "accel.h"
#include "configfs.h"
#include "debugfs.h"
#include "pagemap.h"
#include "uffd.h"

/* A disk that lies in memory. */
#define SWAP_DISK "/dev/ram0"
#define SWAP_PAGES 512

FIXTURE(wait) {
	int fd;
	unsigned int pasid;
	size_t page;
	/* Pages that nobody has touched. */
	unsigned char *area;
	int64_t deferred;
	int uffd;
};

FIXTURE_SETUP(wait)
{
	struct job warm;

	self->uffd = -1;
	self->fd = accel_open(0);
	ASSERT_LE(0, self->fd);
	self->pasid = accel_pasid(self->fd);
	self->page = page_size();
	self->area = map_fresh(64 * self->page);
	ASSERT_NE(NULL, self->area);
	/* So that the stack is there, and the device has seen it. */
	warm = add_job(&(uint64_t){ 0 }, 1);
	ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_run(self->fd, &warm));
	self->deferred = read_stat("page_requests_deferred");
	ASSERT_LE(0, self->deferred);
}

FIXTURE_TEARDOWN(wait)
{
	close(self->fd);
	if (self->uffd >= 0)
		close(self->uffd);
}

/* How many page requests had to wait since the test began. */
#define deferred() (read_stat("page_requests_deferred") - self->deferred)

/* Whether the page is PRESENT, or SWAPPED. */
static bool page_is(const void *p, int bit)
{
	int fd = pagemap_open();
	uint64_t entry;
	bool known;

	if (fd < 0)
		return false;
	known = pagemap_read(fd, p, &entry, 1);
	close(fd);
	return known && entry >> bit & 1;
}

/*
 * A process asks for more pages than the device may ask for at once, and none
 * of them comes. Another uses the same device all the same.
 */
TEST_F(wait, r8_another_process_on_the_same_device)
{
	const size_t length = 64 * self->page, files = 5;
	int64_t before = debugfs_counter("smmu0", "hw_page_requests");
	char *never = map_fresh(files * length);
	static struct job jobs[5];
	int fds[5], status = -1;
	pid_t child;

	self->uffd = uffd_for(never, files * length);
	ASSERT_LE(0, self->uffd);
	for (size_t i = 0; i < files; i++) {
		fds[i] = accel_open(0);
		ASSERT_LE(0, fds[i]);
		jobs[i] = crc32_job(never + i * length, length, 0);
		ASSERT_LT(0, accel_submit(fds[i], &jobs[i]));
	}
	/* Half of what there is. */
	ASSERT_TRUE(WAIT_UNTIL(debugfs_counter("smmu0", "hw_page_requests") - before >= 128));
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		int fd = accel_open(0);
		char *mine = map_fresh(16 * page_size());

		_exit(fd < 0 ? 255 : accel_fill(fd, mine, 1, 16 * page_size()));
	}
	EXPECT_TRUE(WAIT_UNTIL(waitpid(child, &status, WNOHANG) == child));
	EXPECT_TRUE(WIFEXITED(status));
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, WEXITSTATUS(status));
	/* Whoever still waits gets zeros. */
	close(self->uffd);
	self->uffd = -1;
	for (size_t i = 0; i < files; i++)
		close(fds[i]);
}

TEST_F(wait, plain_memory_does_not)
{
	ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(self->fd, self->area, 5, 64 * self->page));
	EXPECT_EQ(0, deferred());
	EXPECT_TRUE(all_words((uint64_t *)self->area, 5, 64 * self->page));
}

TEST_F(wait, copy_on_write_does_not)
{
	memset(self->area, 1, self->page);
	if (!fork())
		_exit(usleep(100000));
	ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(self->fd, self->area, 5, 8));
	EXPECT_EQ(0, deferred());
	EXPECT_EQ(5, self->area[0]);
	EXPECT_LE(0, wait(NULL));
}

/* A hole in the middle of what a job asks for at once fails alone. */
TEST_F(wait, unmapped_page_between_others)
{
	unsigned char *hole = self->area + self->page;
	struct job job = fill_job(self->area, 5, 3 * self->page);

	ASSERT_EQ(0, munmap(hole, self->page));
	EXPECT_EQ(MOCK_ACCEL_PAGE_FAULT, accel_run(self->fd, &job));
	EXPECT_EQ((uintptr_t)hole, job.done.fault_address);
	EXPECT_TRUE(page_is(self->area, PRESENT));
	EXPECT_TRUE(page_is(hole + self->page, PRESENT));
}

TEST_F(wait, read_only_page_between_others)
{
	unsigned char *middle = self->area + self->page;
	struct job job = fill_job(self->area, 5, 3 * self->page);

	ASSERT_EQ(0, mprotect(middle, self->page, PROT_READ));
	EXPECT_EQ(MOCK_ACCEL_PAGE_FAULT, accel_run(self->fd, &job));
	EXPECT_EQ((uintptr_t)middle, job.done.fault_address);
	EXPECT_EQ(0, deferred());
	EXPECT_FALSE(page_is(middle, PRESENT));
	EXPECT_TRUE(page_is(middle + self->page, PRESENT));
}

static int accel_fill_of_a_process(void)
{
	static uint64_t word;
	int fd = accel_open(0);

	return fd < 0 || accel_fill(fd, &word, 7, 8) != MOCK_ACCEL_SUCCESS || word != 7;
}

/* While the device waits for one page, others come: of this bond, and of another's. */
TEST_F(wait, userfaultfd_delays_nobody_else)
{
	unsigned char *slow = self->area, *quick = self->area + 8 * self->page;
	unsigned char content[self->page];
	struct mock_accel_completion done;
	struct job job = crc32_job(slow, 8, 0);
	int other = accel_open(0);
	int64_t number;
	pid_t child;

	ASSERT_LE(0, other);
	self->uffd = uffd_for(slow, self->page);
	ASSERT_LE(0, self->uffd);
	number = accel_submit(self->fd, &job);
	ASSERT_LT(0, number);
	ASSERT_EQ((uintptr_t)slow, uffd_missed(self->uffd));

	EXPECT_EQ(self->pasid, accel_pasid(other));
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(other, quick, 6, 8 * self->page));
	EXPECT_EQ(6, quick[0]);
	child = fork();
	if (!child)
		_exit(accel_fill_of_a_process());
	EXPECT_EQ(0, child_status(child));
	EXPECT_FALSE(page_is(slow, PRESENT));
	EXPECT_EQ(0, job.done.status);

	memset(content, 0x77, self->page);
	EXPECT_EQ(0, uffd_give(self->uffd, slow, content));
	EXPECT_EQ(0, accel_wait(self->fd, number, &done));
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, done.status);
	EXPECT_EQ(0x77, slow[0]);
	EXPECT_LE(1, deferred());
	close(other);
}

/* The page never comes. The bond ends all the same, and another's end is not delayed. */
TEST_F(wait, unbind_does_not_wait_for_a_page)
{
	struct job job = crc32_job(self->area, 8, 0);
	pid_t child;

	self->uffd = uffd_for(self->area, self->page);
	ASSERT_LE(0, self->uffd);
	ASSERT_LT(0, accel_submit(self->fd, &job));
	ASSERT_EQ((uintptr_t)self->area, uffd_missed(self->uffd));

	child = fork();
	if (!child)
		_exit(accel_fill_of_a_process());
	EXPECT_EQ(0, child_status(child));
	EXPECT_EQ(0, close(self->fd));
	EXPECT_TRUE(bond_vanishes(NULL, self->pasid));
	EXPECT_FALSE(page_is(self->area, PRESENT));
	self->fd = -1;
}

TEST_F(wait, killed_while_a_page_is_missing)
{
	unsigned int pasid;
	int pipe_fd[2];
	pid_t child;

	ASSERT_EQ(0, pipe(pipe_fd));
	child = fork();
	if (!child) {
		struct job job = crc32_job(self->area, 8, 0);
		int fd = accel_open(0), uffd = uffd_for(self->area, self->page);

		pasid = accel_pasid(fd);
		if (uffd < 0 || accel_submit(fd, &job) <= 0 || !uffd_missed(uffd))
			_exit(1);
		_exit(write(pipe_fd[1], &pasid, sizeof(pasid)) != sizeof(pasid) || pause());
	}
	close(pipe_fd[1]);
	ASSERT_EQ(sizeof(pasid), read(pipe_fd[0], &pasid, sizeof(pasid)));
	ASSERT_NE(0, pasid);
	EXPECT_EQ(0, kill(child, SIGKILL));
	EXPECT_EQ(-EINTR, child_status(child));
	EXPECT_TRUE(bond_vanishes(NULL, pasid));
	close(pipe_fd[0]);
}

static int make_swap(size_t page)
{
	struct {
		char boot[1024];
		uint32_t version, last_page, bad_pages;
	} *header = calloc(1, page);
	int fd = open(SWAP_DISK, O_WRONLY | O_CLOEXEC), ret = -1;

	if (header && fd >= 0) {
		header->version = 1;
		header->last_page = SWAP_PAGES - 1;
		memcpy((char *)header + page - 10, "SWAPSPACE2", 10);
		if (pwrite(fd, header, page, 0) == (ssize_t)page)
			ret = fsync(fd);
	}
	if (fd >= 0)
		close(fd);
	free(header);
	return ret;
}

TEST_F(wait, pages_in_swap_come_back)
{
	size_t length = 16 * self->page;
	uint64_t *words = (uint64_t *)self->area;
	struct job job;

	if (access(SWAP_DISK, W_OK))
		SKIP(return, "no " SWAP_DISK);
	ASSERT_EQ(0, make_swap(self->page));
	ASSERT_EQ(0, swapon(SWAP_DISK, 0));
	job = copy_job(self->area + length, self->area, length);
	/* What is still in the swap cache need not be waited for. */
	for (int round = 1; round <= 50 && !deferred(); round++) {
		for (size_t i = 0; i < length / 8; i++)
			words[i] = round;
		for (int i = 0; i < 100 && !page_is(words, SWAPPED); i++)
			EXPECT_EQ(0, madvise(words, length, MADV_PAGEOUT));
		EXPECT_TRUE(page_is(words, SWAPPED));

		EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_run(self->fd, &job));
		EXPECT_TRUE(page_is(words, PRESENT));
		EXPECT_TRUE(all_words((uint64_t *)(self->area + length), round, length));
	}
	EXPECT_LE(1, deferred());
	EXPECT_EQ(0, swapoff(SWAP_DISK));
}

struct protector {
	unsigned char *page;
	bool stop;
};

static void *protect_on_and_off(void *arg)
{
	struct protector *protector = arg;

	while (!__atomic_load_n(&protector->stop, __ATOMIC_RELAXED)) {
		mprotect(protector->page, page_size(), PROT_READ);
		madvise(protector->page, page_size(), MADV_DONTNEED);
		mprotect(protector->page, page_size(), PROT_READ | PROT_WRITE);
	}
	return NULL;
}

/* The device writes, or is refused, and never writes what is read-only. */
TEST_F(wait, protection_changes_meanwhile)
{
	struct protector protector = { .page = self->area };
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, protect_on_and_off, &protector));
	for (int i = 0; i < 500; i++) {
		int status = accel_fill(self->fd, self->area, 9, 8);

		EXPECT_TRUE(status == MOCK_ACCEL_SUCCESS || status == MOCK_ACCEL_PAGE_FAULT)
			break;
	}
	__atomic_store_n(&protector.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(self->fd, self->area, 9, 8));
	EXPECT_EQ(9, self->area[0]);
	ASSERT_EQ(0, mprotect(self->area, self->page, PROT_READ));
	EXPECT_TRUE(write_refused(self->fd, self->area));
}

TEST_HARNESS_MAIN
