// SPDX-License-Identifier: GPL-2.0
/* What a process withholds, pages above all, nobody else has to wait for. */

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "accel.h"
#include "debugfs.h"
#include "uffd.h"

#include "../../../../drivers/iommu/sva/tests/pin_file.h"

/* So many groups wait at some time; jobs are used anew when theirs have ended. */
#define GROUPS		1100
#define AT_ONCE		64

/* Another process has a device touch a page that is not there; how long that takes in ms, or -1. */
static int others_page(int device, bool file)
{
	static int rounds;
	uint64_t begin = now_ms();
	int status = -1;
	char name[64];
	pid_t child;

	snprintf(name, sizeof(name), "/tmp/hold_%d", rounds++);
	child = fork();
	if (!child) {
		int fd = accel_open(device), backing = -1;
		size_t page = page_size();
		unsigned char *map;

		if (file) {
			backing = open(name, O_RDWR | O_CREAT, 0600);
			if (backing < 0 || ftruncate(backing, page))
				_exit(10);
			map = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, backing, 0);
		} else {
			map = map_fresh(page);
		}
		if (fd < 0 || map == MAP_FAILED)
			_exit(11);
		_exit(accel_fill(fd, map, 7, 8) != MOCK_ACCEL_SUCCESS);
	}
	for (int i = 0; i < 2000; i++) {
		if (waitpid(child, &status, WNOHANG) == child) {
			unlink(name);
			return status ? -1 : (int)(now_ms() - begin);
		}
		usleep(5000);
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	unlink(name);
	return -1;
}

/* Leaves pages missing that devices wait for; then tells how many, and stays until it is told. */
static __noreturn void withhold(int tell, int end)
{
	size_t page = page_size();
	unsigned char *area = map_fresh(GROUPS * page);
	static struct job jobs[AT_ONCE];
	int uffd = uffd_for(area, GROUPS * page), n;
	char c;

	if (uffd < 0)
		_exit(1);
	for (n = 0; n < GROUPS; n++) {
		struct job *job = &jobs[n % AT_ONCE];
		int fd = accel_open(n % 2);

		*job = crc32_job(area + n * page, 8, 0);
		if (fd < 0 || accel_submit(fd, job) <= 0 || !uffd_missed(uffd))
			break;
		/* Most are closed: their bonds end with the page still missing. */
		if (n < GROUPS - 8)
			close(fd);
	}
	if (write(tell, &n, sizeof(n)) != sizeof(n))
		_exit(2);
	_exit(read(end, &c, 1) != 0);
}

FIXTURE(hold) {
};

FIXTURE_SETUP(hold)
{
}

FIXTURE_TEARDOWN(hold)
{
}

TEST_F_TIMEOUT(hold, r8_others_pages_still_come, 110)
{
	int tell[2], end[2], withheld = 0;
	uint64_t begin = now_ms();
	pid_t child;

	ASSERT_LE(0, others_page(1, true));
	ASSERT_EQ(0, pipe(tell));
	ASSERT_EQ(0, pipe(end));
	child = fork();
	if (!child) {
		close(end[1]);
		withhold(tell[1], end[0]);
	}
	close(tell[1]);
	close(end[0]);
	ASSERT_EQ(sizeof(withheld), read(tell[0], &withheld, sizeof(withheld)));
	EXPECT_EQ(GROUPS, withheld);
	TH_LOG("%d groups in %llu ms", withheld, (unsigned long long)(now_ms() - begin));
	for (int device = 0; device < 2; device++) {
		for (int file = 0; file < 2; file++) {
			int ms = others_page(device, file);

			TH_LOG("device %d, %s: %d ms", device, file ? "file" : "anonymous", ms);
			EXPECT_LE(0, ms);
			EXPECT_GT(2000, ms);
		}
	}
	close(end[1]);
	EXPECT_EQ(0, child_status(child));
}

/* After the end of a bond nothing of it waits, so that a module can go. */
TEST_F(hold, r6_nothing_waits_after_the_end)
{
	size_t page = page_size();
	unsigned char *area = map_fresh(page);
	struct job job = crc32_job(area, 8, 0);
	int fd = accel_open(0), uffd = uffd_for(area, page);
	int64_t before = read_stat("page_request_groups_waiting");

	ASSERT_LE(0, fd);
	ASSERT_LE(0, uffd);
	ASSERT_LE(0, before);
	ASSERT_LT(0, accel_submit(fd, &job));
	ASSERT_EQ((uintptr_t)area, uffd_missed(uffd));
	EXPECT_EQ(before + 1, read_stat("page_request_groups_waiting"));
	close(fd);
	EXPECT_TRUE(WAIT_UNTIL(read_stat("page_request_groups_waiting") == before));
	close(uffd);
}

