// SPDX-License-Identifier: GPL-2.0
/*
 * Throughput when CPUs work at the same time. Real time, so only ratios between
 * figures of one run mean something.
 */

#include <linux/cpumask.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sched/mm.h>
#include <linux/sizes.h>

#include "bench.h"
#include "null_iommu.h"

#define MOST_CPUS	8
#define TIME_NS		(NSEC_PER_SEC / 2)
/* How often each figure is taken; the best counts, since others may use the machine. */
#define TRIES		5
/* Cold pages for one try. */
#define PAGES		(SZ_128M / PAGE_SIZE)

static struct bench_samples rates;
static atomic_t waiting;
static bool go, stop;

/* What one CPU does. */
struct lane {
	const struct bench_peer *peer;
	int (*work)(struct lane *lane);
	struct device *dev;
	struct bench_space space;
	struct completion done;
	int ret;
	/* Operations in a second. */
	u64 rate;
};

static void make_rate(struct lane *lane, u64 count, u64 begin)
{
	lane->rate = div64_u64(count * NSEC_PER_SEC, max(ktime_get_ns() - begin, 1));
}

static int binds(struct lane *lane)
{
	struct bench_bond bond = { .dev = lane->dev, .mm = lane->space.mm };
	u64 begin = ktime_get_ns(), count = 0;
	int ret = 0;

	while (!ret && ktime_get_ns() - begin < TIME_NS) {
		ret = lane->peer->bind(&bond);
		if (!ret)
			lane->peer->unbind(&bond);
		count++;
	}
	make_rate(lane, count, begin);
	return ret;
}

static int requests(struct lane *lane)
{
	struct bench_bond bond = { .dev = lane->dev, .mm = lane->space.mm };
	unsigned long addr = lane->space.addr, end = addr + lane->space.len;
	u64 begin, count = 0;
	int ret = lane->peer->bind(&bond);

	if (ret)
		return ret;
	begin = ktime_get_ns();
	/* Not one after the other, so that nothing reads ahead. */
	while (!ret && addr < end && ktime_get_ns() - begin < TIME_NS) {
		end -= PAGE_SIZE;
		bench_null_request(lane->dev, lane->peer->pasid(&bond), end, 1);
		ret = bench_null_response(lane->dev) ? -EFAULT : 0;
		count++;
	}
	make_rate(lane, count, begin);
	lane->peer->unbind(&bond);
	return ret;
}

/* Changes other areas of the address space all the time. */
static int remap(struct lane *lane)
{
	unsigned long addr;

	while (!READ_ONCE(stop)) {
		addr = vm_mmap(NULL, 0, SZ_64K, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, 0);
		if (IS_ERR_VALUE(addr))
			return -ENOMEM;
		vm_munmap(addr, SZ_64K);
	}
	return 0;
}

static int run_lane(void *data)
{
	struct lane *lane = data;

	bench_space_enter(&lane->space);
	atomic_dec(&waiting);
	while (!READ_ONCE(go))
		cond_resched();
	lane->ret = lane->work(lane);
	bench_space_leave(&lane->space);
	complete(&lane->done);
	return 0;
}

static int start(struct lane *lane, int cpu)
{
	struct task_struct *task;

	init_completion(&lane->done);
	task = kthread_create(run_lane, lane, "sva_bench/%d", cpu);
	if (IS_ERR(task))
		return PTR_ERR(task);
	kthread_bind(task, cpu);
	wake_up_process(task);
	return 0;
}

