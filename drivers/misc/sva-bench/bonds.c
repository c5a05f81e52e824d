// SPDX-License-Identifier: GPL-2.0
/* What operations cost when there are many bonds: a grid of devices and address spaces. */

#include <linux/slab.h>

#include "bench.h"
#include "null_iommu.h"

#define CYCLES	21

/* How many devices and address spaces: the product is about a power of ten. */
static const struct {
	unsigned long bonds;
	int devices;
	int spaces;
} steps[] = {
	{ 1, 1, 1 },
	{ 10, 3, 4 },
	{ 100, 10, 10 },
	{ 1000, 32, 32 },
	{ 10000, 100, 100 },
	{ 100000, 316, 317 },
};

struct grid {
	const struct bench_peer *peer;
	int devices, spaces;
	/* One more than the grid has. */
	struct device **device;
	struct bench_space *space;
	/* Of each device with each address space. */
	struct bench_bond *bond;
};

static struct bench_samples first, again, undo, request, last;

static struct bench_bond *bond_at(struct grid *grid, int device, int space)
{
	return &grid->bond[device * steps[ARRAY_SIZE(steps) - 1].spaces + space];
}

static int bind_at(struct grid *grid, int device, int space)
{
	struct bench_bond *bond = bond_at(grid, device, space);

	bond->dev = grid->device[device];
	bond->mm = grid->space[space].mm;
	return grid->peer->bind(bond);
}

static int add_device(struct grid *grid, int number)
{
	struct device *dev = bench_device_make(BENCH_NULL);

	if (IS_ERR(dev))
		return PTR_ERR(dev);
	grid->device[number] = dev;
	return bench_device_init_sva(dev);
}

/* Makes what is missing of @devices by @spaces bonds. */
static int grow(struct grid *grid, int devices, int spaces)
{
	int ret = 0, d, s;

	/* There is one device more than have bonds. */
	for (d = grid->devices + 1; d <= devices && !ret; d++)
		ret = add_device(grid, d);
	for (s = grid->spaces; s < spaces && !ret; s++)
		ret = bench_space_make(&grid->space[s], 16);
	for (d = 0; d < devices && !ret; d++) {
		for (s = d < grid->devices ? grid->spaces : 0; s < spaces && !ret; s++)
			ret = bind_at(grid, d, s);
	}
	grid->devices = devices;
	grid->spaces = spaces;
	return ret;
}

/* Measures operations of one bond that comes to those that there are. */
static int cycle(struct grid *grid, struct device *dev, struct bench_space *space,
		 unsigned long addr)
{
	const struct bench_peer *peer = grid->peer;
	struct bench_bond bond = { .dev = dev, .mm = space->mm };
	int ret;

	bench_space_enter(space);
	bench_measure(&first, ret = peer->bind(&bond));
	if (!ret) {
		bench_measure(&again, ret = peer->bind(&bond));
		if (!ret)
			bench_measure(&undo, peer->unbind(&bond));
		bench_add(&request, bench_null_request(dev, peer->pasid(&bond), addr, 1));
		if (bench_null_response(dev))
			ret = -EFAULT;
		bench_measure(&last, peer->unbind(&bond));
	}
	bench_space_leave(space);
	return ret;
}

static void report(struct grid *grid, const char *what, unsigned long bonds)
{
	static const struct {
		const char *name;
		struct bench_samples *samples;
	} rows[] = {
		{ "first bind", &first },
		{ "last unbind", &last },
		{ "repeated bind", &again },
		{ "its unbind", &undo },
		{ "single cold page", &request },
	};
	char name[64];
	int i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		snprintf(name, sizeof(name), "bonds: %s, %s", rows[i].name, what);
		bench_report_median(name, grid->peer->name, bonds, rows[i].samples);
		rows[i].samples->count = 0;
	}
}

static int measure(struct grid *grid, unsigned long bonds)
{
	/* In the middle of what was bound. */
	struct bench_space *space = &grid->space[grid->spaces / 2], new;
	struct device *dev = grid->device[grid->devices / 2];
	struct device *another = grid->device[grid->devices];
	int ret = 0, i;

	for (i = 0; i < CYCLES && !ret; i++) {
		ret = bench_space_make(&new, 2);
		if (ret)
			break;
		ret = cycle(grid, dev, &new, new.addr);
		bench_space_drop(&new);
	}
	if (ret)
		return ret;
	report(grid, "new process", bonds);

	for (i = 0; i < CYCLES && !ret; i++)
		ret = cycle(grid, another, space, space->addr + PAGE_SIZE);
	if (ret)
		return ret;
	report(grid, "new device", bonds);
	return 0;
}

static void drop(struct grid *grid)
{
	int d, s;

	for (d = 0; d < grid->devices; d++) {
		for (s = 0; s < grid->spaces; s++) {
			if (bond_at(grid, d, s)->dev)
				grid->peer->unbind(bond_at(grid, d, s));
		}
	}
	for (d = 0; d <= grid->devices; d++) {
		if (!grid->device[d])
			continue;
		bench_device_end_sva(grid->device[d]);
		bench_device_drop(BENCH_NULL, grid->device[d]);
	}
	for (s = 0; s < grid->spaces; s++) {
		if (grid->space[s].mm)
			bench_space_drop(&grid->space[s]);
	}
}

static int measure_peer(const struct bench_peer *peer)
{
	int devices = steps[ARRAY_SIZE(steps) - 1].devices;
	int spaces = steps[ARRAY_SIZE(steps) - 1].spaces;
	struct grid grid = { .peer = peer };
	int ret = -ENOMEM, i;

	grid.device = kvcalloc(devices + 1, sizeof(*grid.device), GFP_KERNEL);
	grid.space = kvcalloc(spaces, sizeof(*grid.space), GFP_KERNEL);
	grid.bond = kvcalloc(devices * spaces, sizeof(*grid.bond), GFP_KERNEL);
	if (!grid.device || !grid.space || !grid.bond)
		goto free;
	ret = add_device(&grid, 0);
	for (i = 0; i < ARRAY_SIZE(steps) && !ret; i++) {
		ret = grow(&grid, steps[i].devices, steps[i].spaces);
		if (!ret)
			ret = measure(&grid, steps[i].bonds);
	}
	drop(&grid);
free:
	kvfree(grid.bond);
	kvfree(grid.space);
	kvfree(grid.device);
	return ret;
}

int bench_bonds(void)
{
	return measure_peer(&bench_in_tree) ?: measure_peer(&bench_ours);
}
