// SPDX-License-Identifier: GPL-2.0
/* A process as the pager of the device that it drives. */

#include "vfio.h"

#define PAGES 8

FIXTURE(fault) {
	struct vfio_user user;
	struct pager pager;
	char *memory;
};

FIXTURE_VARIANT(fault) {
	const char *stall;
	uint32_t pasid;
};

FIXTURE_VARIANT_ADD(fault, page_requests) {
	.stall = "0",
	.pasid = 7,
};

FIXTURE_VARIANT_ADD(fault, page_requests_without_pasid) {
	.stall = "0",
	.pasid = RID,
};

FIXTURE_VARIANT_ADD(fault, stalls) {
	.stall = "1",
	.pasid = 7,
};

FIXTURE_VARIANT_ADD(fault, stalls_without_pasid) {
	.stall = "1",
	.pasid = RID,
};

FIXTURE_SETUP(fault)
{
	ASSERT_EQ(0, config_make(DEVICE, "driver", "mock_vfio", "stall", variant->stall,
				 NULL));
	if (variant->stall[0] == '1') {
		ASSERT_EQ(0, config_set(DEVICE, "ats", "0"));
		ASSERT_EQ(0, config_set(DEVICE, "pri", "0"));
	}
	ASSERT_EQ(0, config_set(DEVICE, "online", "1"));
	ASSERT_EQ(0, vfio_use_as_pager(&self->user, DEVICE, variant->pasid, &self->pager));
	self->memory = map_fresh(PAGES * page_size());
	ASSERT_NE(NULL, self->memory);
}

FIXTURE_TEARDOWN(fault)
{
	vfio_leave(&self->user);
	close(self->pager.fd);
	remove_devices(_metadata);
}

/* Has the device ask for the page at @iova, with channel 0. */
static int ask(const struct vfio_user *user, uint32_t pasid, uint64_t iova)
{
	return dma_start(user->device, 0, MOCK_VFIO_WRITE, pasid, iova, 8);
}

TEST_F(fault, pages_on_demand)
{
	const struct vfio_user *user = &self->user;

	for (int i = 0; i < PAGES; i++) {
		uint64_t page = IOVA + i * page_size(), word = i + 1;
		char *memory = self->memory + i * page_size();
		struct iommu_hwpt_pgfault asked;
		bool tagged = variant->pasid != RID;

		ASSERT_EQ(8, pwrite(user->device, &word, 8, data_at(0)));
		ASSERT_EQ(0, ask(user, variant->pasid, page + 24));
		ASSERT_EQ(0, pager_read(&self->pager, &asked));
		EXPECT_EQ(page, asked.addr & ~(page_size() - 1));
		EXPECT_EQ(user->id, (int)asked.dev_id);
		EXPECT_TRUE(asked.perm & IOMMU_PGFAULT_PERM_WRITE);
		EXPECT_TRUE(asked.flags & IOMMU_PGFAULT_FLAGS_LAST_PAGE);
		EXPECT_EQ(tagged, asked.flags & IOMMU_PGFAULT_FLAGS_PASID_VALID);
		if (tagged)
			EXPECT_EQ(variant->pasid, asked.pasid);
		/* It waits. */
		EXPECT_EQ(MOCK_VFIO_BUSY, dma_state(user->device, 0));
		EXPECT_EQ(-EBUSY, ask(user, variant->pasid, page));
		ASSERT_EQ(0, ioas_map(user->iommufd, user->ioas, memory, page_size(), page));
		ASSERT_EQ(0, pager_answer(&self->pager, asked.cookie, IOMMUFD_PAGE_RESP_SUCCESS));
		EXPECT_EQ(0, dma_wait(user->device, 0));
		EXPECT_EQ(word, *(uint64_t *)(memory + 24));
		/* Once. */
		EXPECT_EQ(-EINVAL, pager_answer(&self->pager, asked.cookie,
						IOMMUFD_PAGE_RESP_SUCCESS));
		EXPECT_TRUE(reaches(user->device, variant->pasid, page, (uint64_t *)memory));
	}
}

