// SPDX-License-Identifier: GPL-2.0
/* Page requests: single ones, groups, and streams. */

#include <linux/mm.h>
#include <linux/mock_smmu.h>
#include <linux/slab.h>

#include "bench.h"
#include "null_iommu.h"

#define SINGLE	301
#define GROUPS	31
#define GROUP	64
#define STREAM	4096
/* The largest group of the curve. */
#define LARGEST	512

static struct bench_samples samples;

/* A device, bound to an address space that the calling thread uses. */
struct bound {
	enum bench_hardware hardware;
	const struct bench_peer *peer;
	struct bench_space space;
	struct bench_bond bond;
	struct mock_smmu_port *port;
	u32 pasid;
};

static void unbind(struct bound *bound)
{
	struct device *dev = bound->bond.dev;

	if (bound->port)
		mock_smmu_port_put(bound->port);
	bound->peer->unbind(&bound->bond);
	bench_space_leave(&bound->space);
	bench_space_drop(&bound->space);
	bench_device_end_sva(dev);
	bench_device_drop(bound->hardware, dev);
}

static int bind(struct bound *bound, enum bench_hardware hardware,
		const struct bench_peer *peer, size_t pages)
{
	struct device *dev = bench_device_make(hardware);
	int ret;

	if (IS_ERR(dev))
		return PTR_ERR(dev);
	*bound = (struct bound) { .hardware = hardware, .peer = peer, .bond.dev = dev };
	ret = bench_device_init_sva(dev);
	if (ret)
		goto drop_device;
	ret = bench_space_make(&bound->space, pages);
	if (ret)
		goto end_sva;
	bench_space_enter(&bound->space);
	bound->bond.mm = bound->space.mm;
	ret = peer->bind(&bound->bond);
	if (ret)
		goto drop_space;
	bound->pasid = peer->pasid(&bound->bond);
	if (hardware == BENCH_NULL)
		return 0;
	bound->port = mock_smmu_port_get(dev);
	if (!IS_ERR(bound->port))
		return 0;
	ret = PTR_ERR(bound->port);
	peer->unbind(&bound->bond);

drop_space:
	bench_space_leave(&bound->space);
	bench_space_drop(&bound->space);
end_sva:
	bench_device_end_sva(dev);
drop_device:
	bench_device_drop(hardware, dev);
	return ret;
}

/* Has the device ask for @pages pages at page @at of its address space. */
static __always_inline int ask(struct bound *bound, size_t at, size_t pages)
{
	unsigned long addr = bound->space.addr + at * PAGE_SIZE;
	struct device *dev = bound->bond.dev;
	int ret;

	if (bound->hardware == BENCH_MOCK) {
		bench_measure(&samples, ret = mock_smmu_prefetch(bound->port, bound->pasid, addr,
								 pages * PAGE_SIZE, true));
		return ret;
	}
	bench_add(&samples, bench_null_request(dev, bound->pasid, addr, pages));
	return bench_null_response(dev) ? -EFAULT : 0;
}

static void report(const char *row, struct bound *bound, size_t pages)
{
	char name[64];

	snprintf(name, sizeof(name), "%s%s", row, bench_hardware_suffix[bound->hardware]);
	bench_report(name, bound->peer->name, 0, div_u64(bench_median(&samples), pages),
		     "instructions");
}

/*
 * Has the device ask @times times for @pages pages, from page @at down, so that nothing
 * reads ahead.
 */
static __always_inline int ask_down(struct bound *bound, size_t at, int times, size_t pages)
{
	int ret;

	for (samples.count = 0; times; times--) {
		at -= 2 * pages;
		ret = ask(bound, at, pages);
		if (ret)
			return ret;
	}
	return 0;
}

/* Each row is a function of its own, so that a profile tells them apart. */

static noinline int measure_single(struct bound *bound, size_t at)
{
	int ret = ask_down(bound, at, SINGLE, 1);

	if (!ret)
		report("single cold page", bound, 1);
	return ret;
}

/* The same pages once more. */
static noinline int measure_spurious(struct bound *bound, size_t at)
{
	int ret = ask_down(bound, at, SINGLE, 1);

	if (!ret)
		bench_report_median("spurious request", bound->peer->name, 0, &samples);
	return ret;
}

static noinline int measure_group(struct bound *bound, size_t at, const char *row)
{
	int ret = ask_down(bound, at, GROUPS, GROUP);

	if (!ret)
		report(row, bound, GROUP);
	return ret;
}

