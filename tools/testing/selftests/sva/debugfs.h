/* SPDX-License-Identifier: GPL-2.0 */
/* What /sys/kernel/debug/sva tells. */
#ifndef SELFTESTS_SVA_DEBUGFS_H
#define SELFTESTS_SVA_DEBUGFS_H

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SVA_BONDS "/sys/kernel/debug/sva/bonds"
#define SVA_STATS "/sys/kernel/debug/sva/stats"
#define SVA_DEVICES "/sys/kernel/debug/sva/devices/"

struct bond {
	char device[32];
	char flags[32];
	int group;
	int pid;
	unsigned int pasid;
	unsigned int refs;
	uint64_t requests;
	uint64_t pages;
	uint64_t refused;
};

static inline void bond_field(struct bond *bond, const char *name, const char *value)
{
	if (!strcmp(name, "device"))
		snprintf(bond->device, sizeof(bond->device), "%s", value);
	else if (!strcmp(name, "flags"))
		snprintf(bond->flags, sizeof(bond->flags), "%s", value);
	else if (!strcmp(name, "group"))
		bond->group = atoi(value);
	else if (!strcmp(name, "pid"))
		bond->pid = atoi(value);
	else if (!strcmp(name, "pasid"))
		bond->pasid = atoi(value);
	else if (!strcmp(name, "refs"))
		bond->refs = atoi(value);
	else if (!strcmp(name, "requests"))
		bond->requests = strtoull(value, NULL, 10);
	else if (!strcmp(name, "pages"))
		bond->pages = strtoull(value, NULL, 10);
	else if (!strcmp(name, "refused"))
		bond->refused = strtoull(value, NULL, 10);
}

/*
 * Reads the bond of @device under @pasid; a NULL @device means any. Returns how
 * many lines fit, or a negative errno.
 */
static inline int find_bond(const char *device, unsigned int pasid, struct bond *found)
{
	char line[512], names[512] = "";
	FILE *file = fopen(SVA_BONDS, "re");
	int lines = 0;

	if (!file)
		return -errno;
	while (fgets(line, sizeof(line), file)) {
		char header[512], *h, *v, *name, *value;
		struct bond bond = {};

		if (!names[0]) {
			snprintf(names, sizeof(names), "%s", line);
			continue;
		}
		snprintf(header, sizeof(header), "%s", names);
		name = strtok_r(header, "\n ", &h);
		value = strtok_r(line, "\n ", &v);
		while (name && value) {
			bond_field(&bond, name, value);
			name = strtok_r(NULL, "\n ", &h);
			value = strtok_r(NULL, "\n ", &v);
		}
		if (bond.pasid != pasid || (device && strcmp(device, bond.device)))
			continue;
		*found = bond;
		lines++;
	}
	fclose(file);
	return lines;
}

/* How often @device is bound under @pasid; 0 if not, negative if unknown. */
static inline int bond_refs(const char *device, unsigned int pasid)
{
	struct bond bond;
	int lines = find_bond(device, pasid, &bond);

	return lines > 0 ? (int)bond.refs : lines;
}

/* The text after a name at the start of a line; whether there is such a line. */
static inline bool read_value(const char *path, const char *wanted, char *value, size_t size)
{
	FILE *file = fopen(path, "re");
	size_t length = strlen(wanted);
	bool found = false;
	char line[512];

	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file)) {
		found = !strncmp(line, wanted, length) && line[length] == ' ';
		if (found)
			snprintf(value, size, "%.*s", (int)strcspn(line + length + 1, "\n"),
				 line + length + 1);
	}
	fclose(file);
	return found;
}

/* A number of stats, or -1. */
static inline int64_t read_stat(const char *wanted)
{
	char value[64];

	return read_value(SVA_STATS, wanted, value, sizeof(value)) ? atoll(value) : -1;
}

/* A number of a device, or -1. */
static inline int64_t read_device_stat(const char *device, const char *wanted)
{
	char path[128], value[64];

	snprintf(path, sizeof(path), SVA_DEVICES "%s", device);
	return read_value(path, wanted, value, sizeof(value)) ? atoll(value) : -1;
}

/* Waits until @device has no bond under @pasid; whether that came true. */
static inline bool bond_vanishes(const char *device, unsigned int pasid)
{
	return WAIT_UNTIL(bond_refs(device, pasid) <= 0) && bond_refs(device, pasid) == 0;
}

#endif /* SELFTESTS_SVA_DEBUGFS_H */