/* Takes a page away again, as a pager does that has little memory. */
TEST_F(fault, page_comes_and_goes)
{
	const struct vfio_user *user = &self->user;
	struct iommu_hwpt_pgfault asked;

	for (int i = 0; i < 4; i++) {
		ASSERT_EQ(0, ask(user, variant->pasid, IOVA));
		ASSERT_EQ(0, pager_read(&self->pager, &asked));
		ASSERT_EQ(0, ioas_map(user->iommufd, user->ioas, self->memory, page_size(),
				      IOVA));
		ASSERT_EQ(0, pager_answer(&self->pager, asked.cookie, IOMMUFD_PAGE_RESP_SUCCESS));
		EXPECT_EQ(0, dma_wait(user->device, 0));
		ASSERT_EQ(0, ioas_unmap(user->iommufd, user->ioas, page_size(), IOVA));
	}
}

TEST_F(fault, refused)
{
	struct iommu_hwpt_pgfault asked;

	ASSERT_EQ(0, ask(&self->user, variant->pasid, IOVA));
	ASSERT_EQ(0, pager_read(&self->pager, &asked));
	ASSERT_EQ(0, pager_answer(&self->pager, asked.cookie, IOMMUFD_PAGE_RESP_INVALID));
	EXPECT_EQ(-EFAULT, dma_wait(self->user.device, 0));
}

/* Several channels wait; the answers come in another order. */
TEST_F(fault, out_of_order)
{
	const struct vfio_user *user = &self->user;
	struct iommu_hwpt_pgfault asked[MOCK_VFIO_CHANNELS];

	for (int i = 0; i < MOCK_VFIO_CHANNELS; i++) {
		uint64_t word = i + 1;

		ASSERT_EQ(8, pwrite(user->device, &word, 8, data_at(i)));
		ASSERT_EQ(0, dma_start(user->device, i, MOCK_VFIO_WRITE, variant->pasid,
				       IOVA + i * page_size(), 8));
		ASSERT_EQ(0, pager_read(&self->pager, &asked[i]));
	}
	ASSERT_EQ(0, ioas_map(user->iommufd, user->ioas, self->memory, PAGES * page_size(), IOVA));
	for (int i = MOCK_VFIO_CHANNELS - 1; i >= 0; i--) {
		EXPECT_EQ(MOCK_VFIO_BUSY, dma_state(user->device, i));
		ASSERT_EQ(0, pager_answer(&self->pager, asked[i].cookie,
					  IOMMUFD_PAGE_RESP_SUCCESS));
		EXPECT_EQ(0, dma_wait(user->device, i));
		EXPECT_EQ(i + 1ULL, *(uint64_t *)(self->memory + i * page_size()));
	}
}

/* The device's patience has ended. */
TEST_F(fault, answer_after_the_time_out)
{
	const struct vfio_user *user = &self->user;
	struct iommu_hwpt_pgfault asked;

	close(self->pager.fd);
	vfio_leave(&self->user);
	ASSERT_EQ(0, config_set(DEVICE, "online", "0"));
	ASSERT_EQ(0, config_set(DEVICE, "timeout_ms", "1"));
	ASSERT_EQ(0, config_set(DEVICE, "online", "1"));
	ASSERT_EQ(0, vfio_use_as_pager(&self->user, DEVICE, variant->pasid, &self->pager));

	ASSERT_EQ(0, ask(user, variant->pasid, IOVA));
	ASSERT_EQ(0, pager_read(&self->pager, &asked));
	EXPECT_EQ(-ETIMEDOUT, dma_wait(user->device, 0));
	ASSERT_EQ(0, ioas_map(user->iommufd, user->ioas, self->memory, page_size(), IOVA));
	EXPECT_EQ(0, pager_answer(&self->pager, asked.cookie, IOMMUFD_PAGE_RESP_SUCCESS));
	EXPECT_TRUE(reaches(user->device, variant->pasid, IOVA, (uint64_t *)self->memory));
}

