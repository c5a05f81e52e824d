// SPDX-License-Identifier: GPL-2.0
/* Which pages a device has written, as its SMMU tells. */

#include "vfio.h"

#define OWN MOCK_CONFIG "/ksv"
#define BEHIND OWN "/ksv2"
#define PAGES 64

FIXTURE(dirty) {
	struct vfio_user user;
	char *memory;
	int hwpt;
};

FIXTURE_VARIANT(dirty) {
	const char *ats;
	uint32_t pasid;
};

FIXTURE_VARIANT_ADD(dirty, without_pasid) {
	.ats = "1",
	.pasid = RID,
};

FIXTURE_VARIANT_ADD(dirty, with_pasid) {
	.ats = "1",
	.pasid = 3,
};

FIXTURE_VARIANT_ADD(dirty, without_ats) {
	.ats = "0",
	.pasid = RID,
};

FIXTURE_SETUP(dirty)
{
	const uint32_t flags = IOMMU_HWPT_ALLOC_DIRTY_TRACKING | IOMMU_HWPT_ALLOC_PASID;
	struct vfio_user *user = &self->user;

	ASSERT_EQ(0, config_make(DEVICE, "driver", "mock_vfio", "ats", variant->ats,
				 "pri", variant->ats, "online", "1", NULL));
	ASSERT_EQ(0, vfio_use(user, DEVICE));
	self->memory = map_fresh(PAGES * page_size());
	ASSERT_NE(NULL, self->memory);
	/* One page at a time in the page table too. */
	ASSERT_EQ(0, madvise(self->memory, PAGES * page_size(), MADV_NOHUGEPAGE));
	ASSERT_EQ(0, ioas_map(user->iommufd, user->ioas, self->memory, PAGES * page_size(),
			      IOVA));
	self->hwpt = hwpt_alloc(user->iommufd, user->id, user->ioas, flags, 0);
	ASSERT_LE(0, self->hwpt);
	ASSERT_EQ(0, vfio_attach(user->device, variant->pasid, self->hwpt));
}

FIXTURE_TEARDOWN(dirty)
{
	vfio_leave(&self->user);
	remove_devices(_metadata);
}

static int track(const struct vfio_user *user, int hwpt, bool on)
{
	struct iommu_hwpt_set_dirty_tracking arg = {
		.size = sizeof(arg),
		.flags = on ? IOMMU_HWPT_DIRTY_TRACKING_ENABLE : 0,
		.hwpt_id = hwpt,
	};

	return iommufd_ioctl(user->iommufd, IOMMU_HWPT_SET_DIRTY_TRACKING, &arg);
}

/* Bit n: page n was written. */
static int written(const struct vfio_user *user, int hwpt, uint32_t flags, uint64_t *pages)
{
	struct iommu_hwpt_get_dirty_bitmap arg = {
		.size = sizeof(arg),
		.hwpt_id = hwpt,
		.flags = flags,
		.iova = IOVA,
		.length = PAGES * page_size(),
		.page_size = page_size(),
		.data = (uintptr_t)pages,
	};

	*pages = 0;
	return iommufd_ioctl(user->iommufd, IOMMU_HWPT_GET_DIRTY_BITMAP, &arg);
}

