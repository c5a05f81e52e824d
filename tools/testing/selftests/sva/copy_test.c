// SPDX-License-Identifier: GPL-2.0
/* A driver writes to the memory of a process: pages that take long to come, or never do. */

#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>

#include "accel.h"
#include "uffd.h"

#include "../../../../drivers/iommu/sva/tests/pin_file.h"

FIXTURE(copy) {
	int fd, uffd;
	uint64_t *page;
};

FIXTURE_SETUP(copy)
{
	self->uffd = -1;
	self->fd = open("/dev/sva_test_pin", O_RDWR | O_CLOEXEC);
	if (self->fd < 0 && errno == ENOENT)
		SKIP(return, "the module with the test devices is not loaded");
	ASSERT_LE(0, self->fd);
	self->page = map_fresh(page_size());
	ASSERT_NE(NULL, self->page);
}

FIXTURE_TEARDOWN(copy)
{
	close(self->fd);
	if (self->uffd >= 0)
		close(self->uffd);
}

struct writing {
	int fd, result;
	uint64_t *word;
};

static void *write_word(void *arg)
{
	struct writing *writing = arg;
	struct sva_test_word word = { .addr = (uintptr_t)writing->word, .value = 0x77 };

	writing->result = ioctl(writing->fd, SVA_TEST_COPY, &word) ? -errno : 0;
	return NULL;
}

TEST_F(copy, page_that_comes_later)
{
	struct writing writing = { .fd = self->fd, .word = self->page + 2 };
	unsigned char content[page_size()];
	pthread_t thread;

	ASSERT_EQ(0, ioctl(self->fd, SVA_TEST_BIND));
	self->uffd = uffd_for(self->page, page_size());
	ASSERT_LE(0, self->uffd);
	ASSERT_EQ(0, pthread_create(&thread, NULL, write_word, &writing));
	ASSERT_EQ((uintptr_t)self->page, uffd_missed(self->uffd));
	memset(content, 0x11, sizeof(content));
	EXPECT_EQ(0, uffd_give(self->uffd, self->page, content));
	pthread_join(thread, NULL);
	EXPECT_EQ(0, writing.result);
	EXPECT_EQ(0x77, self->page[2]);
	EXPECT_EQ(0x1111111111111111, self->page[1]);
	EXPECT_EQ(0x1111111111111111, self->page[3]);
}

/* Whoever waits can be killed, and is gone at once with all that it had. */
TEST_F(copy, killed_while_the_page_is_missing)
{
	uint64_t begin;
	int told[2];
	pid_t child;
	char byte;

	ASSERT_EQ(0, pipe(told));
	child = fork();
	if (!child) {
		struct writing writing = { .fd = self->fd, .word = self->page };
		int uffd = uffd_for(self->page, page_size());
		pthread_t thread;

		if (uffd < 0 || ioctl(self->fd, SVA_TEST_BIND) ||
		    pthread_create(&thread, NULL, write_word, &writing) || !uffd_missed(uffd) ||
		    write(told[1], "", 1) != 1)
			_exit(1);
		pause();
	}
	close(told[1]);
	ASSERT_EQ(1, read(told[0], &byte, 1));
	begin = now_ms();
	EXPECT_EQ(0, kill(child, SIGKILL));
	EXPECT_EQ(-EINTR, child_status(child));
	EXPECT_GT(2000, now_ms() - begin);
	close(told[0]);
}

TEST_F(copy, file_behind_the_page)
{
	struct writing writing = { .fd = self->fd };
	int file = memfd_create("copy", 0);
	uint64_t *pages;

	ASSERT_EQ(0, ioctl(self->fd, SVA_TEST_BIND));
	ASSERT_EQ(0, ftruncate(file, page_size()));
	pages = mmap(NULL, 2 * page_size(), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	ASSERT_NE(MAP_FAILED, pages);
	writing.word = pages + 1;
	write_word(&writing);
	EXPECT_EQ(0, writing.result);
	EXPECT_EQ(8, pread(file, self->page, 8, 8));
	EXPECT_EQ(0x77, self->page[0]);
	/* Beyond its end. */
	writing.word = pages + page_size() / 8;
	write_word(&writing);
	EXPECT_EQ(-EFAULT, writing.result);
	close(file);
}

TEST_HARNESS_MAIN
