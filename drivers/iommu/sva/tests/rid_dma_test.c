// SPDX-License-Identifier: GPL-2.0
/* Bonds beside classic DMA, and in its place: S6 with the DMA API and paging domains. */

#include <linux/dma-mapping.h>
#include <linux/iommu.h>
#include <linux/slab.h>

#include "fixture.h"

#define RID	MOCK_SMMU_NO_SSID
#define IOVA	0x76540000UL

/* A device for which the DMA API maps memory, and a buffer that it has mapped. */
struct dma_user {
	struct device *dev;
	u64 *word;
	dma_addr_t iova;
};

static void unmap_buffer(void *data)
{
	struct dma_user *user = data;

	dma_unmap_single(user->dev, user->iova, PAGE_SIZE, DMA_BIDIRECTIONAL);
}

static struct dma_user *dma_user(struct kunit *test)
{
	struct mock_smmu_device config = { .pasid_bits = 10, .translated = true };
	struct dma_user *user = kunit_kzalloc(test, sizeof(*user), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, user);
	user->dev = sva_test_dma_user(test, &config);
	user->word = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, user->word);
	user->iova = dma_map_single(user->dev, user->word, PAGE_SIZE, DMA_BIDIRECTIONAL);
	KUNIT_ASSERT_EQ(test, 0, dma_mapping_error(user->dev, user->iova));
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, unmap_buffer, user));
	KUNIT_EXPECT_NE(test, user->iova, virt_to_phys(user->word));
	return user;
}

/* Whether the device gets at its buffer. */
static bool reaches_buffer(struct dma_user *user, u64 pattern)
{
	u64 value = 0;

	WRITE_ONCE(*user->word, pattern);
	return !sva_test_read(user->dev, RID, user->iova, &value) && value == pattern &&
		!sva_test_write(user->dev, RID, user->iova, ~pattern) &&
		READ_ONCE(*user->word) == ~pattern;
}

static void s6_unbind_restores_the_paging_domain(struct kunit *test)
{
	struct dma_user *user = dma_user(test);
	struct sva_test_mm *space = sva_test_mm(test);
	struct iommu_domain *former = iommu_get_domain_for_dev(user->dev);
	int pasid, round;

	KUNIT_EXPECT_EQ(test, IOMMU_DOMAIN_DMA, former->type);
	for (round = 0; round < 3; round++) {
		KUNIT_ASSERT_TRUE(test, reaches_buffer(user, 0x10 + round));
		KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(user->dev, space->mm, &pasid,
							       IOMMU_SVA_FEAT_IOPF, NULL));
		KUNIT_EXPECT_PTR_NE(test, former, iommu_get_domain_for_dev(user->dev));
		KUNIT_EXPECT_EQ(test, 0, sva_test_write(user->dev, RID, space->addr, round));
		KUNIT_EXPECT_FALSE(test, reaches_buffer(user, 0x20 + round));
		KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(user->dev, pasid));
		KUNIT_EXPECT_PTR_EQ(test, former, iommu_get_domain_for_dev(user->dev));
	}
	KUNIT_EXPECT_TRUE(test, reaches_buffer(user, 1));
}

/* Mappings that come and go meanwhile are as they should be afterwards. */
static void s6_dma_api_goes_on_meanwhile(struct kunit *test)
{
	struct dma_user *user = dma_user(test);
	struct sva_test_mm *space = sva_test_mm(test);
	dma_addr_t iova;
	u64 *word, value;
	int pasid;

	KUNIT_EXPECT_TRUE(test, reaches_buffer(user, 1));
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(user->dev, space->mm, &pasid,
						       IOMMU_SVA_FEAT_IOPF, NULL));
	word = dma_alloc_coherent(user->dev, PAGE_SIZE, &iova, GFP_KERNEL);
	KUNIT_EXPECT_NOT_NULL(test, word);
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(user->dev, pasid));
	if (!word)
		return;

	*word = 0x77;
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(user->dev, RID, iova, &value));
	KUNIT_EXPECT_EQ(test, 0x77, value);
	dma_free_coherent(user->dev, PAGE_SIZE, word, iova);
	KUNIT_EXPECT_NE(test, 0, sva_test_read(user->dev, RID, iova, &value));
	KUNIT_EXPECT_TRUE(test, reaches_buffer(user, 2));
}