/* Memory of all processes, in kB: what is free may lie in lists of the CPUs for a while. */
static long memory_of_processes(void)
{
	FILE *file = fopen("/proc/meminfo", "re");
	char line[128];
	long kb = -1;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "AnonPages: %ld kB", &kb) == 1)
			break;
	if (file)
		fclose(file);
	return kb;
}

/* Kills @child: in how many ms its memory, 128 MB, is back. */
static uint64_t memory_back_ms(struct __test_metadata *_metadata, pid_t child)
{
	long before = memory_of_processes();
	uint64_t begin = now_ms();

	kill(child, SIGKILL);
	EXPECT_EQ(-EINTR, child_status(child));
	while (before - memory_of_processes() < 100 << 10 && now_ms() - begin < PATIENCE_MS)
		usleep(10000);
	return now_ms() - begin;
}

/* The same for a process that no device has to do with: what the kernel at hand needs for it. */
static uint64_t memory_back_unbound_ms(struct __test_metadata *_metadata)
{
	int tell[2];
	pid_t child;
	uint64_t ms;
	char byte;

	ASSERT_EQ(0, pipe(tell));
	child = fork();
	if (!child) {
		memset(map_fresh(128 << 20), 1, 128 << 20);
		if (write(tell[1], &byte, 1) != 1)
			_exit(1);
		pause();
	}
	ASSERT_EQ(1, read(tell[0], &byte, 1));
	ms = memory_back_ms(_metadata, child);
	close(tell[0]);
	close(tell[1]);
	return ms;
}

/*
 * A process whose device waits for a page that another process does not give is killed. With
 * @kept that other one has the device's file too, so that the bond goes on.
 */
static void killed(struct __test_metadata *_metadata, bool kept)
{
	struct { int uffd, fd; } told;
	size_t big = 128 << 20, page = page_size();
	uint64_t unbound = memory_back_unbound_ms(_metadata), ms;
	int tell[2], pidfd, uffd, fd = -1;
	pid_t child;

	ASSERT_EQ(0, pipe(tell));
	child = fork();
	if (!child) {
		char *memory = map_fresh(big), *area = map_fresh(page);
		struct job job = crc32_job(area, 8, 0);

		memset(memory, 1, big);
		told.fd = accel_open(0);
		told.uffd = uffd_for(area, page);
		if (told.uffd < 0 || accel_submit(told.fd, &job) <= 0 ||
		    write(tell[1], &told, sizeof(told)) != sizeof(told))
			_exit(1);
		pause();
	}
	close(tell[1]);
	ASSERT_EQ(sizeof(told), read(tell[0], &told, sizeof(told)));
	pidfd = syscall(__NR_pidfd_open, child, 0);
	uffd = syscall(__NR_pidfd_getfd, pidfd, told.uffd, 0);
	ASSERT_LE(0, uffd);
	if (kept) {
		fd = syscall(__NR_pidfd_getfd, pidfd, told.fd, 0);
		ASSERT_LE(0, fd);
	}
	ASSERT_NE(0, uffd_missed(uffd));
	ms = memory_back_ms(_metadata, child);
	TH_LOG("memory is back %llu ms after the kill; unbound, after %llu ms",
	       (unsigned long long)ms, (unsigned long long)unbound);
	EXPECT_GT(1000 + 2 * unbound, ms);
	close(uffd);
	close(pidfd);
	close(tell[0]);
	if (kept)
		close(fd);
}

TEST_F(hold, k1_memory_of_a_killed_process)
{
	killed(_metadata, false);
}

TEST_F(hold, k1_memory_of_a_killed_process_whose_device_is_kept)
{
	killed(_metadata, true);
}

/* Who pins a page that never comes can be killed. */
TEST_F(hold, r11_pin_of_a_page_that_never_comes)
{
	size_t page = page_size();
	unsigned char *area = map_fresh(page);
	int uffd = uffd_for(area, page);
	pid_t child;

	ASSERT_LE(0, uffd);
	/* The child's memory is its own, and its userfaultfd too. */
	child = fork();
	if (!child) {
		unsigned char *mine = map_fresh(page);
		struct sva_test_range range = { .addr = (uintptr_t)mine, .len = page };
		int own = uffd_for(mine, page), fd = open("/dev/sva_test_pin", O_RDWR);

		if (own < 0 || fd < 0 || ioctl(fd, SVA_TEST_BIND))
			_exit(1);
		_exit(ioctl(fd, SVA_TEST_PIN, &range) ? 2 : 0);
	}
	usleep(300000);
	EXPECT_EQ(0, waitpid(child, NULL, WNOHANG));
	kill(child, SIGKILL);
	EXPECT_EQ(-EINTR, child_status(child));
	close(uffd);
}

TEST_HARNESS_MAIN
