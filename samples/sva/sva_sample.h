/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/* A device that counts, in the memory of the process that opened its file. */
#ifndef SVA_SAMPLE_H
#define SVA_SAMPLE_H

#include <linux/ioctl.h>

/*
 * The device adds 1 to the 64-bit word at the address that is the argument. The
 * call returns when that is done. Only the process that opened the file may use it: by
 * the same address others mean other memory.
 *
 * Return: 0; EFAULT if the process itself may not write there; EINVAL if the address
 * is not a multiple of 8; EPERM for another process; ESHUTDOWN if the device is gone;
 * EINTR after a signal.
 */
#define SVA_SAMPLE_COUNT _IO('S', 0)

#endif /* SVA_SAMPLE_H */
