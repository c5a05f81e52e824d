// SPDX-License-Identifier: GPL-2.0
/* The trace events sva:* of what an accelerator does. */

#include "accel.h"
#include "debugfs.h"
#include "driver.h"
#include "trace.h"

#define DEVICE "mock_accel.0"

FIXTURE(trace) {
	int fd;
	unsigned int pasid;
	char line[512];
};

FIXTURE_SETUP(trace)
{
	ASSERT_EQ(0, trace_begin());
	self->fd = accel_open(0);
	ASSERT_LE(0, self->fd);
	self->pasid = accel_pasid(self->fd);
}

FIXTURE_TEARDOWN(trace)
{
	close(self->fd);
	trace_end();
}

/* Finds the nth event of the bond of this test, and checks that it is of its device. */
#define FIND(event, nth) do {								\
	ASSERT_TRUE(trace_find(event, self->pasid, nth, self->line, sizeof(self->line)));	\
	EXPECT_TRUE(trace_is(self->line, "dev", DEVICE));					\
} while (0)

TEST_F(trace, bind_and_unbind)
{
	static const struct {
		const char *event;
		unsigned int nth;
		int refs;
	} expected[] = {
		{ "bind", 0, 1 }, { "bind", 1, 2 }, { "unbind", 0, 1 }, { "unbind", 1, 0 },
	};
	int second = accel_open(0);

	ASSERT_LE(0, second);
	close(second);
	close(self->fd);
	self->fd = -1;
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		FIND(expected[i].event, expected[i].nth);
		EXPECT_EQ(getpid(), trace_number(self->line, "tgid"));
		EXPECT_TRUE(trace_is(self->line, "flags", "pasid+iopf"));
		EXPECT_EQ(expected[i].refs, trace_number(self->line, "refs"));
	}
	EXPECT_FALSE(trace_find("bind", self->pasid, 2, self->line, sizeof(self->line)));
	EXPECT_FALSE(trace_find("unbind", self->pasid, 2, self->line, sizeof(self->line)));
}

/* Finds the request for the page at @addr; its group, or -1. */
static int64_t find_request(unsigned int pasid, const void *addr, char *line, int size)
{
	for (unsigned int i = 0; trace_find("page_request", pasid, i, line, size); i++)
		if (trace_number(line, "addr") == (int64_t)(uintptr_t)addr)
			return trace_number(line, "grpid");
	return -1;
}

/* Finds the last response to a group. */
static bool find_response(unsigned int pasid, int64_t group, char *line, int size)
{
	char candidate[512];
	bool found = false;

	for (unsigned int i = 0;
	     trace_find("page_response", pasid, i, candidate, sizeof(candidate)); i++) {
		if (trace_number(candidate, "grpid") != group)
			continue;
		snprintf(line, size, "%s", candidate);
		found = true;
	}
	return found;
}

TEST_F(trace, page_request_and_response)
{
	void *memory = map_fresh(page_size());
	uint64_t begin = now_ms();
	int64_t group;

	ASSERT_NE(NULL, memory);
	ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(self->fd, memory, 1, 8));

	group = find_request(self->pasid, memory, self->line, sizeof(self->line));
	ASSERT_LE(0, group);
	EXPECT_TRUE(trace_is(self->line, "dev", DEVICE));
	EXPECT_NE(NULL, strchr(strstr(self->line, "access="), 'w'));

	ASSERT_TRUE(find_response(self->pasid, group, self->line, sizeof(self->line)));
	EXPECT_TRUE(trace_is(self->line, "dev", DEVICE));
	EXPECT_TRUE(trace_is(self->line, "code", "success"));
	EXPECT_LE(1, trace_number(self->line, "requests"));
	EXPECT_LT(0, trace_number(self->line, "latency"));
	EXPECT_GE((int64_t)(now_ms() - begin + 1) * 1000000,
		  trace_number(self->line, "latency"));
}

TEST_F(trace, every_request_is_answered)
{
	const size_t pages = 200;
	uint64_t requests = 0, answered = 0;
	char *memory = map_fresh(pages * page_size());
	unsigned int i;

	ASSERT_NE(NULL, memory);
	ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(self->fd, memory, 1, pages * page_size()));
	for (i = 0; trace_find("page_request", self->pasid, i, self->line, sizeof(self->line)); i++)
		requests++;
	for (i = 0; trace_find("page_response", self->pasid, i, self->line, sizeof(self->line));
	     i++) {
		answered += trace_number(self->line, "requests");
		EXPECT_LT(0, trace_number(self->line, "latency"));
	}
	EXPECT_LT(0, requests);
	EXPECT_EQ(requests, answered);
}

