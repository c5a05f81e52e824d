// SPDX-License-Identifier: GPL-2.0
/* What the device may do is what the CPU may: where a program cannot try it. */

#include <linux/mman.h>
#include <linux/uaccess.h>

#include "pin_case.h"

/* The same memory, by a pointer that has a tag. */
static unsigned long tagged(unsigned long addr, u8 tag)
{
	return addr | (unsigned long)tag << 56;
}

/* By all ways that a device may go: what a bond gives it under @pasid, also if it has no PASID. */
static void tags_are_ignored(struct kunit *test, struct device *dev, struct sva_test_mm *space,
			     int pasid)
{
	unsigned long next = space->addr + PAGE_SIZE;
	u64 value;

	/* Cold, and warm under another tag. */
	KUNIT_EXPECT_EQ(test, 0, sva_test_write(dev, pasid, tagged(space->addr, 0xab), 0x12));
	KUNIT_EXPECT_EQ(test, 0, get_user(value, (u64 __user *)space->addr));
	KUNIT_EXPECT_EQ(test, 0x12, value);
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(dev, pasid, tagged(space->addr, 0x01), &value));
	KUNIT_EXPECT_EQ(test, 0x12, value);
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(dev, pasid, tagged(next, 0xff), &value));
	KUNIT_EXPECT_EQ(test, 0, value);
	/* Bits below the tag count, and so does the half. */
	KUNIT_EXPECT_EQ(test, -EFAULT, sva_test_read(dev, pasid, space->addr | BIT(48), &value));
	KUNIT_EXPECT_EQ(test, -EFAULT, sva_test_read(dev, pasid, space->addr | BIT(55), &value));

	/* What goes is gone under each tag. */
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(space->addr, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -EFAULT,
			sva_test_read(dev, pasid, tagged(space->addr, 0xab), &value));
	KUNIT_EXPECT_EQ(test, -EFAULT, sva_test_read(dev, pasid, space->addr, &value));
}

static void t1_tags_of_page_requests(struct kunit *test)
{
	struct device *dev = sva_test_device(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test);
	int pasid;

	KUNIT_ASSERT_EQ(test, 0, sva_bind_device(dev, space->mm, &pasid, SVA_TEST_FLAGS, NULL));
	tags_are_ignored(test, dev, space, pasid);
	KUNIT_EXPECT_EQ(test, 0, sva_unbind_device(dev, pasid));
}

static void t1_tags_of_stalls(struct kunit *test)
{
	struct mock_smmu_device config = { .pasid_bits = 10, .stall = true };
	struct device *dev = sva_test_device(test, &config);
	struct sva_test_mm *space = sva_test_mm(test);
	int pasid;

	KUNIT_ASSERT_EQ(test, 0, sva_bind_device(dev, space->mm, &pasid, SVA_TEST_FLAGS, NULL));
	tags_are_ignored(test, dev, space, pasid);
	KUNIT_EXPECT_EQ(test, 0, sva_unbind_device(dev, pasid));
}

static void t1_tags_without_pasid(struct kunit *test)
{
	struct device *dev = sva_test_device(test, NULL);
	struct sva_test_mm *space = sva_test_mm(test);
	int pasid;

	KUNIT_ASSERT_EQ(test, 0, sva_bind_device(dev, space->mm, &pasid, IOMMU_SVA_FEAT_IOPF,
						 NULL));
	tags_are_ignored(test, dev, space, MOCK_SMMU_NO_SSID);
	KUNIT_EXPECT_EQ(test, 0, sva_unbind_device(dev, pasid));
}

/* To pin is the driver's, not the device's: it names addresses as the kernel does. */
static void t1_pins_have_no_tags(struct kunit *test)
{
	struct pin_case c = bound(test);
	unsigned long addr = c.space->addr;
	u64 value;

	KUNIT_EXPECT_EQ(test, -EFAULT, sva_pin_range(c.dev, c.pasid, tagged(addr, 1), PAGE_SIZE,
						     true));
	KUNIT_ASSERT_EQ(test, 0, pin(&c, 0, PAGE_SIZE, true));
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(c.dev, c.pasid, tagged(addr, 1), &value));
	unbound(test, &c);
}

/* Pins for reading; programs try those for writing. */
static void p1_pins_for_reading(struct kunit *test)
{
	struct pin_case c = bound(test);
	unsigned long prot;
	u64 value;

	for (prot = 0; prot < 8; prot++) {
		bool may;

		c.space->addr = vm_mmap(NULL, 0, PAGE_SIZE, prot, MAP_PRIVATE | MAP_ANONYMOUS, 0);
		KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(c.space->addr));
		may = !pin(&c, 0, PAGE_SIZE, false);
		KUNIT_EXPECT_EQ(test, may, !sva_test_read(c.dev, c.pasid, c.space->addr, &value));
		/* Of what the process may not read, nothing was brought. */
		KUNIT_EXPECT_EQ(test, may ? 1 : 0, pinned_pages(&c));
		KUNIT_EXPECT_EQ(test, may, !get_user(value, (u64 __user *)c.space->addr));
		KUNIT_EXPECT_EQ(test, 0, vm_munmap(c.space->addr, PAGE_SIZE));
		if (may)
			KUNIT_EXPECT_EQ(test, 0, unpin(&c, 0, PAGE_SIZE));
	}
	unbound(test, &c);
}

static struct kunit_case sva_rights_cases[] = {
	KUNIT_CASE(t1_tags_of_page_requests),
	KUNIT_CASE(t1_tags_of_stalls),
	KUNIT_CASE(t1_tags_without_pasid),
	KUNIT_CASE(t1_pins_have_no_tags),
	KUNIT_CASE(p1_pins_for_reading),
	{}
};

struct kunit_suite sva_rights_suite = {
	.name = "sva_rights",
	.test_cases = sva_rights_cases,
};
