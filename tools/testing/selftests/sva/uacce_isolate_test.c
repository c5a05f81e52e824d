// SPDX-License-Identifier: GPL-2.0
/* A device behind uacce that has too many errors is isolated. */

#include <glob.h>

#include "uacce.h"
#include "uacce_sysfs.h"
#include "configfs.h"

#define STRATEGY UACCE_CLASS "isolate_strategy"
#define ISOLATE UACCE_CLASS "isolate"

FIXTURE(isolate) {
	struct uacce q;
	uint64_t *word;
	/* Registers of a PCI device: mapped, but out of other devices' reach. */
	void *registers;
};

static void *map_registers(void)
{
	void *registers = MAP_FAILED;
	glob_t found;

	if (glob("/sys/bus/pci/devices/*/resource0", 0, NULL, &found))
		return MAP_FAILED;
	for (size_t i = 0; i < found.gl_pathc && registers == MAP_FAILED; i++) {
		int fd = open(found.gl_pathv[i], O_RDWR | O_CLOEXEC);

		registers = mmap(NULL, page_size(), PROT_READ, MAP_SHARED, fd, 0);
		close(fd);
	}
	globfree(&found);
	return registers;
}

/* A device without errors so far. */
FIXTURE_SETUP(isolate)
{
	ASSERT_EQ(0, uacce_unbind_driver());
	ASSERT_EQ(0, uacce_bind_driver());
	self->registers = map_registers();
	ASSERT_NE(MAP_FAILED, self->registers);
	self->word = map_fresh(page_size());
	ASSERT_EQ(0, uacce_open(&self->q));
}

FIXTURE_TEARDOWN(isolate)
{
	uacce_close(&self->q);
	EXPECT_EQ(0, uacce_unbind_driver());
	EXPECT_EQ(0, uacce_bind_driver());
}

static bool works(struct uacce *q, uint64_t *word)
{
	return uacce_run(q, add_job(word, 1)) == MOCK_ACCEL_SUCCESS;
}

TEST_F(isolate, uacce_isolate_strategy)
{
	EXPECT_TRUE(uacce_says(STRATEGY, "0\n"));
	EXPECT_TRUE(uacce_says(ISOLATE, "0\n"));
	EXPECT_EQ(0, write_file("65535", STRATEGY));
	EXPECT_TRUE(uacce_says(STRATEGY, "65535\n"));
	EXPECT_EQ(-EINVAL, write_file("65536", STRATEGY));
	EXPECT_EQ(-EINVAL, write_file("-1", STRATEGY));
	EXPECT_EQ(-EINVAL, write_file("many", STRATEGY));
	EXPECT_TRUE(uacce_says(STRATEGY, "65535\n"));
	/* Only the device itself says that. */
	EXPECT_EQ(-EACCES, write_file("1", ISOLATE));
}

TEST_F(isolate, uacce_isolate_counts_errors_of_the_device)
{
	struct job error = crc32_job(self->registers, 64, 0);

	ASSERT_EQ(0, write_file("2", STRATEGY));
	for (int i = 0; i < 2; i++)
		ASSERT_EQ(MOCK_ACCEL_BUS_ERROR, uacce_run(&self->q, error));
	EXPECT_TRUE(uacce_says(ISOLATE, "0\n"));
	/* What the process does wrong is none. */
	for (int i = 0; i < 5; i++) {
		struct job odd = fill_job(self->word, 0, 8);

		ASSERT_EQ(MOCK_ACCEL_PAGE_FAULT, uacce_run(&self->q, fill_job(NULL, 1, 8)));
		odd.desc.opcode = 99;
		ASSERT_EQ(MOCK_ACCEL_BAD_OPCODE, uacce_run(&self->q, odd));
	}
	EXPECT_TRUE(works(&self->q, self->word));
	EXPECT_TRUE(uacce_says(ISOLATE, "0\n"));
	/* A new threshold begins anew. */
	ASSERT_EQ(0, write_file("1", STRATEGY));
	ASSERT_EQ(MOCK_ACCEL_BUS_ERROR, uacce_run(&self->q, error));
	EXPECT_TRUE(uacce_says(ISOLATE, "0\n"));
	ASSERT_EQ(MOCK_ACCEL_BUS_ERROR, uacce_run(&self->q, error));
	EXPECT_TRUE(uacce_says(ISOLATE, "1\n"));
}

