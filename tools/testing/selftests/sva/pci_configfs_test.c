// SPDX-License-Identifier: GPL-2.0
/* PCI host bridges, ports and endpoints come and go through configfs, and through sysfs. */

#include <signal.h>

#include "accel.h"
#include "configfs.h"

#define PCI_CONFIG "/sys/kernel/config/mock_pci"
#define HOST PCI_CONFIG "/kst"
#define PORT HOST "/port0"
#define ROOT_END HOST "/end"
#define END PORT "/end0"
#define SECOND PORT "/end1"
#define UP PORT "/port"
#define DOWN UP "/port0"
#define FAR DOWN "/end"

FIXTURE(pci) {
};

FIXTURE_SETUP(pci)
{
	if (access(PCI_CONFIG, F_OK))
		SKIP(return, "no mock PCI");
	ASSERT_EQ(0, config_make(HOST, "online", "1", NULL));
}

FIXTURE_TEARDOWN(pci)
{
	static const char * const dirs[] = {
		FAR, DOWN, UP, SECOND, END, PORT, ROOT_END, HOST,
	};

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		if (!access(dirs[i], F_OK))
			EXPECT_EQ(0, config_rmdir(dirs[i]));
}

/* Opens the accelerator that @dir is. */
static int open_accel(const char *dir)
{
	char address[64], path[128];
	int ret = config_get(dir, "address", address, sizeof(address));

	if (ret)
		return ret;
	snprintf(path, sizeof(path), "/dev/mock_accel-%s", address);
	ret = open(path, O_RDWR | O_CLOEXEC);
	return ret < 0 ? -errno : ret;
}

/* Whether the accelerator that @dir is does work for this process. */
static bool works(const char *dir)
{
	int fd = open_accel(dir);
	uint64_t word = 0;
	bool done;

	if (fd < 0)
		return false;
	done = accel_fill(fd, &word, 7, 8) == MOCK_ACCEL_SUCCESS && word == 7;
	close(fd);
	return done;
}

/* Writes to a file that sysfs has of the function that is, or was, at @address. */
static int sysfs_set(const char *address, const char *file, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", address, file);
	return write_file(text, path);
}

TEST_F(pci, endpoint_behind_a_port)
{
	ASSERT_EQ(0, config_make(PORT, "online", "1", NULL));
	EXPECT_TRUE(config_is(PORT, "role", "root port"));
	ASSERT_EQ(0, config_make(END, "online", "1", NULL));
	EXPECT_TRUE(config_is(END, "role", "endpoint"));
	EXPECT_TRUE(works(END));
	/* Hot-plug again and again. */
	for (int i = 0; i < 5; i++) {
		ASSERT_EQ(0, config_set(END, "online", "0"));
		EXPECT_TRUE(config_is(END, "online", "0"));
		EXPECT_EQ(-ENODEV, open_accel(END));
		ASSERT_EQ(0, config_set(END, "online", "1"));
	}
	EXPECT_TRUE(works(END));
	/* With the port goes what is behind it, and comes back with it. */
	ASSERT_EQ(0, config_set(PORT, "online", "0"));
	EXPECT_TRUE(config_is(END, "online", "1"));
	EXPECT_EQ(-ENODEV, open_accel(END));
	ASSERT_EQ(0, config_set(PORT, "online", "1"));
	EXPECT_TRUE(works(END));
}

TEST_F(pci, endpoint_before_its_port)
{
	ASSERT_EQ(0, config_make(PORT, NULL));
	ASSERT_EQ(0, config_make(END, "online", "1", NULL));
	EXPECT_EQ(-ENODEV, open_accel(END));
	ASSERT_EQ(0, config_set(PORT, "online", "1"));
	EXPECT_TRUE(works(END));
}

