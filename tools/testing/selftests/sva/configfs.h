/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Instances and devices of the mock SMMU, made and removed through configfs.
 *
 * All functions return 0, or a negative errno, unless they say otherwise.
 */
#ifndef SELFTESTS_SVA_CONFIGFS_H
#define SELFTESTS_SVA_CONFIGFS_H

#include <stdarg.h>
#include <sys/stat.h>

#include "file.h"

#define MOCK_CONFIG "/sys/kernel/config/mock_smmu"
#define MOCK_DEBUG "/sys/kernel/debug/mock_smmu"
#define LOADED MOCK_CONFIG "/smmu0"

/* Writes to, or reads, a file of the directory @dir. */
static inline int config_set(const char *dir, const char *file, const char *text)
{
	char path[192];

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	return write_file(text, path);
}

static inline int config_get(const char *dir, const char *file, char *text, size_t size)
{
	char path[192];

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	return read_file(text, size, path);
}

/* Whether the file says exactly that. */
static inline bool config_is(const char *dir, const char *file, const char *text)
{
	char is[128];

	return !config_get(dir, file, is, sizeof(is)) && !strcmp(is, text);
}

static inline int config_mkdir(const char *dir)
{
	return mkdir(dir, 0755) ? -errno : 0;
}

static inline int config_rmdir(const char *dir)
{
	return rmdir(dir) ? -errno : 0;
}

/*
 * Makes the directory @dir and writes to its files, given as pairs of name and
 * text that end with a NULL; what is left behind on failure is offline, and nothing
 * is where the SMMU's driver cannot do such a thing.
 */
static inline int config_make(const char *dir, ...)
{
	const char *file, *text;
	va_list args;
	int ret = config_mkdir(dir);

	va_start(args, dir);
	while (!ret && (file = va_arg(args, const char *))) {
		text = va_arg(args, const char *);
		ret = config_set(dir, file, text);
	}
	va_end(args);
	if (ret == -EOPNOTSUPP)
		config_rmdir(dir);
	return ret;
}

/* The number of the platform device that @dir is, or a negative errno. */
static inline int config_number(const char *dir)
{
	char name[64], *dot;
	int ret = config_get(dir, "device", name, sizeof(name));

	if (ret)
		return ret;
	dot = strrchr(name, '.');
	return dot ? atoi(dot + 1) : -EINVAL;
}

/* The number of the IOMMU group of a platform device, or a negative errno. */
static inline int device_group(const char *name)
{
	char path[128], link[128];
	ssize_t len;

	snprintf(path, sizeof(path), "/sys/bus/platform/devices/%s/iommu_group", name);
	len = readlink(path, link, sizeof(link) - 1);
	if (len < 0)
		return -errno;
	link[len] = 0;
	return atoi(strrchr(link, '/') + 1);
}

/* The same of the device that @dir is. */
static inline int config_group(const char *dir)
{
	char name[64];
	int ret = config_get(dir, "device", name, sizeof(name));

	return ret ? ret : device_group(name);
}

/* A number in a file of instance @name in debugfs; -1 if it is not there. */
static inline int64_t debugfs_number(const char *name, const char *file_name, const char *wanted)
{
	char path[128], line[128];
	long long value, found = -1;
	FILE *file;

	snprintf(path, sizeof(path), MOCK_DEBUG "/%s/%s", name, file_name);
	file = fopen(path, "re");
	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file)) {
		char *colon = strchr(line, ':');

		if (!colon || strncmp(line, wanted, colon - line) || wanted[colon - line])
			continue;
		if (sscanf(colon + 1, "%lli", &value) == 1)
			found = value;
	}
	fclose(file);
	return found;
}

static inline int64_t debugfs_register(const char *name, const char *reg)
{
	return debugfs_number(name, "regs", reg);
}

static inline int64_t debugfs_counter(const char *name, const char *counter)
{
	return debugfs_number(name, "stats", counter);
}

#endif /* SELFTESTS_SVA_CONFIGFS_H */
