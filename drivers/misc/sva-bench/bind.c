// SPDX-License-Identifier: GPL-2.0
/* Bind and unbind. */

#include <linux/mm.h>
#include <linux/mman.h>

#include "bench.h"

#define CYCLES		101
/* A process with many mappings. */
#define MAPPINGS	2000
#define FEW_CYCLES	5

static struct bench_samples first, again, undo, last;

/* Binds twice and unbinds twice, in a new address space. */
static int cycle(const struct bench_peer *peer, struct device *dev)
{
	struct bench_bond bond = { .dev = dev };
	struct bench_space space;
	int ret = bench_space_make(&space, 1);

	if (ret)
		return ret;
	bond.mm = space.mm;
	/* As a driver does on behalf of the process. */
	bench_space_enter(&space);
	bench_measure(&first, ret = peer->bind(&bond));
	if (!ret) {
		bench_measure(&again, ret = peer->bind(&bond));
		if (!ret)
			bench_measure(&undo, peer->unbind(&bond));
		bench_measure(&last, peer->unbind(&bond));
	}
	bench_space_leave(&space);
	bench_space_drop(&space);
	return ret;
}

static void report(const char *row, enum bench_hardware hardware, bool watched,
		   const struct bench_peer *peer, struct bench_samples *samples)
{
	char name[64];

	snprintf(name, sizeof(name), "%s%s%s", row, watched ? ", exit handler" : "",
		 bench_hardware_suffix[hardware]);
	bench_report_median(name, peer->name, 0, samples);
}

/* Both implementations on the same device; ours also with a handler for exits. */
static int measure(enum bench_hardware hardware, struct device *dev, bool watched)
{
	int ret, p, i;

	for (p = 0; p < ARRAY_SIZE(bench_peers); p++) {
		const struct bench_peer *peer = bench_peers[p];

		if (!bench_wants(peer, hardware))
			continue;
		first.count = 0;
		again.count = 0;
		undo.count = 0;
		last.count = 0;
		for (i = 0; i < CYCLES; i++) {
			ret = cycle(peer, dev);
			if (ret)
				return ret;
		}
		report("first bind", hardware, watched, peer, &first);
		report("last unbind", hardware, watched, peer, &last);
		report("repeated bind", hardware, watched, peer, &again);
		report("its unbind", hardware, watched, peer, &undo);
	}
	return 0;
}

/* The first bind in an address space with many mappings, none of which can be one with its next. */
static int cycle_many(const struct bench_peer *peer, struct device *dev)
{
	struct bench_bond bond = { .dev = dev };
	struct bench_space space;
	int ret = bench_space_make(&space, 0), i;

	if (ret)
		return ret;
	bond.mm = space.mm;
	bench_space_enter(&space);
	for (i = 0; i < MAPPINGS && !ret; i++) {
		unsigned long prot = i % 2 ? PROT_READ : PROT_READ | PROT_WRITE;
		unsigned long addr = vm_mmap(NULL, 0, PAGE_SIZE, prot,
					     MAP_PRIVATE | MAP_ANONYMOUS, 0);

		ret = IS_ERR_VALUE(addr) ? (int)addr : 0;
	}
	if (!ret) {
		bench_measure(&first, ret = peer->bind(&bond));
		if (!ret)
			peer->unbind(&bond);
	}
	bench_space_leave(&space);
	bench_space_drop(&space);
	return ret;
}

static int measure_many(enum bench_hardware hardware, struct device *dev)
{
	int ret, p, i;

	for (p = 0; p < ARRAY_SIZE(bench_peers); p++) {
		if (!bench_wants(bench_peers[p], hardware))
			continue;
		first.count = 0;
		for (i = 0; i < FEW_CYCLES; i++) {
			ret = cycle_many(bench_peers[p], dev);
			if (ret)
				return ret;
		}
		report("first bind, 2000 mappings", hardware, false, bench_peers[p], &first);
	}
	return 0;
}

static int measure_on(enum bench_hardware hardware)
{
	struct device *dev = bench_device_make(hardware);
	int ret;

	if (IS_ERR(dev))
		return PTR_ERR(dev);
	ret = bench_device_init_sva(dev);
	if (!ret) {
		ret = measure(hardware, dev, false) ?: measure_many(hardware, dev);
		if (!ret) {
			bench_watch_exits(true);
			ret = measure(hardware, dev, true);
			bench_watch_exits(false);
		}
		bench_device_end_sva(dev);
	}
	bench_device_drop(hardware, dev);
	return ret;
}

int bench_bind(void)
{
	return measure_on(BENCH_MOCK) ?: measure_on(BENCH_NULL);
}