TEST_F(pci, switch_behind_a_port)
{
	ASSERT_EQ(0, config_make(PORT, "online", "1", NULL));
	ASSERT_EQ(0, config_make(UP, "acs", "none", "online", "1", NULL));
	EXPECT_TRUE(config_is(UP, "role", "upstream port"));
	ASSERT_EQ(0, config_make(DOWN, "online", "1", NULL));
	EXPECT_TRUE(config_is(DOWN, "role", "downstream port"));
	ASSERT_EQ(0, config_make(FAR, "online", "1", NULL));
	EXPECT_TRUE(works(FAR));
	/* There is no room for a second switch behind it. */
	ASSERT_EQ(0, config_make(DOWN "/port", NULL));
	EXPECT_EQ(-ENOSPC, config_set(DOWN "/port", "online", "1"));
	EXPECT_EQ(0, config_rmdir(DOWN "/port"));
	/* Nor an endpoint where only ports can be. */
	EXPECT_EQ(-EINVAL, config_mkdir(UP "/end"));
	EXPECT_EQ(-EINVAL, config_mkdir(FAR "/end"));
}

TEST_F(pci, endpoint_of_the_root_complex)
{
	ASSERT_EQ(0, config_make(ROOT_END, "device", "5", "online", "1", NULL));
	EXPECT_TRUE(config_is(ROOT_END, "role", "integrated endpoint"));
	EXPECT_TRUE(works(ROOT_END));
}

/* As an administrator does it, while a process has the device open. */
TEST_F(pci, removal_and_rescan_by_sysfs)
{
	uint64_t word = 0;
	char address[64];
	int fd;

	ASSERT_EQ(0, config_make(PORT, "online", "1", NULL));
	ASSERT_EQ(0, config_make(END, "online", "1", NULL));
	ASSERT_EQ(0, config_get(END, "address", address, sizeof(address)));
	fd = open_accel(END);
	ASSERT_LE(0, fd);
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(fd, &word, 7, 8));
	ASSERT_EQ(0, sysfs_set(address, "remove", "1"));
	EXPECT_EQ(-ENODEV, accel_fill(fd, &word, 8, 8));
	EXPECT_EQ(7, word);
	close(fd);
	EXPECT_EQ(-ENOENT, open_accel(END));
	ASSERT_EQ(0, write_file("1", "/sys/bus/pci/rescan"));
	EXPECT_TRUE(works(END));

	/* With all that is behind it. */
	ASSERT_EQ(0, config_get(PORT, "address", address, sizeof(address)));
	ASSERT_EQ(0, sysfs_set(address, "remove", "1"));
	EXPECT_GT(0, open_accel(END));
	ASSERT_EQ(0, config_set(HOST, "rescan", "1"));
	EXPECT_TRUE(works(END));
}

/* Fills fresh pages, again and again, with whatever device there is; ends by a signal. */
static void work_for_ever(void)
{
	size_t len = 64 * page_size();

	for (;;) {
		unsigned char *area = map_fresh(len);
		int fd = open_accel(END);

		if (fd >= 0) {
			accel_fill(fd, area, 1, len);
			close(fd);
		}
		munmap(area, len);
	}
}

/* In the midst of jobs, whose pages are just being asked for. */
TEST_F(pci, unplugged_at_work)
{
	pid_t workers[4];
	int status;

	ASSERT_EQ(0, config_make(PORT, "online", "1", NULL));
	ASSERT_EQ(0, config_make(END, "online", "1", NULL));
	for (size_t i = 0; i < ARRAY_SIZE(workers); i++) {
		workers[i] = fork();
		ASSERT_LE(0, workers[i]);
		if (!workers[i])
			work_for_ever();
	}
	for (int i = 0; i < 20; i++) {
		usleep(20000);
		EXPECT_EQ(0, config_set(i % 2 ? PORT : END, "online", "0"));
		EXPECT_EQ(0, config_set(i % 2 ? PORT : END, "online", "1"));
	}
	for (size_t i = 0; i < ARRAY_SIZE(workers); i++) {
		kill(workers[i], SIGKILL);
		EXPECT_EQ(workers[i], waitpid(workers[i], &status, 0));
		EXPECT_TRUE(WIFSIGNALED(status));
	}
	EXPECT_TRUE(works(END));
}

TEST_F(pci, two_functions_need_acs)
{
	int fd;

	ASSERT_EQ(0, config_make(PORT, "online", "1", NULL));
	ASSERT_EQ(0, config_make(END, "multifunction", "1", "acs", "0x1d", "online", "1", NULL));
	ASSERT_EQ(0, config_make(SECOND, "online", "1", NULL));
	EXPECT_TRUE(works(END));
	/* One without PASIDs has what is mapped for it. */
	fd = open_accel(SECOND);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, accel_pasid(fd));
	EXPECT_EQ(MOCK_ACCEL_MODE_MAPPED, accel_mode(fd));
	close(fd);
	EXPECT_TRUE(works(SECOND));
	ASSERT_EQ(0, config_set(SECOND, "online", "0"));
	ASSERT_EQ(0, config_set(SECOND, "acs", "0x1d"));
	ASSERT_EQ(0, config_set(SECOND, "online", "1"));
	EXPECT_TRUE(works(SECOND));
}

