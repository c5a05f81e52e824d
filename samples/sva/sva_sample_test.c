// SPDX-License-Identifier: GPL-2.0
/* Runs the sample's program with a device of each driver, and ends what they do in all ways. */

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/userfaultfd.h>

#include "kselftest_harness.h"
#include "sva_sample.h"

#define CONFIG "/sys/kernel/config/"
#define BONDS "/sys/kernel/debug/sva/bonds"

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), ret;

	if (fd < 0)
		return -errno;
	ret = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

FIXTURE(sample) {
	char name[64];
	char path[80];
	int fd;
};

/* A device in configfs: the directories to make for it, what to write, where its name is. */
FIXTURE_VARIANT(sample) {
	const char *bus, *plug;
	const char *key, *value;
	const char *name;
};

#define PLATFORM(driver_name) {							\
	.plug = CONFIG "mock_smmu/smmu0/sample", .name = "device",		\
	.key = "driver", .value = driver_name,					\
}

FIXTURE_VARIANT_ADD(sample, rust) PLATFORM("sva_sample_rust");
FIXTURE_VARIANT_ADD(sample, c) PLATFORM("sva_sample_c");
FIXTURE_VARIANT_ADD(sample, pci) {
	.bus = CONFIG "mock_pci/sample",
	.plug = CONFIG "mock_pci/sample/end", .name = "address",
	.key = "device_id", .value = "0x10f5",
};

/* Writes to a file of a directory there. */
static int set(const char *plug, const char *key, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", plug, key);
	return write_file(path, value);
}

static int unplug(const char *plug)
{
	return set(plug, "online", "0");
}