TEST_F(trace, refused_request)
{
	uint64_t word;
	struct job job = crc32_job(NULL, 8, 0);
	int64_t group;

	ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(self->fd, &word, 1, 8));
	ASSERT_EQ(MOCK_ACCEL_PAGE_FAULT, accel_run(self->fd, &job));
	group = find_request(self->pasid, NULL, self->line, sizeof(self->line));
	ASSERT_LE(0, group);
	EXPECT_TRUE(trace_is(self->line, "access", "r"));
	ASSERT_TRUE(find_response(self->pasid, group, self->line, sizeof(self->line)));
	EXPECT_TRUE(trace_is(self->line, "code", "invalid"));
	EXPECT_EQ(1, trace_number(self->line, "requests"));
	EXPECT_LT(0, trace_number(self->line, "latency"));
}

/* The file stays open in a grandchild, so that only the exit can end the bond. */
TEST_F(trace, mm_exit)
{
	unsigned int pasid = 0;
	int told[2], hold[2];
	pid_t opener;

	ASSERT_EQ(0, pipe(told));
	ASSERT_EQ(0, pipe(hold));
	opener = fork();
	if (!opener) {
		int fd = accel_open(0);

		pasid = accel_pasid(fd);
		close(hold[1]);
		if (!fork())
			_exit(read(hold[0], &pasid, 1) != 0);
		_exit(write(told[1], &pasid, sizeof(pasid)) != sizeof(pasid));
	}
	ASSERT_EQ(0, child_status(opener));
	ASSERT_EQ(sizeof(pasid), read(told[0], &pasid, sizeof(pasid)));
	EXPECT_TRUE(bond_vanishes(DEVICE, pasid));
	close(hold[1]);

	ASSERT_TRUE(trace_find("mm_exit", pasid, 0, self->line, sizeof(self->line)));
	EXPECT_TRUE(trace_is(self->line, "dev", DEVICE));
	EXPECT_EQ(opener, trace_number(self->line, "tgid"));
	ASSERT_TRUE(trace_find("unbind", pasid, 0, self->line, sizeof(self->line)));
	EXPECT_EQ(opener, trace_number(self->line, "tgid"));
	EXPECT_EQ(0, trace_number(self->line, "refs"));
}

TEST_F(trace, device_init)
{
	EXPECT_FALSE(trace_find("device_init", -1, 0, self->line, sizeof(self->line)));
	ASSERT_EQ(0, driver_unbind("mock_accel.1"));
	ASSERT_EQ(0, driver_bind("mock_accel.1"));
	ASSERT_TRUE(trace_find("device_init", -1, 0, self->line, sizeof(self->line)));
	EXPECT_TRUE(trace_is(self->line, "dev", "mock_accel.1"));
	EXPECT_TRUE(trace_is(self->line, "features", "pasid+iopf+shared_addresses"));
	EXPECT_LT(0, trace_number(self->line, "max_pasid"));
}

TEST_F(trace, only_what_is_enabled)
{
	void *memory = map_fresh(page_size());

	ASSERT_NE(NULL, memory);
	ASSERT_EQ(0, trace_write("events/sva/enable", "0"));
	ASSERT_EQ(0, trace_clear());
	ASSERT_EQ(0, trace_write("events/sva/page_response/enable", "1"));
	ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(self->fd, memory, 1, 8));
	EXPECT_FALSE(trace_find("page_request", -1, 0, self->line, sizeof(self->line)));
	FIND("page_response", 0);
	EXPECT_LT(0, trace_number(self->line, "latency"));
	EXPECT_EQ(0, trace_write("events/sva/page_response/enable", "0"));
	ASSERT_EQ(0, trace_clear());
	ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_fill(self->fd, memory + page_size() / 2, 1, 8));
	EXPECT_FALSE(trace_find("page_response", -1, 0, self->line, sizeof(self->line)));
}

/* Fields have names, for programs that read events in binary. */
TEST(events_have_formats)
{
	static const char * const fields[][2] = {
		{ "device_init", "max_pasid" }, { "bind", "tgid" }, { "unbind", "refs" },
		{ "page_request", "addr" }, { "page_response", "latency" },
		{ "refusal", "reason" }, { "mm_exit", "pasid" }, { "carve", "end" },
	};

	ASSERT_EQ(0, trace_begin());
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		char path[128], text[4096] = "";
		int fd;

		snprintf(path, sizeof(path), TRACE_BUFFER "/events/sva/%s/format", fields[i][0]);
		fd = open(path, O_RDONLY);
		ASSERT_LE(0, fd);
		ASSERT_LT(0, read(fd, text, sizeof(text) - 1));
		EXPECT_NE(NULL, strstr(text, fields[i][1]));
		close(fd);
	}
	trace_end();
}

TEST_HARNESS_MAIN