/* Runs lanes on CPUs of their own, at once; waits for all but the first @endless ones first. */
static int run(struct lane *lanes, int count, int endless)
{
	int ret = 0, started, i;

	WRITE_ONCE(go, false);
	WRITE_ONCE(stop, false);
	atomic_set(&waiting, count);
	for (started = 0; started < count && !ret; started++)
		ret = start(&lanes[started], started);
	if (ret)
		started--;
	while (!ret && atomic_read(&waiting))
		schedule_timeout_uninterruptible(1);
	WRITE_ONCE(go, true);
	for (i = endless; i < started; i++)
		wait_for_completion(&lanes[i].done);
	WRITE_ONCE(stop, true);
	for (i = 0; i < endless && i < started; i++)
		wait_for_completion(&lanes[i].done);
	for (i = 0; i < started; i++)
		ret = ret ?: lanes[i].ret;
	return ret;
}

/* All lanes do @work, each on its own device, in its own address space. */
static int try_apart(const struct bench_peer *peer, int (*work)(struct lane *), int cpus)
{
	struct lane lanes[MOST_CPUS] = { };
	u64 rate = 0;
	int ret = 0, i;

	for (i = 0; i < cpus && !ret; i++) {
		lanes[i].peer = peer;
		lanes[i].work = work;
		lanes[i].dev = bench_device_make(BENCH_NULL);
		if (IS_ERR(lanes[i].dev)) {
			ret = PTR_ERR(lanes[i].dev);
			lanes[i].dev = NULL;
			break;
		}
		ret = bench_device_init_sva(lanes[i].dev) ?:
		      bench_space_make(&lanes[i].space, PAGES);
	}
	if (!ret)
		ret = run(lanes, cpus, 0);
	for (i = 0; i < cpus; i++) {
		rate += lanes[i].rate;
		if (lanes[i].space.mm)
			bench_space_drop(&lanes[i].space);
		if (lanes[i].dev) {
			bench_device_end_sva(lanes[i].dev);
			bench_device_drop(BENCH_NULL, lanes[i].dev);
		}
	}
	bench_add(&rates, rate);
	return ret;
}

/* Page requests of a device, with another CPU at the same address space if @contended. */
static int try_one(const struct bench_peer *peer, bool contended)
{
	/* The one that changes the address space comes first. */
	struct lane lanes[2] = { { .work = remap }, { .peer = peer, .work = requests } };
	struct device *dev = bench_device_make(BENCH_NULL);
	int ret;

	if (IS_ERR(dev))
		return PTR_ERR(dev);
	lanes[1].dev = dev;
	ret = bench_device_init_sva(dev) ?: bench_space_make(&lanes[1].space, PAGES);
	if (!ret) {
		lanes[0].space = lanes[1].space;
		ret = contended ? run(lanes, 2, 1) : run(lanes + 1, 1, 0);
		bench_space_drop(&lanes[1].space);
	}
	bench_device_end_sva(dev);
	bench_device_drop(BENCH_NULL, dev);
	bench_add(&rates, lanes[1].rate);
	return ret;
}

static void report(const char *row, const struct bench_peer *peer, int cpus)
{
	u64 best = 0;
	int i;

	for (i = 0; i < rates.count; i++)
		best = max(best, rates.value[i]);
	bench_report(row, peer->name, cpus, best, "1/s");
	rates.count = 0;
}

static int measure(const struct bench_peer *peer)
{
	int most = min_t(int, num_online_cpus(), MOST_CPUS);
	int cpus, ret = 0, i;

	for (cpus = 1; cpus <= most; cpus++) {
		for (i = 0; i < TRIES && !ret; i++)
			ret = try_apart(peer, binds, cpus);
		if (ret)
			return ret;
		report("binds on CPUs", peer, cpus);
		for (i = 0; i < TRIES && !ret; i++)
			ret = try_apart(peer, requests, cpus);
		if (ret)
			return ret;
		report("page requests on CPUs", peer, cpus);
	}
	if (most < 2)
		return 0;
	for (i = 0; i < TRIES && !ret; i++)
		ret = try_one(peer, true);
	if (!ret)
		report("page requests during mmap", peer, 0);
	return ret;
}

int bench_parallel(void)
{
	rates.count = 0;
	return measure(&bench_in_tree) ?: measure(&bench_ours);
}