static int measure(struct bound *bound)
{
	size_t pages = bound->space.len / PAGE_SIZE;
	int ret = measure_single(bound, pages);

	/* No device asks for a page that it sees. */
	if (!ret && bound->hardware == BENCH_NULL)
		ret = measure_spurious(bound, pages);
	return ret ?: measure_group(bound, pages - 2 * SINGLE, "group of 64");
}

static int each_peer(enum bench_hardware hardware, size_t pages, int (*work)(struct bound *bound))
{
	struct bound bound;
	int ret, i;

	for (i = 0; i < ARRAY_SIZE(bench_peers); i++) {
		if (!bench_wants(bench_peers[i], hardware))
			continue;
		ret = bind(&bound, hardware, bench_peers[i], pages);
		if (ret)
			return ret;
		ret = work(&bound);
		unbind(&bound);
		if (ret)
			return ret;
	}
	return 0;
}

int bench_request(void)
{
	size_t pages = 2 * SINGLE + 2 * GROUPS * GROUP + GROUP;

	return each_peer(BENCH_MOCK, pages, measure) ?: each_peer(BENCH_NULL, pages, measure);
}

/* The caller has allowed processes folios of that size. */
static int measure_folios(struct bound *bound)
{
	return measure_group(bound, bound->space.len / PAGE_SIZE, "group of 64, 64 kB folios");
}

int bench_folios(void)
{
	return each_peer(BENCH_NULL, 2 * GROUPS * GROUP + GROUP, measure_folios);
}

static int measure_sizes(struct bound *bound)
{
	size_t at = bound->space.len / PAGE_SIZE, pages;
	int ret;

	for (pages = 1; pages <= LARGEST; pages *= 2) {
		ret = ask_down(bound, at, GROUPS, pages);
		if (ret)
			return ret;
		at -= GROUPS * 2 * pages;
		bench_report_median("pages in a request", bound->peer->name, pages, &samples);
	}
	return 0;
}

int bench_pages(void)
{
	return each_peer(BENCH_NULL, 4 * GROUPS * LARGEST, measure_sizes);
}

/* What the CPU's own is to: the driver knows what its device will use. */
static int measure_prefetch(struct bound *bound)
{
	u64 begin, value;
	ssize_t there;

	if (bound->peer != &bench_ours)
		return 0;
	begin = bench_now();
	there = sva_prefetch(bound->bond.ours, bound->space.addr, bound->space.len, true);
	value = div_u64(bench_now() - begin, STREAM);
	if (there != STREAM)
		return there < 0 ? there : -EAGAIN;
	bench_report(bound->hardware == BENCH_NULL ? "prefetch of 4096" : "prefetch",
		     bound->peer->name, 0, value, "instructions");
	return 0;
}

int bench_prefetch(void)
{
	return each_peer(BENCH_NULL, STREAM, measure_prefetch) ?:
	       each_peer(BENCH_MOCK, STREAM, measure_prefetch);
}

/* Whether a device would find the page. */
static bool present(unsigned long addr)
{
	struct page *page;

	if (get_user_pages_fast_only(addr, 1, FOLL_WRITE, &page) != 1)
		return false;
	put_page(page);
	return true;
}

/* A device goes through its address space once. */
static int sweep(struct bound *bound)
{
	unsigned long addr = bound->space.addr, end = addr + bound->space.len, requests = 0;
	char name[64];
	struct iopf_fault fault;
	u64 begin, value = 1;
	int ret = 0;

	begin = bench_now();
	for (; addr < end && !ret; addr += PAGE_SIZE) {
		if (bound->hardware == BENCH_MOCK) {
			ret = mock_smmu_write(bound->port, bound->pasid, addr, &value,
					      sizeof(value), NULL);
		} else if (!present(addr)) {
			fault = bench_null_fault(bound->pasid, addr);
			bench_null_report(bound->bond.dev, &fault, 1);
			ret = bench_null_response(bound->bond.dev) ? -EFAULT : 0;
			requests++;
		}
	}
	value = div_u64(bench_now() - begin, STREAM);
	if (ret)
		return ret;
	snprintf(name, sizeof(name), "stream of 4096%s", bench_hardware_suffix[bound->hardware]);
	bench_report(name, bound->peer->name, 0, value, "instructions");
	if (bound->hardware == BENCH_NULL)
		bench_report("stream of 4096, page requests, null hardware", bound->peer->name, 0,
			     requests, "requests");
	return 0;
}

int bench_stream(void)
{
	return each_peer(BENCH_MOCK, STREAM, sweep) ?: each_peer(BENCH_NULL, STREAM, sweep);
}
