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
#define TIME_NS		(NSEC_PER_SEC / 8)
#define TRIES		8
/* Cold pages for one try. */
#define PAGES		(SZ_64M / PAGE_SIZE)
/* Operations between two looks at the clock: QEMU has one lock for all CPUs that read it. */
#define STRETCH		64

/*
 * What stretches took in which all lanes got on. Others may use the machine, and take a
 * CPU away from the guest for a while; so the fast ones count.
 */
#define PERCENT		2
static struct bench_samples stretches[MOST_CPUS];
static atomic_t waiting;
static bool go, stop;

/* What one CPU does. On a cache line of its own, since the others look at it. */
struct lane {
	const struct bench_peer *peer;
	int (*work)(struct lane *lane);
	struct device *dev;
	struct bench_space space;
	struct completion done;
	int ret;
	/* Operations so far, and those of each lane when the stretch began. */
	unsigned long count, seen[MOST_CPUS];
	u64 end, begin;
} ____cacheline_aligned_in_smp;

static struct lane lanes[MOST_CPUS];
/* How many of them run. */
static int lane_count;

/* Whether all others have done half as much, or more, since it was last asked. */
static bool others_worked(struct lane *lane)
{
	unsigned long count;
	bool all = true;
	int i;

	for (i = 0; i < lane_count; i++) {
		if (&lanes[i] == lane)
			continue;
		count = READ_ONCE(lanes[i].count);
		all &= count - lane->seen[i] >= STRETCH / 2;
		lane->seen[i] = count;
	}
	return all;
}

static void begin(struct lane *lane)
{
	others_worked(lane);
	lane->begin = ktime_get_ns();
	lane->end = lane->begin + TIME_NS;
}

/* After an operation: whether to go on. */
static bool go_on(struct lane *lane)
{
	u64 now;

	WRITE_ONCE(lane->count, lane->count + 1);
	if (lane->count % STRETCH)
		return true;
	now = ktime_get_ns();
	if (others_worked(lane))
		bench_add(&stretches[lane - lanes], now - lane->begin);
	lane->begin = now;
	return now < lane->end;
}

static int binds(struct lane *lane)
{
	struct bench_bond bond = { .dev = lane->dev, .mm = lane->space.mm };
	int ret;

	begin(lane);
	do {
		ret = lane->peer->bind(&bond);
		if (!ret)
			lane->peer->unbind(&bond);
	} while (!ret && go_on(lane));
	return ret;
}

static int requests(struct lane *lane)
{
	struct bench_bond bond = { .dev = lane->dev, .mm = lane->space.mm };
	unsigned long addr = lane->space.addr + lane->space.len;
	int ret = lane->peer->bind(&bond);
	struct iopf_fault fault;
	u32 pasid;

	if (ret)
		return ret;
	pasid = lane->peer->pasid(&bond);
	begin(lane);
	/* Not one after the other, so that nothing reads ahead. */
	do {
		addr -= PAGE_SIZE;
		fault = bench_null_fault(pasid, addr);
		bench_null_report(lane->dev, &fault, 1);
		ret = bench_null_response(lane->dev) ? -EFAULT : 0;
	} while (!ret && addr > lane->space.addr && go_on(lane));
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
		WRITE_ONCE(lane->count, lane->count + 1);
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
static int run(int count, int endless)
{
	int ret = 0, started, i;

	lane_count = count;
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
	int ret = 0, i;

	for (i = 0; i < cpus; i++)
		lanes[i] = (struct lane) { .peer = peer, .work = work };
	for (i = 0; i < cpus && !ret; i++) {
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
		ret = run(cpus, 0);
	for (i = 0; i < cpus; i++) {
		if (lanes[i].space.mm)
			bench_space_drop(&lanes[i].space);
		if (lanes[i].dev) {
			bench_device_end_sva(lanes[i].dev);
			bench_device_drop(BENCH_NULL, lanes[i].dev);
		}
	}
	return ret;
}

/* Page requests of a device, while another CPU changes the address space. */
static int try_contended(const struct bench_peer *peer)
{
	struct device *dev = bench_device_make(BENCH_NULL);
	int ret;

	if (IS_ERR(dev))
		return PTR_ERR(dev);
	lanes[0] = (struct lane) { .work = remap };
	lanes[1] = (struct lane) { .peer = peer, .work = requests, .dev = dev };
	ret = bench_device_init_sva(dev) ?: bench_space_make(&lanes[1].space, PAGES);
	if (!ret) {
		lanes[0].space = lanes[1].space;
		ret = run(2, 1);
		bench_space_drop(&lanes[1].space);
	}
	bench_device_end_sva(dev);
	bench_device_drop(BENCH_NULL, dev);
	return ret;
}

/* What the lanes did in a second. */
static void report(const char *row, const struct bench_peer *peer, int cpus)
{
	u64 time, rate = 0;
	int i;

	for (i = 0; i < MOST_CPUS; i++) {
		time = bench_percentile(&stretches[i], PERCENT);
		if (time)
			rate += div64_u64(STRETCH * NSEC_PER_SEC, time);
		stretches[i].count = 0;
	}
	bench_report(row, peer->name, cpus, rate, "1/s");
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
		ret = try_contended(peer);
	if (!ret)
		report("page requests during mmap", peer, 0);
	return ret;
}

int bench_parallel(void)
{
	return measure(&bench_in_tree) ?: measure(&bench_ours);
}
