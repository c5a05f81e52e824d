/* SPDX-License-Identifier: GPL-2.0 */
/* The trace events sva:*, in a buffer of their own. */
#ifndef SELFTESTS_SVA_TRACE_H
#define SELFTESTS_SVA_TRACE_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRACEFS		"/sys/kernel/tracing"
#define TRACE_BUFFER	TRACEFS "/instances/sva_test"

static inline int trace_write(const char *name, const char *text)
{
	char path[128];
	int fd, ret;

	snprintf(path, sizeof(path), TRACE_BUFFER "/%s", name);
	fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

/* Empties the buffer: to open the file does that. */
static inline int trace_clear(void)
{
	return trace_write("trace", "");
}

/* Makes the buffer, with all events of sva enabled. */
static inline int trace_begin(void)
{
	/* It may be mounted. */
	mount("tracefs", TRACEFS, "tracefs", 0, NULL);
	if (mkdir(TRACE_BUFFER, 0700) && errno != EEXIST)
		return -errno;
	return trace_clear() ?: trace_write("events/sva/enable", "1");
}

static inline void trace_end(void)
{
	rmdir(TRACE_BUFFER);
}

/*
 * The values that follow "name=" in a line of the buffer. A text ends at the next
 * blank.
 */
static inline bool trace_text(const char *line, const char *name, char *value, size_t size)
{
	size_t length = strlen(name);
	const char *at = line;

	while ((at = strstr(at, name))) {
		if (at > line && at[-1] == ' ' && at[length] == '=') {
			snprintf(value, size, "%.*s", (int)strcspn(at + length + 1, "\n "),
				 at + length + 1);
			return true;
		}
		at += length;
	}
	return false;
}

/* -1 if it is not there. */
static inline int64_t trace_number(const char *line, const char *name)
{
	char value[64];

	return trace_text(line, name, value, sizeof(value)) ? strtoll(value, NULL, 0) : -1;
}

static inline bool trace_is(const char *line, const char *name, const char *wanted)
{
	char value[64];

	return trace_text(line, name, value, sizeof(value)) && !strcmp(value, wanted);
}

/*
 * Reads the line of the @nth event (from 0) of this name under @pasid, if @pasid is
 * not negative. Returns whether there is one.
 */
static inline bool trace_find(const char *event, int64_t pasid, unsigned int nth, char *line,
			      int size)
{
	FILE *file = fopen(TRACE_BUFFER "/trace", "re");
	bool found = false;
	char mark[64];

	if (!file)
		return false;
	snprintf(mark, sizeof(mark), ": %s: ", event);
	while (!found && fgets(line, size, file)) {
		if (line[0] == '#' || !strstr(line, mark))
			continue;
		if (pasid >= 0 && trace_number(line, "pasid") != pasid)
			continue;
		found = !nth--;
	}
	fclose(file);
	return found;
}

#endif /* SELFTESTS_SVA_TRACE_H */
