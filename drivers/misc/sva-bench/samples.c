// SPDX-License-Identifier: GPL-2.0
/* The clock, medians, and the lines that tell of them. */

#include <linux/math64.h>
#include <linux/printk.h>
#include <linux/sort.h>

#include "bench.h"

/* What measuring nothing costs. */
static u64 nothing;

/**
 * bench_now() - the counter that all CPUs share
 *
 * In a guest whose clock counts instructions, the instructions so far. Never inlined: a profiler
 * sees by its calls what is measured (scripts/profile-report).
 */
noinline u64 bench_now(void)
{
	u64 now;

	isb();
	now = read_sysreg(cntvct_el0);
	isb();
	return now;
}

static int compare(const void *a, const void *b)
{
	u64 left = *(const u64 *)a, right = *(const u64 *)b;

	return left < right ? -1 : left > right;
}

void bench_add(struct bench_samples *samples, u64 value)
{
	if (samples->count < BENCH_SAMPLES)
		samples->value[samples->count++] = value;
}

/* The value below which @percent of @samples lie, without what measuring costs. */
u64 bench_percentile(struct bench_samples *samples, unsigned int percent)
{
	u64 value;

	if (!samples->count)
		return 0;
	sort(samples->value, samples->count, sizeof(*samples->value), compare, NULL);
	value = samples->value[samples->count * percent / 100];
	return value > nothing ? value - nothing : 0;
}

u64 bench_median(struct bench_samples *samples)
{
	return bench_percentile(samples, 50);
}

void bench_calibrate(void)
{
	static struct bench_samples samples;
	int i;

	samples.count = 0;
	nothing = 0;
	for (i = 0; i < 101; i++)
		bench_measure(&samples, barrier());
	nothing = bench_median(&samples);
}

/* One line for the host: what @row costs on @side, at @x of what the row varies (or 0). */
void bench_report(const char *row, const char *side, unsigned long x, u64 value,
		  const char *unit)
{
	pr_info("bench: %s | %s | %lu | %llu | %s\n", row, side, x, value, unit);
}

void bench_report_median(const char *row, const char *side, unsigned long x,
			 struct bench_samples *samples)
{
	bench_report(row, side, x, bench_median(samples), "instructions");
}
