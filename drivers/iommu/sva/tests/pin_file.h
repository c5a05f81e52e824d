/* SPDX-License-Identifier: GPL-2.0 */
/* /dev/sva_test_pin: a device without page faults, for programs that test pins. */
#ifndef SVA_TEST_PIN_FILE_H
#define SVA_TEST_PIN_FILE_H

#include <linux/ioctl.h>
#include <linux/types.h>

struct sva_test_range {
	__u64 addr;
	__u64 len;
};

struct sva_test_word {
	__u64 addr;
	__u64 value;
};

/* Binds the process that asks to a device of the file's own. First of all, and once. */
#define SVA_TEST_BIND	_IO('v', 4)
/* The same, with a handler of the process's exit that takes 3 seconds. */
#define SVA_TEST_BIND_SLOW	_IO('v', 6)
/* Waits until that has begun. */
#define SVA_TEST_EXITING	_IO('v', 7)
/* Pins memory of that process, for writing; and releases it. */
#define SVA_TEST_PIN	_IOW('v', 0, struct sva_test_range)
#define SVA_TEST_UNPIN	_IOW('v', 1, struct sva_test_range)
/* Has the device read or write a word of that process. */
#define SVA_TEST_READ	_IOWR('v', 2, struct sva_test_word)
#define SVA_TEST_WRITE	_IOW('v', 3, struct sva_test_word)

/* Has the driver write a word of that process itself. */
#define SVA_TEST_COPY	_IOW('v', 5, struct sva_test_word)

#endif /* SVA_TEST_PIN_FILE_H */
