// SPDX-License-Identifier: GPL-2.0
/*
 * What the mock's driver writes into stream table entries and context descriptors,
 * beside what the kernel's driver for SMMUv3 would write for the same devices and
 * address spaces.
 *
 * Where tables are, and how large, each driver chooses by itself: that is taken from
 * the entry at hand. All other bits are to be the same, but for what is named where
 * it is compared, and in Documentation/smmuv3.rst.
 */

#include <kunit/test.h>
#include <linux/io-pgtable.h>
#include <linux/iommu.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mock_smmu.h>
#include <linux/platform_device.h>
#include <linux/sched/mm.h>

#include "arm-smmu-v3.h"

/* TBI0: a device may use the pointers with tags that the process has. */
#define CD_0_TBI0	BIT_ULL(38)

struct kind {
	const char *name;
	struct mock_smmu_device device;
	/* The DMA API maps memory for it. */
	bool paging;
};

static const struct kind kinds[] = {
	{ "ats", { .pasid_bits = 16, .ats = true } },
	{ "ats, few pasids", { .pasid_bits = 8, .ats = true } },
	{ "ats, many pasids", { .pasid_bits = 20, .ats = true } },
	{ "stall", { .pasid_bits = 16, .stall = true } },
	{ "ats, paging", { .pasid_bits = 16, .ats = true, .translated = true }, true },
	{ "stall, paging", { .pasid_bits = 16, .stall = true, .translated = true }, true },
};

static void kind_name(const struct kind *kind, char *name)
{
	strscpy(name, kind->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(kind, kinds, kind_name);

/* A device of that kind, what in-tree code needs to know of it, and a process. */
struct bytes {
	struct device *dev;
	struct mock_smmu_port *port;
	struct mm_struct *mm;
	struct iommu_sva *bond;
	struct arm_smmu_device smmu;
	struct arm_smmu_master master;
};

static int bytes_probe(struct platform_device *pdev)
{
	return 0;
}

static struct platform_driver bytes_driver = {
	.probe = bytes_probe,
	.driver.name = "smmu_bytes",
};

static void unplug(void *dev)
{
	mock_smmu_device_destroy(dev);
}

static void put_port(void *port)
{
	mock_smmu_port_put(port);
}

static void put_mm(void *mm)
{
	mmput(mm);
}

static void unbind(void *data)
{
	struct bytes *bytes = data;

	if (bytes->bond)
		iommu_sva_unbind_device(bytes->bond);
}

static struct bytes *bytes_of(struct kunit *test, const struct kind *kind)
{
	struct bytes *bytes = kunit_kzalloc(test, sizeof(*bytes), GFP_KERNEL);
	struct mock_smmu_device config = kind->device;

	KUNIT_ASSERT_NOT_NULL(test, bytes);
	config.name = "smmu_bytes";
	/* That driver's descriptors never sleep. */
	config.awake = true;
	bytes->dev = mock_smmu_device_create(&config);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, bytes->dev);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, unplug, bytes->dev));
	bytes->port = mock_smmu_port_get(bytes->dev);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, bytes->port);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, put_port, bytes->port));

	bytes->mm = mm_alloc();
	KUNIT_ASSERT_NOT_NULL(test, bytes->mm);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, put_mm, bytes->mm));

	/* What the mock has. */
	bytes->smmu.features = ARM_SMMU_FEAT_STALLS | ARM_SMMU_FEAT_HA | ARM_SMMU_FEAT_HD |
			       ARM_SMMU_FEAT_HAFT;
	bytes->master.smmu = &bytes->smmu;
	bytes->master.dev = bytes->dev;
	bytes->master.ats_enabled = !kind->device.stall;
	bytes->master.stall_enabled = kind->device.stall;
	return bytes;
}

static u32 bound(struct kunit *test, struct bytes *bytes)
{
	kthread_use_mm(bytes->mm);
	bytes->bond = iommu_sva_bind_device(bytes->dev, bytes->mm);
	kthread_unuse_mm(bytes->mm);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, bytes->bond);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, unbind, bytes));
	return iommu_sva_get_pasid(bytes->bond);
}

static void expect_same(struct kunit *test, const u64 *ours, const __le64 *theirs)
{
	int i;

	for (i = 0; i < 8; i++)
		KUNIT_EXPECT_EQ_MSG(test, le64_to_cpu(theirs[i]), ours[i], "word %d", i);
}

static u16 asid_of(const u64 *cd)
{
	return FIELD_GET(CTXDESC_CD_0_ASID, cd[0]);
}

static void ste_of_a_bound_device(struct kunit *test)
{
	const struct kind *kind = test->param_value;
	struct bytes *bytes = bytes_of(test, test->param_value);
	struct arm_smmu_ctx_desc_cfg *table = &bytes->master.cd_table;
	struct arm_smmu_ste ste;
	u64 ours[8];

	bound(test, bytes);
	KUNIT_ASSERT_EQ(test, 0, mock_smmu_entry(bytes->port, MOCK_SMMU_NO_SSID, ours));
	table->cdtab_dma = ours[0] & STRTAB_STE_0_S1CTXPTR_MASK;
	table->s1fmt = FIELD_GET(STRTAB_STE_0_S1FMT, ours[0]);
	table->s1cdmax = FIELD_GET(STRTAB_STE_0_S1CDMAX, ours[0]);
	arm_smmu_make_cdtable_ste(&ste, &bytes->master, bytes->master.ats_enabled,
				  kind->paging ? STRTAB_STE_1_S1DSS_SSID0 :
				  STRTAB_STE_1_S1DSS_BYPASS);
	expect_same(test, ours, ste.data);
}

