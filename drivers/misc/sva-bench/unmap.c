// SPDX-License-Identifier: GPL-2.0
/* What a bond costs a process that unmaps memory. */

#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sizes.h>

#include "bench.h"

/* Unmaps 1 GB that is there, in an address space that @peer has bound, if any. */
static int measure(const char *row, const char *side, const struct bench_peer *peer,
		   struct device *dev)
{
	struct bench_bond bond = { .dev = dev };
	struct bench_space space;
	unsigned long addr;
	u64 begin;
	int ret = bench_space_make(&space, 0);

	if (ret)
		return ret;
	bond.mm = space.mm;
	bench_space_enter(&space);
	if (peer)
		ret = peer->bind(&bond);
	if (ret)
		goto leave;

	addr = vm_mmap(NULL, 0, SZ_1G, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, 0);
	if (IS_ERR_VALUE(addr)) {
		ret = -ENOMEM;
	} else {
		begin = bench_now();
		ret = vm_munmap(addr, SZ_1G);
		bench_report(row, side, 0, bench_now() - begin, "instructions");
	}
	if (peer)
		peer->unbind(&bond);
leave:
	bench_space_leave(&space);
	bench_space_drop(&space);
	return ret;
}

int bench_unmap(void)
{
	static const char row[] = "munmap of 1 GB";
	static const char watched[] = "munmap of 1 GB, exit handler";
	struct device *dev = bench_device_make(BENCH_MOCK);
	int ret;

	if (IS_ERR(dev))
		return PTR_ERR(dev);
	ret = bench_device_init_sva(dev);
	if (!ret) {
		ret = measure(row, "cpu", NULL, dev) ?:
		      measure(row, bench_in_tree.name, &bench_in_tree, dev) ?:
		      measure(row, bench_ours.name, &bench_ours, dev);
		bench_watch_exits(true);
		ret = ret ?: measure(watched, bench_in_tree.name, &bench_in_tree, dev) ?:
		      measure(watched, bench_ours.name, &bench_ours, dev);
		bench_watch_exits(false);
		bench_device_end_sva(dev);
	}
	bench_device_drop(BENCH_MOCK, dev);
	return ret;
}