TEST_F(pci, what_stays)
{
	static const char * const files[] = {
		"device", "function", "multifunction", "acs", "pasid_bits", "ats", "pri",
		"bar_bits", "vendor_id", "device_id",
	};
	bool stock;

	ASSERT_EQ(0, config_make(PORT, "online", "1", NULL));
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		EXPECT_EQ(-EBUSY, config_set(PORT, files[i], "1"));
	EXPECT_EQ(-EBUSY, config_set(HOST, "smmu", "other"));
	EXPECT_EQ(-EBUSY, config_set(HOST, "online", "0"));
	EXPECT_EQ(-ENOTEMPTY, config_rmdir(HOST));
	/* The SMMU too; that under the kernel's own driver has no such file, but one for that. */
	stock = access(MOCK_DEBUG "/remove", F_OK);
	EXPECT_EQ(-EBUSY, stock ? write_file("unbind", MOCK_DEBUG "/smmu0/driver") :
				  write_file("1", MOCK_DEBUG "/remove"));
}

TEST_F(pci, nonsense_is_refused)
{
	static const struct {
		const char *file;
		const char *text;
		int error;
	} cases[] = {
		{ "device", "32", -ERANGE },
		{ "function", "8", -ERANGE },
		{ "acs", "0x20", -ERANGE },
		{ "acs", "all", -EINVAL },
		{ "pasid_bits", "21", -ERANGE },
		{ "bar_bits", "11", -ERANGE },
		{ "bar_bits", "25", -ERANGE },
		{ "vendor_id", "0xffff", -ERANGE },
		{ "multifunction", "2", -EINVAL },
		{ "address", "00:00.0", -EACCES },
		{ "online", "2", -EINVAL },
	};

	ASSERT_EQ(0, config_make(PORT, "online", "1", NULL));
	ASSERT_EQ(0, config_make(END, NULL));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		EXPECT_EQ(cases[i].error, config_set(END, cases[i].file, cases[i].text)) {
			TH_LOG("%s: %s", cases[i].file, cases[i].text);
		}
	}
	/* What is at the other end of a link is device 0. */
	EXPECT_EQ(0, config_set(END, "device", "1"));
	EXPECT_EQ(-EINVAL, config_set(END, "online", "1"));
	EXPECT_EQ(0, config_set(END, "device", "auto"));
	EXPECT_EQ(0, config_set(END, "ats", "0"));
	EXPECT_EQ(-EINVAL, config_set(END, "online", "1"));
	EXPECT_EQ(0, config_set(END, "ats", "1"));
	EXPECT_EQ(0, config_set(END, "online", "1"));
	EXPECT_TRUE(works(END));
	ASSERT_EQ(0, config_make(SECOND, "function", "0", NULL));
	EXPECT_EQ(-EBUSY, config_set(SECOND, "online", "1"));
}

TEST_F(pci, no_such_smmu)
{
	ASSERT_EQ(0, config_set(HOST, "online", "0"));
	ASSERT_EQ(0, config_set(HOST, "smmu", "nowhere"));
	EXPECT_EQ(-ENODEV, config_set(HOST, "online", "1"));
	EXPECT_EQ(-ENODEV, config_mkdir(PORT));
}

/* Who comes second has no IOMMU, and work is not for it. */
TEST_F(pci, a_stream_that_is_taken)
{
	ASSERT_EQ(0, config_set(HOST, "online", "0"));
	ASSERT_EQ(0, config_set(HOST, "sid_base", "0"));
	ASSERT_EQ(0, config_set(HOST, "online", "1"));
	ASSERT_EQ(0, config_make(PORT, "online", "1", NULL));
	/* It would be 0x100, which is a platform device's. */
	ASSERT_EQ(0, config_make(END, "online", "1", NULL));
	EXPECT_EQ(-ENOENT, open_accel(END));
}

TEST_HARNESS_MAIN