TEST_F(isolate, uacce_isolated_device_does_no_work)
{
	struct uacce other;
	char text[64];

	ASSERT_EQ(0, uacce_open(&other));
	ASSERT_TRUE(works(&other, self->word));
	ASSERT_EQ(0, write_file("1", STRATEGY));
	for (int i = 0; i < 2; i++)
		ASSERT_EQ(MOCK_ACCEL_BUS_ERROR,
			  uacce_run(&self->q, crc32_job(self->registers, 64, 0)));
	ASSERT_TRUE(uacce_says(ISOLATE, "1\n"));

	/* No new queues, and none of the old ones goes on. */
	EXPECT_EQ(-1, open(UACCE_DEVICE, O_RDWR | O_CLOEXEC));
	EXPECT_EQ(EIO, errno);
	uacce_submit(&other, add_job(self->word, 1));
	usleep(20000);
	EXPECT_EQ(1, *self->word);
	ASSERT_EQ(0, uacce_stop(&other));
	EXPECT_EQ(-EIO, uacce_start(&other));
	EXPECT_EQ(-EPERM, write_file("5", STRATEGY));
	EXPECT_TRUE(uacce_says(STRATEGY, "1\n"));
	/* The open that failed took no queue along. */
	ASSERT_EQ(0, read_whole_file(text, sizeof(text), UACCE_CLASS "available_instances"));
	EXPECT_EQ(MOCK_UACCE_MAX_QUEUES - 2, atoi(text));
	uacce_close(&other);

	/* With its driver it begins anew. */
	ASSERT_EQ(0, uacce_unbind_driver());
	ASSERT_EQ(0, uacce_bind_driver());
	EXPECT_TRUE(uacce_says(ISOLATE, "0\n"));
	EXPECT_TRUE(uacce_says(STRATEGY, "0\n"));
	ASSERT_EQ(0, uacce_open(&other));
	EXPECT_TRUE(works(&other, self->word));
	uacce_close(&other);
}

#define STALLING LOADED "/kst0"

/* What the device that the directory @dir is has for a name in uacce's class; or an empty one. */
static void class_name(const char *dir, char *name, size_t size)
{
	char device[64], link[128];
	glob_t found;

	name[0] = 0;
	if (config_get(dir, "device", device, sizeof(device)) ||
	    glob("/sys/class/uacce/*/device", 0, NULL, &found))
		return;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		ssize_t len = readlink(found.gl_pathv[i], link, sizeof(link) - 1);

		if (len < 0)
			continue;
		link[len] = 0;
		if (strcmp(strrchr(link, '/') + 1, device))
			continue;
		*strrchr(found.gl_pathv[i], '/') = 0;
		snprintf(name, size, "%s", strrchr(found.gl_pathv[i], '/') + 1);
	}
	globfree(&found);
}

/* A bad pointer is its process's fault, also where the access waited in the SMMU for the answer. */
TEST_F(isolate, i1_bad_pointers_on_a_stalling_device)
{
	char *gone = map_fresh(page_size()), *copy = map_fresh(page_size());
	char name[64], path[128], isolated[128];
	struct uacce mine, other;

	ASSERT_EQ(0, config_make(STALLING, "driver", "mock_uacce", "ats", "0", "pri", "0",
				 "stall", "1", "online", "1", NULL));
	class_name(STALLING, name, sizeof(name));
	ASSERT_NE('\0', name[0]);
	snprintf(path, sizeof(path), "/sys/class/uacce/%s/isolate_strategy", name);
	ASSERT_EQ(0, write_file("5", path));
	snprintf(isolated, sizeof(isolated), "/sys/class/uacce/%s/isolate", name);
	snprintf(path, sizeof(path), "/dev/%s", name);
	ASSERT_EQ(0, uacce_open_path(&mine, path));
	ASSERT_EQ(0, munmap(gone, page_size()));
	for (int i = 0; i < 6; i++)
		EXPECT_EQ(MOCK_ACCEL_PAGE_FAULT,
			  uacce_run(&mine, copy_job(copy, gone, page_size())));
	EXPECT_TRUE(uacce_says(isolated, "0\n"));
	ASSERT_EQ(0, uacce_open_path(&other, path));
	EXPECT_TRUE(works(&other, self->word));
	uacce_close(&other);
	uacce_close(&mine);
	EXPECT_EQ(0, config_rmdir(STALLING));
}

/* At first any number of errors is fine. */
TEST_F(isolate, uacce_isolate_only_on_request)
{
	for (int i = 0; i < 20; i++)
		ASSERT_EQ(MOCK_ACCEL_BUS_ERROR,
			  uacce_run(&self->q, crc32_job(self->registers, 64, 0)));
	EXPECT_TRUE(uacce_says(ISOLATE, "0\n"));
	EXPECT_TRUE(works(&self->q, self->word));
}

TEST_HARNESS_MAIN
