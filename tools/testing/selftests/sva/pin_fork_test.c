// SPDX-License-Identifier: GPL-2.0
/* fork() while memory is pinned for a device that does not wait for page faults. */

#include "accel.h"

#include "../../../../drivers/iommu/sva/tests/pin_file.h"

#define PAGES	4

FIXTURE(pin) {
	int fd;
	size_t len;
	uint64_t *memory;
	/* Shared with the child. */
	uint64_t *mailbox;
};

static int pin_ioctl(int fd, unsigned long cmd, void *addr, size_t len)
{
	struct sva_test_range range = { .addr = (uintptr_t)addr, .len = len };

	return ioctl(fd, cmd, &range) ? -errno : 0;
}

static int device_write(int fd, uint64_t *addr, uint64_t value)
{
	struct sva_test_word word = { .addr = (uintptr_t)addr, .value = value };

	return ioctl(fd, SVA_TEST_WRITE, &word) ? -errno : 0;
}

static int device_read(int fd, uint64_t *addr, uint64_t *value)
{
	struct sva_test_word word = { .addr = (uintptr_t)addr };
	int ret = ioctl(fd, SVA_TEST_READ, &word) ? -errno : 0;

	*value = word.value;
	return ret;
}

/* Kilobytes of this process that are pinned. */
static long pinned(void)
{
	FILE *file = fopen("/proc/self/status", "re");
	long found = -1;
	char line[128];

	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "VmPin: %ld kB", &found) == 1)
			break;
	fclose(file);
	return found;
}

static void post(uint64_t *mailbox, uint64_t value)
{
	__atomic_store_n(mailbox, value, __ATOMIC_RELEASE);
}

static void await(const uint64_t *mailbox, uint64_t value)
{
	while (__atomic_load_n(mailbox, __ATOMIC_ACQUIRE) != value)
		usleep(100);
}

FIXTURE_SETUP(pin)
{
	self->fd = open("/dev/sva_test_pin", O_RDWR | O_CLOEXEC);
	if (self->fd < 0 && errno == ENOENT)
		SKIP(return, "the module with the test devices is not loaded");
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, ioctl(self->fd, SVA_TEST_BIND));
	self->len = PAGES * page_size();
	self->memory = map_fresh(self->len);
	ASSERT_NE(NULL, self->memory);
	self->mailbox = mmap(NULL, page_size(), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->mailbox);
	for (size_t i = 0; i < self->len / 8; i++)
		self->memory[i] = 1;
}

FIXTURE_TEARDOWN(pin)
{
	close(self->fd);
}

TEST_F(pin, s7_fork_leaves_pins_to_the_parent_and_copies_to_the_child)
{
	const size_t words = page_size() / 8;
	uint64_t value;
	pid_t child;

	ASSERT_EQ(0, pin_ioctl(self->fd, SVA_TEST_PIN, self->memory, self->len));
	EXPECT_EQ((long)self->len / 1024, pinned());
	ASSERT_EQ(0, device_write(self->fd, self->memory, 2));
	child = fork();
	if (!child) {
		/* A copy of what was there, and nothing is pinned of it. */
		if (self->memory[0] != 2 || !all_words(self->memory + 1, 1, self->len - 8))
			_exit(1);
		if (pinned())
			_exit(2);
		self->memory[words] = 3;
		post(self->mailbox, 1);
		await(self->mailbox, 2);
		/* What the parent and its device did meanwhile is not seen here. */
		if (self->memory[0] != 2 || self->memory[words] != 3)
			_exit(3);
		if (!all_words(self->memory + 2 * words, 1, self->len / 2))
			_exit(4);
		_exit(0);
	}
	/* No page has become read-only: the device could not wait for the copy. */
	for (uint64_t i = 0; i < PAGES; i++) {
		EXPECT_EQ(0, device_write(self->fd, self->memory + i * words, 10 + i));
		EXPECT_EQ(10 + i, self->memory[i * words]);
	}
	await(self->mailbox, 1);
	EXPECT_EQ(11, self->memory[words]);
	/* The process writes where the device reads. */
	self->memory[words] = 20;
	EXPECT_EQ(0, device_read(self->fd, self->memory + words, &value));
	EXPECT_EQ(20, value);
	post(self->mailbox, 2);
	EXPECT_EQ(0, child_status(child));

	/* Nor does the child's exit take the pins along. */
	EXPECT_EQ((long)self->len / 1024, pinned());
	EXPECT_EQ(0, device_write(self->fd, self->memory + words, 21));
	EXPECT_EQ(21, self->memory[words]);
	EXPECT_EQ(0, pin_ioctl(self->fd, SVA_TEST_UNPIN, self->memory, self->len));
	EXPECT_EQ(0, pinned());
}

/* What the pins are good for: without them the device is refused after a fork. */
TEST_F(pin, s7_fork_without_pins)
{
	pid_t child;

	ASSERT_EQ(0, device_write(self->fd, self->memory, 2));
	child = fork();
	if (!child) {
		await(self->mailbox, 1);
		_exit(self->memory[0] != 2);
	}
	EXPECT_NE(0, device_write(self->fd, self->memory, 3));
	EXPECT_EQ(2, self->memory[0]);
	post(self->mailbox, 1);
	EXPECT_EQ(0, child_status(child));
}

/* The opener is gone, a child holds the file: the pins went with the memory. */
TEST_F(pin, s7_exit_with_pins_while_a_child_has_the_file)
{
	pid_t opener = fork();

	if (!opener) {
		int fd = open("/dev/sva_test_pin", O_RDWR);

		if (ioctl(fd, SVA_TEST_BIND) ||
		    pin_ioctl(fd, SVA_TEST_PIN, self->memory, self->len))
			_exit(1);
		if (!fork()) {
			uint64_t value;

			await(self->mailbox, 1);
			post(self->mailbox + 1, -device_read(fd, self->memory, &value));
			post(self->mailbox, 2);
			_exit(0);
		}
		_exit(0);
	}
	EXPECT_EQ(0, child_status(opener));
	post(self->mailbox, 1);
	await(self->mailbox, 2);
	EXPECT_NE(0, self->mailbox[1]);
}

TEST_HARNESS_MAIN
