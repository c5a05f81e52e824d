// SPDX-License-Identifier: GPL-2.0
/* What debugfs tells of a mock SMMU: tables, queues and caches, raw and by name. */

#include "vfio.h"

/* Of mock_accel.0. */
#define SID 0x100

static char text[1 << 18];

static int read_debug(const char *file)
{
	char path[96];
	size_t len = 0, n;
	FILE *stream;

	snprintf(path, sizeof(path), MOCK_DEBUG "/smmu0/%s", file);
	stream = fopen(path, "re");
	if (!stream)
		return -errno;
	while ((n = fread(text + len, 1, sizeof(text) - 1 - len, stream)) > 0)
		len += n;
	fclose(stream);
	text[len] = 0;
	return 0;
}

/* The line of @file that begins with @start, or NULL. */
static char *find_line(const char *file, const char *start)
{
	char *line;

	if (read_debug(file))
		return NULL;
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		if (!strncmp(line, start, strlen(start)))
			return line;
	return NULL;
}

/* How many 64-bit words in hex follow a colon; -1 if something else does. */
static int count_words(const char *line, uint64_t *words, int max)
{
	const char *at = strchr(line, ':');
	int count = 0;

	if (!at)
		return -1;
	for (at++; *at; at += 17, count++) {
		if (at[0] != ' ' || strspn(at + 1, "0123456789abcdef") < 16)
			return -1;
		if (count < max)
			words[count] = strtoull(at + 1, NULL, 16);
	}
	return count;
}

FIXTURE(debugfs) {
	int fd;
	unsigned int pasid;
	char *page;
};

FIXTURE_SETUP(debugfs)
{
	self->fd = accel_open(0);
	ASSERT_LE(0, self->fd);
	self->pasid = accel_pasid(self->fd);
	self->page = map_fresh(page_size());
	ASSERT_NE(NULL, self->page);
	ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(self->fd, self->page, 1, 8));
}

FIXTURE_TEARDOWN(debugfs)
{
	close(self->fd);
}

TEST_F(debugfs, all_files)
{
	static const char * const files[] = {
		"regs", "ste", "cd", "cmdq", "evtq", "priq", "tlb", "atc", "stats",
	};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		EXPECT_EQ(0, read_debug(files[i]));
		EXPECT_LT(0, strlen(text));
	}
}

TEST_F(debugfs, regs)
{
	static const char * const names[] = {
		"IDR0", "IDR1", "IDR2", "IDR3", "IDR4", "IDR5", "IIDR", "AIDR", "CR0", "CR0ACK",
		"CR1", "CR2", "GBPA", "IRQ_CTRL", "IRQ_CTRLACK", "GERROR", "GERRORN",
		"GERROR_IRQ_CFG0", "GERROR_IRQ_CFG1", "STRTAB_BASE", "STRTAB_BASE_CFG",
		"CMDQ_BASE", "CMDQ_PROD", "CMDQ_CONS", "EVTQ_BASE", "EVTQ_PROD", "EVTQ_CONS",
		"EVTQ_IRQ_CFG0", "EVTQ_IRQ_CFG1", "PRIQ_BASE", "PRIQ_PROD", "PRIQ_CONS",
		"PRIQ_IRQ_CFG0", "PRIQ_IRQ_CFG1",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		EXPECT_LE(0, debugfs_register("smmu0", names[i])) {
			TH_LOG("%s", names[i]);
		}
	}
	EXPECT_EQ(0x1f, debugfs_register("smmu0", "CR0"));
	EXPECT_EQ(0x1f, debugfs_register("smmu0", "CR0ACK"));
	EXPECT_EQ(7, debugfs_register("smmu0", "IRQ_CTRLACK"));
	EXPECT_EQ(debugfs_register("smmu0", "CMDQ_PROD"), debugfs_register("smmu0", "CMDQ_CONS"));
}

TEST_F(debugfs, ste)
{
	char *line = find_line("ste", "0x100:");
	uint64_t words[8];

	ASSERT_NE(NULL, line);
	ASSERT_EQ(8, count_words(line, words, 8));
	/* Valid, stage 1, 16 bits of SubstreamIDs. */
	EXPECT_EQ(0xb, words[0] & 0xf);
	EXPECT_EQ(16, words[0] >> 59);
	line = strtok(NULL, "\n");
	ASSERT_NE(NULL, line);
	EXPECT_NE(NULL, strstr(line, "# v=1 config=5 "));
	EXPECT_NE(NULL, strstr(line, " s1_cd_max=0x10"));
}

