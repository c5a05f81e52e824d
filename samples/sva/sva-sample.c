// SPDX-License-Identifier: GPL-2.0
/*
 * sva-sample DEVICE: a device works in the memory of this process, by its pointers.
 *
 * Ends with 0 if all came as it should.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "sva_sample.h"

int main(int argc, char **argv)
{
	/* The device will use any memory: of the stack, of the heap, of a file, ... */
	uint64_t word = 41, *fresh, *forbidden;
	const size_t size = 65536;
	int fd;

	if (argc != 2) {
		fprintf(stderr, "usage: sva-sample DEVICE\n");
		return 2;
	}
	/* Binds this process to the device. */
	fd = open(argv[1], O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		fprintf(stderr, "error: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	fresh = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	forbidden = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (fresh == MAP_FAILED || forbidden == MAP_FAILED) {
		fprintf(stderr, "error: mmap: %s\n", strerror(errno));
		return 1;
	}

	if (ioctl(fd, SVA_SAMPLE_COUNT, &word) || word != 42) {
		fprintf(stderr, "error: a word on the stack: %s\n", strerror(errno));
		return 1;
	}
	printf("a word on the stack was 41, and is %llu\n", (unsigned long long)word);

	/* There is no page yet: the device asks for it, and waits. */
	if (ioctl(fd, SVA_SAMPLE_COUNT, fresh) || *fresh != 1) {
		fprintf(stderr, "error: a fresh page: %s\n", strerror(errno));
		return 1;
	}
	printf("one in a page that nobody had touched is %llu\n", (unsigned long long)*fresh);

	/* The device may do what this process may, and no more. */
	if (!ioctl(fd, SVA_SAMPLE_COUNT, forbidden) || errno != EFAULT || *forbidden) {
		fprintf(stderr, "error: a page for reading only is not refused\n");
		return 1;
	}
	printf("one that may only be read is refused: %s\n", strerror(errno));
	/* The end of the process, or of the file, ends the device's access. */
	return 0;
}
