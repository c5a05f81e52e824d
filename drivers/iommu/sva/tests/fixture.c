// SPDX-License-Identifier: GPL-2.0
/* Devices and address spaces for the suites. */

#include <linux/iommu.h>
#include <linux/kthread.h>
#include <linux/mman.h>
#include <linux/platform_device.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>

#include "fixture.h"

static void sva_test_device_gone(void *dev)
{
	mock_smmu_device_destroy(dev);
}

static struct device *device_of(struct kunit *test, const struct mock_smmu_device *config,
				const char *driver)
{
	static atomic_t next_id;
	struct mock_smmu_device device = {
		.pasid_bits = 10,
	};
	struct device *dev;

	if (config)
		device = *config;
	device.name = driver;
	device.id = atomic_inc_return(&next_id);

	dev = mock_smmu_device_create(&device);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dev);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, sva_test_device_gone, dev));
	KUNIT_ASSERT_NOT_NULL_MSG(test, dev_get_drvdata(dev), "no driver");
	return dev;
}

/* A device behind the mock SMMU, with the seed driver bound to it, until the test ends. */
struct device *sva_test_device(struct kunit *test, const struct mock_smmu_device *config)
{
	return device_of(test, config, "sva_test");
}

/* The same, but it uses the DMA API as well, where it has no PASID. */
struct device *sva_test_dma_user(struct kunit *test, const struct mock_smmu_device *config)
{
	return device_of(test, config, "sva_test_dma_user");
}

static void sva_test_plain_device_gone(void *pdev)
{
	platform_device_unregister(pdev);
}

/* A device that no IOMMU serves. */
struct device *sva_test_plain_device(struct kunit *test)
{
	struct platform_device *pdev;

	pdev = platform_device_register_simple("sva_test", PLATFORM_DEVID_AUTO, NULL, 0);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, pdev);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, sva_test_plain_device_gone, pdev));
	KUNIT_ASSERT_NOT_NULL_MSG(test, dev_get_drvdata(&pdev->dev), "no driver");
	return &pdev->dev;
}

/* The thread uses the address space, as a process does its own, until it ends at the latest. */
void sva_test_use(struct sva_test_mm *space)
{
	/* A thread that ends puts the user of its address space. */
	mmget(space->mm);
	kthread_use_mm(space->mm);
	space->used = true;
}

void sva_test_unuse(struct sva_test_mm *space)
{
	kthread_unuse_mm(space->mm);
	mmput(space->mm);
	space->used = false;
}

static void sva_test_mm_gone(void *data)
{
	struct sva_test_mm *space = data;

	if (!space->mm)
		return;
	/* The test's thread has ended. What kthread_use_mm() grabbed, nobody else drops. */
	if (space->used)
		mmdrop(space->mm);
	mmput(space->mm);
}

/* A new address space with 64 pages that nobody has touched; the test's thread uses it. */
struct sva_test_mm *sva_test_mm(struct kunit *test)
{
	struct sva_test_mm *space = kunit_kzalloc(test, sizeof(*space), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, space);
	KUNIT_ASSERT_NULL(test, current->mm);
	space->mm = mm_alloc();
	KUNIT_ASSERT_NOT_NULL(test, space->mm);
	space->mm->task_size = TASK_SIZE;
	arch_pick_mmap_layout(space->mm, &current->signal->rlim[RLIMIT_STACK]);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, sva_test_mm_gone, space));

	sva_test_use(space);
	space->len = 64 * PAGE_SIZE;
	space->addr = vm_mmap(NULL, 0, space->len, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(space->addr));
	return space;
}

/* Pages that were touched go, so that they are missing again. */
void sva_test_renew(struct kunit *test, struct sva_test_mm *space)
{
	KUNIT_EXPECT_EQ(test, 0, vm_munmap(space->addr, space->len));
	KUNIT_EXPECT_EQ(test, space->addr,
			vm_mmap(NULL, space->addr, space->len, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, 0));
}

/* The last user of the address space goes. */
void sva_test_mm_exit(struct kunit *test, struct sva_test_mm *space)
{
	struct mm_struct *mm = space->mm;

	if (space->used)
		sva_test_unuse(space);
	space->mm = NULL;
	mmput(mm);
}

int sva_test_dma(struct device *dev, int pasid, unsigned long addr, void *buf, size_t len,
		 bool write)
{
	struct mock_smmu_port *port = mock_smmu_port_get(dev);
	int ret;

	if (IS_ERR(port))
		return PTR_ERR(port);
	if (write)
		ret = mock_smmu_write(port, pasid, addr, buf, len, NULL);
	else
		ret = mock_smmu_read(port, pasid, addr, buf, len, NULL);
	mock_smmu_port_put(port);
	return ret;
}

int sva_test_read(struct device *dev, int pasid, unsigned long addr, u64 *value)
{
	return sva_test_dma(dev, pasid, addr, value, sizeof(*value), false);
}

int sva_test_write(struct device *dev, int pasid, unsigned long addr, u64 value)
{
	return sva_test_dma(dev, pasid, addr, &value, sizeof(value), true);
}

/* Reports a request as the IOMMU driver does; the last of a group has it served. */
int sva_test_report(struct device *dev, int pasid, unsigned long addr, u32 perm, bool last)
{
	struct iopf_fault evt = { .fault = { .type = IOMMU_FAULT_PAGE_REQ } };
	struct iommu_fault_page_request *prm = &evt.fault.prm;

	prm->flags = IOMMU_FAULT_PAGE_REQUEST_PASID_VALID | IOMMU_FAULT_PAGE_RESPONSE_NEEDS_PASID;
	if (last)
		prm->flags |= IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE;
	prm->pasid = pasid;
	/* None that the device has under way: its answer is dropped there. */
	prm->grpid = 511;
	prm->perm = perm;
	prm->addr = addr;
	return iommu_report_device_fault(dev, &evt);
}