/* The device has been told to give up when the answer comes. */
TEST_F(fault, late_answer)
{
	const struct vfio_user *user = &self->user;
	struct iommu_hwpt_pgfault asked;

	ASSERT_EQ(0, ask(user, variant->pasid, IOVA));
	ASSERT_EQ(0, pager_read(&self->pager, &asked));
	ASSERT_EQ(0, ioctl(user->device, VFIO_DEVICE_RESET));
	EXPECT_EQ(MOCK_VFIO_IDLE, dma_state(user->device, 0));
	ASSERT_EQ(0, ioas_map(user->iommufd, user->ioas, self->memory, page_size(), IOVA));
	EXPECT_TRUE(reaches(user->device, variant->pasid, IOVA, (uint64_t *)self->memory));
	EXPECT_EQ(0, pager_answer(&self->pager, asked.cookie, IOMMUFD_PAGE_RESP_SUCCESS));

	/* The next is answered by its own answer. */
	ASSERT_EQ(0, ask(user, variant->pasid, IOVA + page_size()));
	ASSERT_EQ(0, pager_read(&self->pager, &asked));
	ASSERT_EQ(0, ioas_map(user->iommufd, user->ioas, self->memory + page_size(), page_size(),
			      IOVA + page_size()));
	ASSERT_EQ(0, pager_answer(&self->pager, asked.cookie, IOMMUFD_PAGE_RESP_SUCCESS));
	EXPECT_EQ(0, dma_wait(user->device, 0));
}

/* What is attached goes while the device waits: nobody need answer any more. */
TEST_F(fault, detach_with_a_request_unread)
{
	const struct vfio_user *user = &self->user;

	ASSERT_EQ(0, ask(user, variant->pasid, IOVA));
	ASSERT_TRUE(pager_asked(&self->pager));
	ASSERT_EQ(0, vfio_detach(user->device, variant->pasid));
	EXPECT_NE(0, dma_wait(user->device, 0));
}

TEST_F(fault, detach_with_a_request_unanswered)
{
	const struct vfio_user *user = &self->user;
	struct iommu_hwpt_pgfault asked;

	ASSERT_EQ(0, ask(user, variant->pasid, IOVA));
	ASSERT_EQ(0, pager_read(&self->pager, &asked));
	ASSERT_EQ(0, vfio_detach(user->device, variant->pasid));
	EXPECT_NE(0, dma_wait(user->device, 0));
	EXPECT_EQ(-EINVAL, pager_answer(&self->pager, asked.cookie, IOMMUFD_PAGE_RESP_SUCCESS));
}

/* The device asks again, and the new page table has the page. */
TEST_F(fault, replace_with_a_request_unanswered)
{
	const struct vfio_user *user = &self->user;
	int other = ioas_alloc(user->iommufd), hwpt;
	struct iommu_hwpt_pgfault asked;

	ASSERT_LE(0, other);
	ASSERT_EQ(0, ioas_map(user->iommufd, other, self->memory, page_size(), IOVA));
	hwpt = hwpt_alloc(user->iommufd, user->id, other, IOMMU_HWPT_ALLOC_PASID, 0);
	ASSERT_LE(0, hwpt);
	ASSERT_EQ(0, ask(user, variant->pasid, IOVA));
	ASSERT_EQ(0, pager_read(&self->pager, &asked));
	ASSERT_EQ(0, vfio_attach(user->device, variant->pasid, hwpt));
	/* Its own request was refused, whatever is there now. */
	EXPECT_NE(0, dma_wait(user->device, 0));
	EXPECT_EQ(-EINVAL, pager_answer(&self->pager, asked.cookie, IOMMUFD_PAGE_RESP_SUCCESS));
	EXPECT_TRUE(reaches(user->device, variant->pasid, IOVA, (uint64_t *)self->memory));
}

TEST_HARNESS_MAIN