TEST_F(debugfs, cd)
{
	char start[32], *line;
	uint64_t words[8];

	snprintf(start, sizeof(start), "%#x %#x:", SID, self->pasid);
	line = find_line("cd", start);
	ASSERT_NE(NULL, line);
	ASSERT_EQ(8, count_words(line, words, 8));
	EXPECT_EQ(1, words[0] >> 31 & 1);
	EXPECT_NE(0, words[0] >> 48);
	line = strtok(NULL, "\n");
	ASSERT_NE(NULL, line);
	EXPECT_NE(NULL, strstr(line, " v=1"));
	EXPECT_NE(NULL, strstr(line, " ttb0="));

	close(self->fd);
	EXPECT_EQ(NULL, find_line("cd", start));
}

/* The words of the line before the last one in @file that begins with @meaning. */
static int last_entry(const char *file, const char *meaning, uint64_t *words, int max)
{
	char *line, *before = NULL;
	int count = -1;

	if (read_debug(file))
		return -1;
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		if (before && !strncmp(line, meaning, strlen(meaning)))
			count = count_words(before, words, max);
		before = line;
	}
	return count;
}

TEST_F(debugfs, raw_queues)
{
	uint64_t words[4];

	ASSERT_EQ(2, last_entry("cmdq", "# PRI_RESP", words, 4));
	EXPECT_EQ(0x41, words[0] & 0xff);
	EXPECT_EQ(SID, words[0] >> 32);
	EXPECT_EQ(self->pasid, words[0] >> 12 & 0xfffff);
	ASSERT_EQ(2, last_entry("priq", "# sid=0x100", words, 4));
	EXPECT_EQ(SID, words[0] & 0xffffffff);
	EXPECT_EQ(1, words[0] >> 63);
}

/* Whether @counter grows beyond @before; the thread of its queue gets time. */
static bool counted_more(const char *counter, int64_t before)
{
	/* There is none in the file before it counts. */
	return WAIT_UNTIL(debugfs_counter("smmu0", counter) > (before < 0 ? 0 : before));
}

/* An access that neither asks for pages nor waits for them leaves an event. */
/* By a device that can be had access what is not mapped. */
TEST_F(debugfs, raw_events)
{
	int64_t events = debugfs_counter("smmu0", "event_0x10");
	struct vfio_user user;
	uint64_t words[4], data;

	ASSERT_EQ(0, config_make(DEVICE, "driver", "mock_vfio", "sid", "0x5a5", "ats", "0",
				 "pri", "0", "online", "1", NULL));
	ASSERT_EQ(0, vfio_use(&user, DEVICE));
	ASSERT_EQ(0, vfio_attach(user.device, RID, user.ioas));
	EXPECT_EQ(-EIO, dma_read(user.device, RID, IOVA, &data, sizeof(data)));
	ASSERT_EQ(4, last_entry("evtq", "# F_TRANSLATION", words, 4));
	EXPECT_EQ(0x10, words[0] & 0xff);
	EXPECT_EQ(0x5a5, words[0] >> 32);
	EXPECT_EQ(IOVA, words[2]);
	EXPECT_TRUE(counted_more("event_0x10", events));
	vfio_leave(&user);
	EXPECT_EQ(0, config_rmdir(DEVICE));
}

TEST_F(debugfs, queues)
{
	/* The last thing that was said to the SMMU is always a CMD_SYNC. */
	ASSERT_EQ(0, read_debug("cmdq"));
	EXPECT_NE(NULL, strstr(text, "\n# PRI_RESP ssv=1"));
	ASSERT_NE(NULL, strrchr(text, '#'));
	EXPECT_EQ(strrchr(text, '#'), strstr(strrchr(text, '#'), "# CMD_SYNC"));
	ASSERT_EQ(0, read_debug("priq"));
	EXPECT_NE(NULL, strstr(text, "\n# sid=0x100"));
}

TEST_F(debugfs, caches)
{
	char needle[64];

	snprintf(needle, sizeof(needle), " %#x %#lx ", self->pasid, (long)self->page);
	ASSERT_EQ(0, read_debug("atc"));
	EXPECT_EQ(&text[0], strstr(text, "sid slot ssid va pa size permissions\n"));
	EXPECT_NE(NULL, strstr(text, needle));
	snprintf(needle, sizeof(needle), " %#lx ", (long)self->page);
	ASSERT_EQ(0, read_debug("tlb"));
	EXPECT_EQ(&text[0], strstr(text, "slot asid va pa size permissions\n"));
	EXPECT_NE(NULL, strstr(text, needle));

	/* Nothing of it is left when the page is gone. */
	ASSERT_EQ(0, munmap(self->page, page_size()));
	ASSERT_EQ(0, read_debug("tlb"));
	EXPECT_EQ(NULL, strstr(text, needle));
	snprintf(needle, sizeof(needle), " %#x %#lx ", self->pasid, (long)self->page);
	ASSERT_EQ(0, read_debug("atc"));
	EXPECT_EQ(NULL, strstr(text, needle));
}

TEST_HARNESS_MAIN
