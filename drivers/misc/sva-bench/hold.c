// SPDX-License-Identifier: GPL-2.0
/*
 * /sys/kernel/debug/sva_bench/hold: a process that has it open is bound to devices, and measures
 * what that costs it. What is written: "bind PEER HARDWARE DEVICES", once, of which HARDWARE is
 * "mock", or "awake", the mock with bonds that never sleep; then as often as it likes "touch
 * ADDRESS": each device reads a word there; "read ADDRESS PAGES", "write ADDRESS PAGES": each goes
 * through so many pages.
 */

#include <linux/debugfs.h>
#include <linux/mock_smmu.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "bench.h"

#define MOST	4

struct held {
	const struct bench_peer *peer;
	unsigned int devices;
	struct bench_bond bond[MOST];
	struct mock_smmu_port *port[MOST];
	/* Protects all of it. */
	struct mutex lock;
};

static int hold_open(struct inode *inode, struct file *file)
{
	struct held *held = kzalloc_obj(*held);

	if (!held)
		return -ENOMEM;
	mutex_init(&held->lock);
	file->private_data = held;
	return 0;
}

/* Releases the last of its devices. */
static void release_one(struct held *held)
{
	unsigned int i = --held->devices;
	struct device *dev = held->bond[i].dev;

	mock_smmu_port_put(held->port[i]);
	held->peer->unbind(&held->bond[i]);
	bench_device_end_sva(dev);
	bench_device_drop(BENCH_MOCK, dev);
}

static int hold_release(struct inode *inode, struct file *file)
{
	struct held *held = file->private_data;

	while (held->devices)
		release_one(held);
	mutex_destroy(&held->lock);
	kfree(held);
	return 0;
}

static int hold_one(struct held *held, bool awake)
{
	struct bench_bond *bond = &held->bond[held->devices];
	struct device *dev = awake ? bench_device_make_awake() : bench_device_make(BENCH_MOCK);
	int ret;

	if (IS_ERR(dev))
		return PTR_ERR(dev);
	ret = bench_device_init_sva(dev);
	if (ret)
		goto drop;
	bond->dev = dev;
	bond->mm = current->mm;
	ret = held->peer->bind(bond);
	if (ret)
		goto end;
	held->port[held->devices] = mock_smmu_port_get(dev);
	ret = PTR_ERR_OR_ZERO(held->port[held->devices]);
	if (ret)
		goto unbind;
	held->devices++;
	return 0;

unbind:
	held->peer->unbind(bond);
end:
	bench_device_end_sva(dev);
drop:
	bench_device_drop(BENCH_MOCK, dev);
	return ret;
}

static int hold_bind(struct held *held, const char *peer, const char *hardware,
		     unsigned int devices)
{
	int ret = 0, i;

	if (held->devices || devices > MOST)
		return -EINVAL;
	for (i = 0; i < ARRAY_SIZE(bench_peers); i++) {
		if (!strcmp(peer, bench_peers[i]->name))
			held->peer = bench_peers[i];
	}
	if (!held->peer)
		return -EINVAL;
	while (!ret && held->devices < devices)
		ret = hold_one(held, !strcmp(hardware, "awake"));
	return ret;
}

static int hold_sweep(struct held *held, unsigned long addr, unsigned long pages, bool write)
{
	unsigned long end = addr + pages * PAGE_SIZE;
	unsigned int i;
	u64 word = 1;
	int ret = 0;

	for (i = 0; i < held->devices; i++) {
		u32 pasid = held->peer->pasid(&held->bond[i]);
		unsigned long at;

		for (at = addr; at < end && !ret; at += PAGE_SIZE) {
			if (write)
				ret = mock_smmu_write(held->port[i], pasid, at, &word,
						      sizeof(word), NULL);
			else
				ret = mock_smmu_read(held->port[i], pasid, at, &word,
						     sizeof(word), NULL);
		}
	}
	return ret;
}

static ssize_t hold_write(struct file *file, const char __user *from, size_t len, loff_t *pos)
{
	struct held *held = file->private_data;
	char words[48] = { }, peer[8], hardware[8];
	unsigned long addr, pages;
	unsigned int devices;
	int ret = -EINVAL;

	if (len >= sizeof(words) || copy_from_user(words, from, len))
		return -EINVAL;
	mutex_lock(&held->lock);
	if (sscanf(words, "bind %7s %7s %u", peer, hardware, &devices) == 3)
		ret = hold_bind(held, peer, hardware, devices);
	else if (sscanf(words, "touch %lx", &addr) == 1)
		ret = hold_sweep(held, addr, 1, false);
	else if (sscanf(words, "read %lx %lu", &addr, &pages) == 2)
		ret = hold_sweep(held, addr, pages, false);
	else if (sscanf(words, "write %lx %lu", &addr, &pages) == 2)
		ret = hold_sweep(held, addr, pages, true);
	mutex_unlock(&held->lock);
	return ret ?: len;
}

const struct file_operations bench_hold_fops = {
	.owner = THIS_MODULE,
	.open = hold_open,
	.write = hold_write,
	.release = hold_release,
};
