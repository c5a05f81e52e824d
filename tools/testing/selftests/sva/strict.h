/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What strict mode of a mock SMMU has found.
 *
 * All functions return 0 or more, or a negative errno.
 */
#ifndef SELFTESTS_SVA_STRICT_H
#define SELFTESTS_SVA_STRICT_H

#include "configfs.h"

static inline int strict_read(const char *name, char *text, size_t size)
{
	char dir[96];

	snprintf(dir, sizeof(dir), MOCK_DEBUG "/%s", name);
	return config_get(dir, "strict", text, size);
}

static inline int strict_command(const char *name, const char *command)
{
	char dir[96];

	snprintf(dir, sizeof(dir), MOCK_DEBUG "/%s", name);
	return config_set(dir, "strict", command);
}

/* Records that nobody has cleared, in instance @name. They are printed. */
static inline int64_t strict_records(const char *name)
{
	char text[8192];
	long long records;
	int ret = strict_read(name, text, sizeof(text));

	if (ret)
		return ret;
	if (sscanf(text, "records: %lld", &records) != 1)
		return -EINVAL;
	if (records)
		for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
			printf("# strict mode: %s\n", line);
	return records;
}

/* The same after a look through all caches for what is stale. */
static inline int64_t strict_scan(const char *name)
{
	int ret = strict_command(name, "scan");

	return ret ? ret : strict_records(name);
}

#endif /* SELFTESTS_SVA_STRICT_H */
