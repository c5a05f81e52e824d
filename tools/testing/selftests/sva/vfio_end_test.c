// SPDX-License-Identifier: GPL-2.0
/* How the use of a device ends: its process is killed, or it is unplugged, while it waits. */

#include "vfio.h"

#include <pthread.h>
#include <signal.h>

#define PASID 7

FIXTURE(end) {
};

FIXTURE_VARIANT(end) {
	uint32_t pasid;
	bool read;
};

FIXTURE_VARIANT_ADD(end, request_unread) {
	.pasid = PASID,
	.read = false,
};

FIXTURE_VARIANT_ADD(end, request_unanswered) {
	.pasid = PASID,
	.read = true,
};

FIXTURE_VARIANT_ADD(end, request_unread_without_pasid) {
	.pasid = RID,
	.read = false,
};

FIXTURE_VARIANT_ADD(end, request_unanswered_without_pasid) {
	.pasid = RID,
	.read = true,
};

FIXTURE_SETUP(end)
{
	/* Where a stalled access is not taken back, the device waits so long before it is gone. */
	ASSERT_EQ(0, config_make(DEVICE, "driver", "mock_vfio", "timeout_ms", "3000",
				 "online", "1", NULL));
}

FIXTURE_TEARDOWN(end)
{
	remove_devices(_metadata);
}

/* Has the device wait for a page that this process is asked for, and takes the request if @read. */
static int wait_for_a_page(struct vfio_user *user, struct pager *pager, uint32_t pasid, bool read)
{
	struct iommu_hwpt_pgfault asked;
	int ret = vfio_use_as_pager(user, DEVICE, pasid, pager);

	if (!ret)
		ret = dma_start(user->device, 0, MOCK_VFIO_READ, pasid, IOVA, 8);
	if (ret)
		return ret;
	if (read)
		return pager_read(pager, &asked);
	return pager_asked(pager) ? 0 : -ETIME;
}

/* Whether this process can use the device. */
static bool usable(uint32_t pasid)
{
	uint64_t *memory = map_fresh(page_size());
	struct vfio_user user;
	int hwpt;
	bool usable = false;

	if (!vfio_use(&user, DEVICE)) {
		hwpt = hwpt_alloc(user.iommufd, user.id, user.ioas, IOMMU_HWPT_ALLOC_PASID, 0);
		usable = !ioas_map(user.iommufd, user.ioas, memory, page_size(), IOVA) &&
			 !vfio_attach(user.device, pasid, hwpt) &&
			 reaches(user.device, pasid, IOVA, memory);
	}
	vfio_leave(&user);
	munmap(memory, page_size());
	return usable;
}

TEST_F(end, kill)
{
	struct vfio_user user;
	struct pager pager;
	int ready[2], ret;
	pid_t child;

	ASSERT_EQ(0, pipe(ready));
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		ret = wait_for_a_page(&user, &pager, variant->pasid, variant->read);
		write(ready[1], &ret, sizeof(ret));
		pause();
		_exit(0);
	}
	ASSERT_EQ(sizeof(ret), read(ready[0], &ret, sizeof(ret)));
	EXPECT_EQ(0, ret);
	kill(child, SIGKILL);
	EXPECT_EQ(-EINTR, child_status(child));
	EXPECT_TRUE(usable(variant->pasid));
	close(ready[0]);
	close(ready[1]);
}

static void *unplug(void *ret)
{
	*(int *)ret = config_set(DEVICE, "online", "0");
	return NULL;
}

/* The process is asked to let the device go; it is there until that is done. */
TEST_F(end, unplug)
{
	struct vfio_user user;
	struct pager pager;
	uint64_t times;
	pthread_t thread;
	int release, ret = 1;
	char name[64];

	ASSERT_EQ(0, wait_for_a_page(&user, &pager, variant->pasid, variant->read));
	release = vfio_irq(user.device, MOCK_VFIO_IRQ_RELEASE);
	ASSERT_LE(0, release);
	ASSERT_EQ(0, config_get(DEVICE, "device", name, sizeof(name)));
	ASSERT_EQ(0, pthread_create(&thread, NULL, unplug, &ret));
	ASSERT_EQ(sizeof(times), read(release, &times, sizeof(times)));
	EXPECT_EQ(MOCK_VFIO_BUSY, dma_state(user.device, 0));
	/* Nobody else gets it any more. */
	EXPECT_GT(0, vfio_open(name));
	close(release);
	close(pager.fd);
	vfio_leave(&user);
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(0, ret);

	ASSERT_EQ(0, config_set(DEVICE, "online", "1"));
	EXPECT_TRUE(usable(variant->pasid));
}

/* The pager goes first, and nobody is left to answer. */
TEST_F(end, pager_closed)
{
	struct vfio_user user;
	struct pager pager;

	ASSERT_EQ(0, wait_for_a_page(&user, &pager, variant->pasid, variant->read));
	close(pager.fd);
	EXPECT_EQ(MOCK_VFIO_BUSY, dma_state(user.device, 0));
	vfio_leave(&user);
	EXPECT_TRUE(usable(variant->pasid));
}

TEST_HARNESS_MAIN
