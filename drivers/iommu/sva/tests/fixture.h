/* SPDX-License-Identifier: GPL-2.0 */
/* What the suites share: devices behind the mock SMMU, and address spaces. */
#ifndef SVA_TEST_FIXTURE_H
#define SVA_TEST_FIXTURE_H

#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/mock_smmu.h>
#ifdef SVA_TEST_LINUX_NAMES
#include <linux/sva.h>
#else
#define SVA_SEED_NAMES
#include <linux/sva_seed.h>
#endif

#define SVA_TEST_FLAGS	(IOMMU_SVA_FEAT_PASID | IOMMU_SVA_FEAT_IOPF)

/* What the seed driver knows of its device. */
struct sva_test_device {
	/* How its probe went: 0 if the device is initialised for SVA. */
	int init_error;
	int (*on_exit)(struct device *dev, int pasid, void *drvdata);
};

extern struct platform_driver sva_test_driver, sva_test_dma_driver;
extern struct pci_driver sva_test_pci_driver;
extern struct miscdevice sva_test_pin_file;

/* How often tests of races do what they do: more takes longer, and finds more. */
extern unsigned int sva_test_rounds;

/* An address space without a task of its own; the test's thread uses it. */
struct sva_test_mm {
	struct mm_struct *mm;
	/* Whether the test's thread uses it. */
	bool used;
	unsigned long addr;
	size_t len;
};

struct device *sva_test_device(struct kunit *test, const struct mock_smmu_device *config);
struct device *sva_test_dma_user(struct kunit *test, const struct mock_smmu_device *config);
struct device *sva_test_plain_device(struct kunit *test);

struct sva_test_mm *sva_test_mm(struct kunit *test);
void sva_test_use(struct sva_test_mm *space);
void sva_test_unuse(struct sva_test_mm *space);
void sva_test_renew(struct kunit *test, struct sva_test_mm *space);
void sva_test_mm_exit(struct kunit *test, struct sva_test_mm *space);

int sva_test_watch_exit(struct device *dev,
			int (*on_exit)(struct device *dev, int pasid, void *drvdata));

void sva_test_in_tree_bond(struct kunit *test, struct device *dev, struct sva_test_mm *space,
			   int our_pasid);

int sva_test_dma(struct device *dev, int pasid, unsigned long addr, void *buf, size_t len,
		 bool write);
int sva_test_read(struct device *dev, int pasid, unsigned long addr, u64 *value);
int sva_test_write(struct device *dev, int pasid, unsigned long addr, u64 value);
int sva_test_report(struct device *dev, int pasid, unsigned long addr, u32 perm, bool last);

/* One suite a file. */
extern struct kunit_suite sva_bind_suite;
extern struct kunit_suite sva_count_suite;
extern struct kunit_suite sva_exit_suite;
extern struct kunit_suite sva_group_suite;
extern struct kunit_suite sva_fault_suite;
extern struct kunit_suite sva_pin_suite;
extern struct kunit_suite sva_pin_release_suite;
extern struct kunit_suite sva_reserved_regions_suite;
extern struct kunit_suite sva_reserved_life_suite;
extern struct kunit_suite sva_rid_suite;
extern struct kunit_suite sva_rid_device_suite;
extern struct kunit_suite sva_shutdown_suite;
extern struct kunit_suite sva_pci_suite;
extern struct kunit_suite sva_rid_dma_suite;
extern struct kunit_suite sva_stall_suite;
extern struct kunit_suite sva_stub_suite;
extern struct kunit_suite sva_alloc_suite;
extern struct kunit_suite sva_trace_suite;
extern struct kunit_suite sva_port_suite;
extern struct kunit_suite sva_race_suite;
extern struct kunit_suite sva_race_group_suite;
extern struct kunit_suite sva_race_fault_suite;
extern struct kunit_suite sva_handle_suite;
extern struct kunit_suite sva_rights_suite;
extern struct kunit_suite sva_refusals_suite;
extern struct kunit_suite sva_copy_suite;
extern struct kunit_suite sva_pasid_suite;
extern struct kunit_suite sva_in_tree_fault_suite;
extern struct kunit_suite sva_cost_suite;
extern struct kunit_suite sva_range_suite;
extern struct kunit_suite sva_range_end_suite;
extern struct kunit_suite sva_late_suite;

#endif /* SVA_TEST_FIXTURE_H */