FIXTURE_SETUP(sample)
{
	char path[128];
	FILE *file;

	self->fd = -1;
	if (access(CONFIG "mock_smmu", F_OK))
		SKIP(return, "no mock SMMU: modprobe mock_smmu");
	if (variant->bus) {
		/* Where the kernel has its own driver for the SMMU, PCI has no page requests. */
		if (access("/sys/module/mock_smmu", F_OK) || access(CONFIG "mock_pci", F_OK))
			SKIP(return, "no mock PCI, or another SMMU");
		ASSERT_EQ(0, mkdir(variant->bus, 0755));
		ASSERT_EQ(0, set(variant->bus, "online", "1"));
	}
	ASSERT_EQ(0, mkdir(variant->plug, 0755));
	ASSERT_EQ(0, set(variant->plug, variant->key, variant->value));
	ASSERT_EQ(0, set(variant->plug, "online", "1"));
	snprintf(path, sizeof(path), "%s/%s", variant->plug, variant->name);
	file = fopen(path, "re");
	ASSERT_NE(NULL, file);
	ASSERT_EQ(1, fscanf(file, "%63s", self->name));
	fclose(file);
	snprintf(self->path, sizeof(self->path), "/dev/%s", self->name);
	self->fd = open(self->path, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(sample)
{
	if (self->fd >= 0)
		close(self->fd);
	unplug(variant->plug);
	rmdir(variant->plug);
	if (variant->bus)
		rmdir(variant->bus);
}

/* 0, or a negative errno. */
static int count(int fd, uint64_t *word)
{
	return ioctl(fd, SVA_SAMPLE_COUNT, word) ? -errno : 0;
}

/* Whether the device has a bond; where there is no debugfs, what @otherwise says. */
static bool bound(const char *name, bool otherwise)
{
	char line[256];
	bool found = false;
	FILE *file = fopen(BONDS, "re");

	if (!file)
		return otherwise;
	while (!found && fgets(line, sizeof(line), file))
		found = strstr(line, name);
	fclose(file);
	return found;
}

static int status_of(pid_t child)
{
	int status;

	if (waitpid(child, &status, 0) != child || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

TEST_F(sample, program)
{
	pid_t child = fork();

	if (!child) {
		execlp("sva-sample", "sva-sample", self->path, NULL);
		_exit(127);
	}
	EXPECT_EQ(0, status_of(child));
}

/* A device that does not wait for pages, one without PASIDs, and one that is neither. */
TEST_F(sample, program_with_less)
{
	const char *const less[][2] = { { "8", "0" }, { "0", "1" }, { "0", "0" } };

	if (variant->bus)
		SKIP(return, "the same driver as on the platform bus");
	close(self->fd);
	self->fd = -1;
	for (int i = 0; i < 3; i++) {
		pid_t child;

		ASSERT_EQ(0, unplug(variant->plug));
		ASSERT_EQ(0, set(variant->plug, "pasid_bits", less[i][0]));
		ASSERT_EQ(0, set(variant->plug, "pri", less[i][1]));
		ASSERT_EQ(0, set(variant->plug, "online", "1"));
		child = fork();
		if (!child) {
			execlp("sva-sample", "sva-sample", self->path, NULL);
			_exit(127);
		}
		EXPECT_EQ(0, status_of(child));
	}
}

TEST_F(sample, mistakes)
{
	uint64_t words[2] = {};

	EXPECT_EQ(-EINVAL, count(self->fd, (void *)((char *)words + 4)));
	EXPECT_EQ(-EFAULT, count(self->fd, NULL));
	EXPECT_EQ(-1, ioctl(self->fd, _IO('S', 1), words));
	EXPECT_EQ(ENOTTY, errno);
	/* Nothing is lost by them. */
	EXPECT_EQ(0, count(self->fd, words));
	EXPECT_EQ(1, words[0]);
	EXPECT_EQ(0, words[1]);
}

TEST_F(sample, two_files_of_a_process)
{
	int other = open(self->path, O_RDWR | O_CLOEXEC);
	uint64_t word = 0;

	ASSERT_LE(0, other);
	EXPECT_EQ(0, count(self->fd, &word));
	EXPECT_EQ(0, count(other, &word));
	close(other);
	EXPECT_EQ(0, count(self->fd, &word));
	EXPECT_EQ(3, word);
}

TEST_F(sample, file_of_another_process)
{
	static uint64_t word;
	pid_t child = fork();

	if (!child)
		_exit(count(self->fd, &word) != -EPERM);
	EXPECT_EQ(0, status_of(child));
	EXPECT_EQ(0, word);
}

/* The file outlives the process: a child has it too. */
TEST_F(sample, exit)
{
	static uint64_t word;
	int fd, until[2];
	pid_t child;
	char byte;

	close(self->fd);
	self->fd = -1;
	EXPECT_FALSE(bound(self->name, false));
	ASSERT_EQ(0, pipe(until));
	child = fork();
	if (!child) {
		close(until[1]);
		fd = open(self->path, O_RDWR | O_CLOEXEC);
		if (!fork())
			_exit(read(until[0], &byte, 1));
		_exit(fd < 0 || count(fd, &word) || word != 1 || !bound(self->name, true));
	}
	EXPECT_EQ(0, status_of(child));
	for (int i = 0; i < 1000 && bound(self->name, false); i++)
		usleep(10000);
	EXPECT_FALSE(bound(self->name, false));
	close(until[1]);
	close(until[0]);
}

TEST_F(sample, unplug)
{
	uint64_t word = 0;

	EXPECT_EQ(0, count(self->fd, &word));
	EXPECT_EQ(0, unplug(variant->plug));
	EXPECT_EQ(-ESHUTDOWN, count(self->fd, &word));
	EXPECT_EQ(-1, access(self->path, F_OK));
	/* And back: the open file has no part in that. */
	EXPECT_EQ(0, set(variant->plug, "online", "1"));
	EXPECT_EQ(-ESHUTDOWN, count(self->fd, &word));
	EXPECT_EQ(1, word);
}

struct job {
	int fd;
	uint64_t *word;
	int result;
};

static void *run(void *arg)
{
	struct job *job = arg;

	job->result = count(job->fd, job->word);
	return NULL;
}

/* Unplugging does not wait for a page that never comes; nor does it for the next driver. */
TEST_F(sample, unplug_while_a_page_is_missing)
{
	const size_t size = sysconf(_SC_PAGESIZE);
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct job job = { .fd = self->fd };
	struct pollfd missing = { .events = POLLIN };
	pthread_t thread;

	missing.fd = syscall(__NR_userfaultfd, O_CLOEXEC);
	if (missing.fd < 0)
		SKIP(return, "no userfaultfd");
	job.word = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, job.word);
	range.range.start = (uintptr_t)job.word;
	range.range.len = size;
	ASSERT_EQ(0, ioctl(missing.fd, UFFDIO_API, &api));
	ASSERT_EQ(0, ioctl(missing.fd, UFFDIO_REGISTER, &range));
	ASSERT_EQ(0, pthread_create(&thread, NULL, run, &job));
	ASSERT_EQ(1, poll(&missing, 1, 10000));

	EXPECT_EQ(0, unplug(variant->plug));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	/* The page was refused, or the device was gone before. */
	EXPECT_TRUE(job.result == -EFAULT || job.result == -ESHUTDOWN);
	close(missing.fd);
}

TEST_HARNESS_MAIN
