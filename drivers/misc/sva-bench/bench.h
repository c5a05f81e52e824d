/* SPDX-License-Identifier: GPL-2.0 */
/* What the parts of the benchmark share. */
#ifndef SVA_BENCH_H
#define SVA_BENCH_H

#include <linux/completion.h>
#include <linux/device.h>
#include <linux/types.h>

#include <linux/sva.h>

/* How often each operation is measured at most. */
#define BENCH_SAMPLES	4096

u64 bench_now(void);

/* Costs of one operation, of which the median counts. */
struct bench_samples {
	unsigned int count;
	u64 value[BENCH_SAMPLES];
};

/* Adds what @statement costs to @samples. */
#define bench_measure(samples, statement)		\
	do {						\
		u64 bench_begin = bench_now();		\
							\
		statement;				\
		bench_add(samples, bench_now() - bench_begin);	\
	} while (0)

void bench_calibrate(void);
void bench_add(struct bench_samples *samples, u64 value);
u64 bench_percentile(struct bench_samples *samples, unsigned int percent);
u64 bench_median(struct bench_samples *samples);
void bench_report(const char *row, const char *side, unsigned long x, u64 value,
		  const char *unit);
void bench_report_median(const char *row, const char *side, unsigned long x,
			 struct bench_samples *samples);

/* A bond of either implementation. */
struct bench_bond {
	struct device *dev;
	struct mm_struct *mm;
	/* The in-tree implementation's. */
	struct iommu_sva *handle;
	/* Ours. */
	struct sva_bond *ours;
};

/* An implementation. */
struct bench_peer {
	const char *name;
	int (*bind)(struct bench_bond *bond);
	void (*unbind)(struct bench_bond *bond);
	u32 (*pasid)(struct bench_bond *bond);
};

void bench_watch_exits(bool watch);

extern const struct bench_peer bench_in_tree, bench_ours;
/* The two above. */
extern const struct bench_peer *const bench_peers[2];

/* An address space that the calling kernel thread can use. */
struct bench_space {
	struct mm_struct *mm;
	unsigned long addr;
	size_t len;
};

int bench_space_make(struct bench_space *space, size_t pages);
void bench_space_drop(struct bench_space *space);
void bench_space_enter(struct bench_space *space);
void bench_space_leave(struct bench_space *space);

/* What serves the devices. */
enum bench_hardware {
	/* The mock SMMU: both its halves. */
	BENCH_MOCK,
	/* An IOMMU that does nothing, so that only the cores cost. */
	BENCH_NULL,
};

/* What the names of rows end with. */
extern const char *const bench_hardware_suffix[2];

bool bench_wants(const struct bench_peer *peer, enum bench_hardware hardware);

int bench_devices_init(void);
void bench_devices_exit(void);
struct device *bench_device_make(enum bench_hardware hardware);
struct device *bench_device_make_awake(void);
void bench_device_drop(enum bench_hardware hardware, struct device *dev);
int bench_device_init_sva(struct device *dev);
void bench_device_end_sva(struct device *dev);

int bench_null_init(void);
void bench_null_exit(void);
struct device *bench_null_device_make(const char *name, int id);
void bench_null_device_drop(struct device *dev);

/* The parts. They run in a kernel thread without an address space. */
int bench_bind(void);
int bench_request(void);
int bench_folios(void);
int bench_pages(void);
int bench_stream(void);
int bench_prefetch(void);
int bench_bonds(void);
int bench_memory(void);
int bench_unmap(void);
int bench_parallel(void);

extern const struct file_operations bench_hold_fops;

#endif /* SVA_BENCH_H */