static void dma_api_beside_bonds(struct kunit *test)
{
	struct dma_user *user = dma_user(test);
	struct sva_test_mm *space = sva_test_mm(test);
	u64 value;
	int pasid;

	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(user->dev, space->mm, &pasid,
						       SVA_TEST_FLAGS, NULL));
	KUNIT_EXPECT_EQ(test, 0, sva_test_write(user->dev, pasid, space->addr, 5));
	KUNIT_EXPECT_TRUE(test, reaches_buffer(user, 1));
	/* Neither's addresses are the other's. */
	KUNIT_EXPECT_NE(test, 0, sva_test_read(user->dev, RID, space->addr, &value));
	KUNIT_EXPECT_NE(test, 0, sva_test_read(user->dev, pasid, user->iova, &value));

	KUNIT_ASSERT_EQ(test, 0, vm_munmap(space->addr, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -EFAULT, sva_test_read(user->dev, pasid, space->addr, &value));
	KUNIT_EXPECT_TRUE(test, reaches_buffer(user, 2));
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(user->dev, pasid));
	KUNIT_EXPECT_TRUE(test, reaches_buffer(user, 3));
}

static void iommu_map_beside_bonds(struct kunit *test)
{
	struct device *dev = sva_test_dma_user(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test);
	u64 *word = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	struct iommu_domain *domain;
	int pasid, rid;
	u64 value;

	KUNIT_ASSERT_NOT_NULL(test, word);
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(dev, space->mm, &pasid, SVA_TEST_FLAGS,
						       NULL));
	domain = iommu_paging_domain_alloc(dev);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, domain);
	KUNIT_EXPECT_EQ(test, 0, iommu_map(domain, IOVA, virt_to_phys(word), PAGE_SIZE,
					   IOMMU_READ | IOMMU_WRITE, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, virt_to_phys(word), iommu_iova_to_phys(domain, IOVA));
	KUNIT_EXPECT_EQ(test, 0, iommu_attach_device(domain, dev));

	KUNIT_EXPECT_EQ(test, 0, sva_test_write(dev, RID, IOVA, 0x99));
	KUNIT_EXPECT_EQ(test, 0x99, READ_ONCE(*word));
	KUNIT_EXPECT_EQ(test, 0, sva_test_write(dev, pasid, space->addr, 0x55));
	/* Whose domain it is keeps accesses without PASID. */
	KUNIT_EXPECT_EQ(test, -EBUSY, iommu_sva_bind_device(dev, space->mm, &rid,
							    IOMMU_SVA_FEAT_IOPF, NULL));
	KUNIT_EXPECT_EQ(test, PAGE_SIZE, iommu_unmap(domain, IOVA, PAGE_SIZE));
	KUNIT_EXPECT_NE(test, 0, sva_test_read(dev, RID, IOVA, &value));
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(dev, pasid, space->addr, &value));
	KUNIT_EXPECT_EQ(test, 0x55, value);

	iommu_detach_device(domain, dev);
	iommu_domain_free(domain);
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(dev, pasid));
}

static struct kunit_case sva_rid_dma_cases[] = {
	KUNIT_CASE(s6_unbind_restores_the_paging_domain),
	KUNIT_CASE(s6_dma_api_goes_on_meanwhile),
	KUNIT_CASE(dma_api_beside_bonds),
	KUNIT_CASE(iommu_map_beside_bonds),
	{}
};

struct kunit_suite sva_rid_dma_suite = {
	.name = "sva_rid_dma",
	.test_cases = sva_rid_dma_cases,
};