TEST_F(dirty, exactly_what_was_written)
{
	const struct vfio_user *user = &self->user;
	const uint64_t size = page_size();
	uint64_t word = 1, pages;

	/* What was written before does not count. */
	ASSERT_EQ(0, dma_write(user->device, variant->pasid, IOVA + 9 * size, &word, 8));
	ASSERT_EQ(0, track(user, self->hwpt, true));
	ASSERT_EQ(0, written(user, self->hwpt, 0, &pages));
	EXPECT_EQ(0, pages);

	/* Reads do not count. */
	for (int i = 0; i < PAGES; i++)
		ASSERT_EQ(0, dma_read(user->device, variant->pasid, IOVA + i * size, &word, 8));
	ASSERT_EQ(0, written(user, self->hwpt, 0, &pages));
	EXPECT_EQ(0, pages);

	/* Each turn the caches know from the last that the pages may be written. */
	for (int i = 0; i < 4; i++) {
		word = i + 1;
		ASSERT_EQ(0, dma_write(user->device, variant->pasid, IOVA + 3 * size, &word, 8));
		ASSERT_EQ(0, dma_write(user->device, variant->pasid, IOVA + 41 * size - 4, &word,
				       8));
		ASSERT_EQ(0, dma_write(user->device, variant->pasid, IOVA + (50 + i) * size,
				       &word, 8));
		EXPECT_EQ(word, *(uint64_t *)(self->memory + 3 * size));
		/* A look that changes nothing. */
		ASSERT_EQ(0, written(user, self->hwpt, IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR,
				     &pages));
		EXPECT_EQ(1ULL << 3 | 3ULL << 40 | 1ULL << (50 + i), pages);
		ASSERT_EQ(0, written(user, self->hwpt, 0, &pages));
		EXPECT_EQ(1ULL << 3 | 3ULL << 40 | 1ULL << (50 + i), pages);
		ASSERT_EQ(0, written(user, self->hwpt, 0, &pages));
		EXPECT_EQ(0, pages);
	}
	ASSERT_EQ(0, track(user, self->hwpt, false));
}

/* What is mapped for reading stays that way. */
TEST_F(dirty, read_only)
{
	const struct vfio_user *user = &self->user;
	const uint64_t size = page_size(), other = IOVA + (PAGES << 20);
	uint64_t word = 1, pages;

	ASSERT_EQ(0, ioas_map_as(user->iommufd, user->ioas, self->memory, size, other,
				 IOMMU_IOAS_MAP_READABLE));
	ASSERT_EQ(0, track(user, self->hwpt, true));
	EXPECT_EQ(0, dma_read(user->device, variant->pasid, other, &word, 8));
	EXPECT_NE(0, dma_write(user->device, variant->pasid, other, &word, 8));
	ASSERT_EQ(0, written(user, self->hwpt, 0, &pages));
	EXPECT_EQ(0, pages);
}

/* A page table that was not made for it, and an SMMU that does not update flags by itself. */
TEST(not_everywhere)
{
	struct iommu_hw_info info = { .size = sizeof(info) };
	struct vfio_user user;
	int hwpt;

	ASSERT_EQ(0, config_make(OWN, "httu", "1", "online", "1", NULL));
	ASSERT_EQ(0, config_make(BEHIND, "driver", "mock_vfio", "online", "1", NULL));
	ASSERT_EQ(0, config_make(DEVICE, "driver", "mock_vfio", "online", "1", NULL));

	ASSERT_EQ(0, vfio_use(&user, BEHIND));
	EXPECT_EQ(-EOPNOTSUPP, hwpt_alloc(user.iommufd, user.id, user.ioas,
					  IOMMU_HWPT_ALLOC_DIRTY_TRACKING, 0));
	info.dev_id = user.id;
	ASSERT_EQ(0, iommufd_ioctl(user.iommufd, IOMMU_GET_HW_INFO, &info));
	EXPECT_FALSE(info.out_capabilities & IOMMU_HW_CAP_DIRTY_TRACKING);
	vfio_leave(&user);

	ASSERT_EQ(0, vfio_use(&user, DEVICE));
	info = (struct iommu_hw_info) { .size = sizeof(info), .dev_id = user.id };
	ASSERT_EQ(0, iommufd_ioctl(user.iommufd, IOMMU_GET_HW_INFO, &info));
	EXPECT_TRUE(info.out_capabilities & IOMMU_HW_CAP_DIRTY_TRACKING);
	hwpt = hwpt_alloc(user.iommufd, user.id, user.ioas, 0, 0);
	ASSERT_LE(0, hwpt);
	EXPECT_EQ(-EOPNOTSUPP, track(&user, hwpt, true));
	vfio_leave(&user);

	EXPECT_EQ(0, config_rmdir(BEHIND));
	EXPECT_EQ(0, config_rmdir(OWN));
	remove_devices(_metadata);
}

TEST_HARNESS_MAIN
