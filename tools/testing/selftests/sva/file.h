/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Small files, as sysfs, configfs and debugfs have them.
 *
 * All functions return 0, or a negative errno.
 */
#ifndef SELFTESTS_SVA_FILE_H
#define SELFTESTS_SVA_FILE_H

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static inline int write_file(const char *text, const char *path)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int ret;

	if (fd < 0)
		return -errno;
	ret = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

/* Reads up to @size - 1 bytes. */
static inline int read_whole_file(char *text, size_t size, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len;

	text[0] = 0;
	if (fd < 0)
		return -errno;
	len = read(fd, text, size - 1);
	if (len < 0)
		len = -errno;
	close(fd);
	if (len < 0)
		return len;
	text[len] = 0;
	return 0;
}

/* The same without the newline at the end. */
static inline int read_file(char *text, size_t size, const char *path)
{
	int ret = read_whole_file(text, size, path);
	size_t len = strlen(text);

	if (len > 0 && text[len - 1] == '\n')
		text[len - 1] = 0;
	return ret;
}

#endif /* SELFTESTS_SVA_FILE_H */