static void cd_of_a_process(struct kunit *test)
{
	struct bytes *bytes = bytes_of(test, test->param_value);
	u32 pasid = bound(test, bytes);
	struct arm_smmu_cd cd;
	u64 ours[8];

	KUNIT_ASSERT_EQ(test, 0, mock_smmu_entry(bytes->port, pasid, ours));
	arm_smmu_make_sva_cd(&cd, &bytes->master, bytes->mm, asid_of(ours));
	KUNIT_EXPECT_TRUE(test, ours[0] & CD_0_TBI0);
	ours[0] &= ~CD_0_TBI0;
	expect_same(test, ours, cd.data);
}

/* Each access of the device ends at once, and no event tells of it. */
static void cd_after_the_exit(struct kunit *test)
{
	struct bytes *bytes = bytes_of(test, test->param_value);
	u32 pasid = bound(test, bytes);
	struct arm_smmu_cd cd;
	u64 ours[8];

	/* The last user goes. */
	kunit_remove_action(test, put_mm, bytes->mm);
	mmput(bytes->mm);
	KUNIT_ASSERT_EQ(test, 0, mock_smmu_entry(bytes->port, pasid, ours));
	arm_smmu_make_sva_cd(&cd, &bytes->master, NULL, asid_of(ours));
	expect_same(test, ours, cd.data);
}

static void cd_of_the_dma_api(struct kunit *test)
{
	const struct kind *kind = test->param_value;
	struct io_pgtable_cfg cfg = {
		.pgsize_bitmap = PAGE_SIZE,
		.ias = 48,
		.coherent_walk = true,
	};
	struct bytes *bytes;
	struct arm_smmu_domain domain = {};
	struct arm_smmu_cd cd;
	u64 ours[8];

	if (!kind->paging)
		kunit_skip(test, "the DMA API gives this device physical addresses");
	bytes = bytes_of(test, kind);
	KUNIT_ASSERT_EQ(test, 0, mock_smmu_entry(bytes->port, 0, ours));
	cfg.oas = 48;
	cfg.iommu_dev = bytes->dev;
	domain.pgtbl_ops = alloc_io_pgtable_ops(ARM_64_LPAE_S1, &cfg, &domain);
	KUNIT_ASSERT_NOT_NULL(test, domain.pgtbl_ops);
	/* Where it is, and how large, is each driver's choice. */
	io_pgtable_ops_to_pgtable(domain.pgtbl_ops)->cfg.arm_lpae_s1_cfg.ttbr = ours[1];
	domain.cd.asid = asid_of(ours);
	arm_smmu_make_s1_cd(&cd, &bytes->master, &domain);
	free_io_pgtable_ops(domain.pgtbl_ops);
	/* Nobody serves the page requests of such a domain, so ours has no access wait. */
	if (kind->device.stall) {
		KUNIT_EXPECT_FALSE(test, ours[0] & CTXDESC_CD_0_S);
		ours[0] |= CTXDESC_CD_0_S;
	}
	expect_same(test, ours, cd.data);
}

/* Ours has a table of context descriptors from the start for one with PASIDs. */
static void ste_of_a_device_without_pasids(struct kunit *test)
{
	static const struct kind plain = { .name = "plain" };
	struct bytes *bytes = bytes_of(test, &plain);
	struct arm_smmu_ste ste;
	u64 ours[8];

	KUNIT_ASSERT_EQ(test, 0, mock_smmu_entry(bytes->port, MOCK_SMMU_NO_SSID, ours));
	arm_smmu_make_bypass_ste(&bytes->smmu, &ste);
	expect_same(test, ours, ste.data);
}

static int bytes_init(struct kunit_suite *suite)
{
	return platform_driver_register(&bytes_driver);
}

static void bytes_exit(struct kunit_suite *suite)
{
	platform_driver_unregister(&bytes_driver);
}

static struct kunit_case bytes_cases[] = {
	KUNIT_CASE(ste_of_a_device_without_pasids),
	KUNIT_CASE_PARAM(ste_of_a_bound_device, kind_gen_params),
	KUNIT_CASE_PARAM(cd_of_a_process, kind_gen_params),
	KUNIT_CASE_PARAM(cd_after_the_exit, kind_gen_params),
	KUNIT_CASE_PARAM(cd_of_the_dma_api, kind_gen_params),
	{}
};

static struct kunit_suite bytes_suite = {
	.name = "smmu_bytes",
	.suite_init = bytes_init,
	.suite_exit = bytes_exit,
	.test_cases = bytes_cases,
};

kunit_test_suite(bytes_suite);

MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");
MODULE_IMPORT_NS("MOCK_SMMU");
MODULE_VERSION(SVA_VERSION);
MODULE_DESCRIPTION("KUnit suite: entries beside those of the kernel's driver");
MODULE_LICENSE("GPL");
