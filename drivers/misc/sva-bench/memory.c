// SPDX-License-Identifier: GPL-2.0
/* How much memory bonds, address spaces and devices take. */

#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/vmstat.h>

#include "bench.h"

#define DEVICES	1024
#define SPACES	4096

static struct device **device;
static struct bench_space *space;
static struct bench_bond *bond[2];

/* Of all slabs, in bytes; whole pages, so differences must be large. */
static s64 slabs(void)
{
	return ((s64)global_node_page_state_pages(NR_SLAB_RECLAIMABLE_B) +
		global_node_page_state_pages(NR_SLAB_UNRECLAIMABLE_B)) * (s64)PAGE_SIZE;
}

static u64 each(s64 bytes, int count)
{
	return bytes > 0 ? div_u64(bytes, count) : 0;
}

/* Binds all address spaces to a device. What one costs. */
static int bind_all(const struct bench_peer *peer, struct device *dev, struct bench_bond *bonds,
		    u64 *bytes)
{
	s64 before = slabs();
	int i, ret;

	for (i = 0; i < SPACES; i++) {
		bonds[i].dev = dev;
		bonds[i].mm = space[i].mm;
		ret = peer->bind(&bonds[i]);
		if (ret) {
			bonds[i].dev = NULL;
			return ret;
		}
	}
	*bytes = each(slabs() - before, SPACES);
	return 0;
}

static void unbind_all(const struct bench_peer *peer, struct bench_bond *bonds)
{
	int i;

	for (i = 0; i < SPACES; i++) {
		if (bonds[i].dev)
			peer->unbind(&bonds[i]);
		bonds[i].dev = NULL;
	}
}

static int measure(const struct bench_peer *peer)
{
	u64 first, second;
	int ret;

	ret = bind_all(peer, device[0], bond[0], &first);
	if (!ret)
		ret = bind_all(peer, device[1], bond[1], &second);
	if (!ret) {
		/* A process's first bond has what is there once for each process. */
		bench_report("memory of a bond", peer->name, 0, second, "bytes");
		bench_report("memory of a process", peer->name, 0,
			     first > second ? first - second : 0, "bytes");
	}
	unbind_all(peer, bond[1]);
	unbind_all(peer, bond[0]);
	return ret;
}

static int measure_devices(void)
{
	s64 before = slabs();
	int ret = 0, i;

	for (i = 0; i < DEVICES && !ret; i++)
		ret = bench_device_init_sva(device[i]);
	if (ret)
		return ret;
	bench_report("memory of a device", bench_ours.name, 0, each(slabs() - before, DEVICES),
		     "bytes");
	/* It keeps nothing for a device that has no bonds. */
	bench_report("memory of a device", bench_in_tree.name, 0, 0, "bytes");
	return 0;
}

int bench_memory(void)
{
	int ret = -ENOMEM, i;

	device = kvcalloc(DEVICES, sizeof(*device), GFP_KERNEL);
	space = kvcalloc(SPACES, sizeof(*space), GFP_KERNEL);
	for (i = 0; i < ARRAY_SIZE(bond); i++)
		bond[i] = kvcalloc(SPACES, sizeof(*bond[i]), GFP_KERNEL);
	if (!device || !space || !bond[0] || !bond[1])
		goto free;

	for (i = 0; i < DEVICES; i++) {
		device[i] = bench_device_make(BENCH_NULL);
		if (IS_ERR(device[i])) {
			ret = PTR_ERR(device[i]);
			device[i] = NULL;
			goto drop;
		}
	}
	for (i = 0; i < SPACES; i++) {
		ret = bench_space_make(&space[i], 1);
		if (ret)
			goto drop;
	}
	ret = measure_devices();
	for (i = 0; i < ARRAY_SIZE(bench_peers) && !ret; i++)
		ret = measure(bench_peers[i]);

drop:
	for (i = 0; i < SPACES && space[i].mm; i++)
		bench_space_drop(&space[i]);
	for (i = 0; i < DEVICES && device[i]; i++) {
		bench_device_end_sva(device[i]);
		bench_device_drop(BENCH_NULL, device[i]);
	}
free:
	for (i = 0; i < ARRAY_SIZE(bond); i++)
		kvfree(bond[i]);
	kvfree(space);
	kvfree(device);
	return ret;
}
