/* SPDX-License-Identifier: GPL-2.0 */
/* Numbers that the kernel tells of memory. */
#ifndef SVA_TEST_MEMINFO_H
#define SVA_TEST_MEMINFO_H

#include <stdio.h>

/* The number in the first line of @path that @format finds; -1 if none has it. */
static inline long proc_number(const char *path, const char *format)
{
	FILE *file = fopen(path, "re");
	long found = -1;
	char line[128];

	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, format, &found) == 1)
			break;
	fclose(file);
	return found;
}

/* Kilobytes of memory of processes. */
static inline long anon_pages(void)
{
	return proc_number("/proc/meminfo", "AnonPages: %ld kB");
}

#endif /* SVA_TEST_MEMINFO_H */
