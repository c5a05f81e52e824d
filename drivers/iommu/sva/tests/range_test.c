// SPDX-License-Identifier: GPL-2.0
/* Memory for devices of any kind, by one call. */

#include <linux/mman.h>
#include <linux/sched/signal.h>

#include "range_case.h"

static void shared_costs_nothing(struct kunit *test)
{
	struct range_case c = range_case(test, &shared_device);
	struct sva_range range;

	KUNIT_EXPECT_EQ(test, SVA_MODE_SHARED, sva_bond_mode(c.bond));
	KUNIT_ASSERT_EQ(test, 0, sva_bond_range(c.bond, c.space->addr + 3, 9, true, &range));
	KUNIT_EXPECT_EQ(test, c.space->addr + 3, range.addr);
	KUNIT_EXPECT_EQ(test, 0, range_pinned(&c));
	KUNIT_EXPECT_TRUE(test, range_reaches(&c, c.space->addr, c.space->addr, 0x11));
	sva_range_end(&range);
	KUNIT_EXPECT_TRUE(test, range_reaches(&c, c.space->addr, c.space->addr, 0x12));
	sva_unbind(c.bond);
}

/* Without page requests a device reaches what is in a range, also in part of a page. */
static void pinned_while_held(struct kunit *test)
{
	struct range_case c = range_case(test, &pinned_device);
	unsigned long addr = c.space->addr;
	struct sva_range range;
	u64 value;

	KUNIT_EXPECT_EQ(test, SVA_MODE_PINNED, sva_bond_mode(c.bond));
	KUNIT_EXPECT_NE(test, 0, sva_test_read(c.dev, c.pasid, addr, &value));
	KUNIT_ASSERT_EQ(test, 0, sva_bond_range(c.bond, addr + PAGE_SIZE - 8, 16, true, &range));
	KUNIT_EXPECT_EQ(test, addr + PAGE_SIZE - 8, range.addr);
	KUNIT_EXPECT_EQ(test, 2, range_pinned(&c));
	KUNIT_EXPECT_EQ(test, 0, sva_test_write(c.dev, c.pasid, range.addr, 0x21));
	KUNIT_EXPECT_EQ(test, 0, sva_test_write(c.dev, c.pasid, range.addr + 8, 0x22));
	KUNIT_EXPECT_EQ(test, 0, get_user(value, (u64 __user *)(addr + PAGE_SIZE)));
	KUNIT_EXPECT_EQ(test, 0x22, value);
	sva_range_end(&range);
	KUNIT_EXPECT_EQ(test, 0, range_pinned(&c));
	/* Once more does no harm. */
	sva_range_end(&range);
	sva_unbind(c.bond);
}

static void mapped_while_held(struct kunit *test)
{
	struct range_case c = range_case(test, &mapped_device);
	unsigned long addr = c.space->addr;
	struct sva_range range, only;
	u64 value;

	KUNIT_EXPECT_EQ(test, SVA_MODE_MAPPED, sva_bond_mode(c.bond));
	KUNIT_EXPECT_EQ(test, 0, sva_bond_pasid(c.bond));
	KUNIT_ASSERT_EQ(test, 0, sva_bond_range(c.bond, addr + PAGE_SIZE - 8, 16, true, &range));
	/* Nobody else has the process's address there. */
	KUNIT_EXPECT_EQ(test, addr + PAGE_SIZE - 8, range.addr);
	KUNIT_EXPECT_EQ(test, 2, range_pinned(&c));
	KUNIT_EXPECT_EQ(test, 0, sva_test_write(c.dev, c.pasid, range.addr + 8, 0x32));
	KUNIT_EXPECT_EQ(test, 0, get_user(value, (u64 __user *)(addr + PAGE_SIZE)));
	KUNIT_EXPECT_EQ(test, 0x32, value);
	KUNIT_EXPECT_TRUE(test, range_reaches(&c, range.addr, addr + PAGE_SIZE - 8, 0x33));
	/* What is beside it is out of reach, though it is there. */
	KUNIT_EXPECT_FALSE(test, range_reaches(&c, addr + 2 * PAGE_SIZE, addr + 2 * PAGE_SIZE, 1));
	KUNIT_ASSERT_EQ(test, 0, sva_bond_range(c.bond, addr + 2 * PAGE_SIZE, 8, false, &only));
	KUNIT_EXPECT_TRUE(test, range_reaches(&c, only.addr, addr + 2 * PAGE_SIZE, 2));
	KUNIT_EXPECT_NE(test, 0, sva_test_write(c.dev, c.pasid, only.addr, 3));
	sva_range_end(&range);
	KUNIT_EXPECT_NE(test, 0, sva_test_read(c.dev, c.pasid, range.addr, &value));
	KUNIT_EXPECT_EQ(test, 1, range_pinned(&c));
	/* The bond's end takes what is left. */
	sva_unbind(c.bond);
	KUNIT_EXPECT_EQ(test, 0, range_pinned(&c));
	KUNIT_EXPECT_NE(test, 0, sva_test_read(c.dev, c.pasid, only.addr, &value));
}

/* Two processes have the same address: the device has two, and none reaches the other's. */
static void mapped_by_two(struct kunit *test)
{
	struct range_case a = range_case(test, &mapped_device), b;
	unsigned long addr = a.space->addr;
	struct sva_range first, second;
	u64 value;

	KUNIT_ASSERT_EQ(test, 0, put_user(0x41, (u64 __user *)addr));
	sva_test_unuse(a.space);
	b = range_bound(test, a.dev, ANY_SHARED);
	KUNIT_ASSERT_EQ(test, addr, b.space->addr);
	KUNIT_ASSERT_EQ(test, 0, put_user(0x42, (u64 __user *)addr));
	KUNIT_ASSERT_EQ(test, 0, sva_bond_range(a.bond, addr, 8, true, &first));
	KUNIT_ASSERT_EQ(test, 0, sva_bond_range(b.bond, addr, 8, true, &second));
	KUNIT_EXPECT_NE(test, first.addr, second.addr);
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(a.dev, a.pasid, first.addr, &value));
	KUNIT_EXPECT_EQ(test, 0x41, value);
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(a.dev, a.pasid, second.addr, &value));
	KUNIT_EXPECT_EQ(test, 0x42, value);
	/* The end of one is nothing to the other. */
	sva_unbind(a.bond);
	KUNIT_EXPECT_NE(test, 0, sva_test_read(a.dev, a.pasid, first.addr, &value));
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(a.dev, a.pasid, second.addr, &value));
	KUNIT_EXPECT_EQ(test, 0, range_pinned(&a));
	KUNIT_EXPECT_EQ(test, 1, range_pinned(&b));
	sva_range_end(&second);
	sva_unbind(b.bond);
}

/* A device without PASIDs is one process's at a time, unless its driver takes care. */
static void alone_without_pasid(struct kunit *test)
{
	struct device *dev = range_device(test, &(struct mock_smmu_device){ .ats = true }, ANY);
	struct range_case a = range_bound(test, dev, ANY);
	enum sva_mode mode = sva_bond_mode(a.bond);
	struct sva_test_mm *other;
	struct sva_range range;

	/* If its IOMMU can have the process's page tables there. */
	KUNIT_EXPECT_TRUE(test, mode == SVA_MODE_SHARED || mode == SVA_MODE_MAPPED);
	KUNIT_EXPECT_EQ(test, 0, sva_bond_pasid(a.bond));
	KUNIT_ASSERT_EQ(test, 0, sva_bond_range(a.bond, a.space->addr, 8, true, &range));
	KUNIT_EXPECT_TRUE(test, range_reaches(&a, range.addr, a.space->addr, 0x51));
	sva_test_unuse(a.space);
	other = sva_test_mm(test);
	KUNIT_EXPECT_EQ(test, -EBUSY, PTR_ERR(sva_bind(dev, other->mm, ANY, NULL, NULL)));
	/* It was not initialized for that. */
	KUNIT_EXPECT_EQ(test, -EINVAL,
			PTR_ERR(sva_bind(dev, other->mm, ANY_SHARED, NULL, NULL)));
	sva_unbind(a.bond);
}

static void alone_without_page_requests(struct kunit *test)
{
	const struct mock_smmu_device config = { .ats = true, .no_pri = true };
	struct range_case c = range_bound(test, range_device(test, &config, ANY), ANY);
	enum sva_mode mode = sva_bond_mode(c.bond);
	struct sva_range range;

	KUNIT_EXPECT_TRUE(test, mode == SVA_MODE_PINNED || mode == SVA_MODE_MAPPED);
	KUNIT_ASSERT_EQ(test, 0, sva_bond_range(c.bond, c.space->addr, 8, true, &range));
	KUNIT_EXPECT_EQ(test, 1, range_pinned(&c));
	KUNIT_EXPECT_TRUE(test, range_reaches(&c, range.addr, c.space->addr, 0x61));
	sva_unbind(c.bond);
	KUNIT_EXPECT_EQ(test, 0, range_pinned(&c));
}

/* A second bind gives the same bond, whatever it has become; a bond without ANY is another. */
static void bind_again(struct kunit *test)
{
	const struct mock_smmu_device *configs[] = {
		&shared_device, &pinned_device, &mapped_device,
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(configs); i++) {
		struct range_case c = range_case(test, configs[i]);
		struct sva_bond *again = sva_bind(c.dev, c.space->mm, ANY_SHARED, NULL, NULL);
		struct sva_range range;

		KUNIT_EXPECT_PTR_EQ(test, c.bond, again);
		again = sva_bind(c.dev, c.space->mm, SVA_TEST_FLAGS, NULL, NULL);
		KUNIT_EXPECT_EQ(test, i < 2 ? -EEXIST : -EINVAL, PTR_ERR(again));
		sva_unbind(c.bond);
		KUNIT_EXPECT_EQ(test, 0, sva_bond_range(c.bond, c.space->addr, 8, true, &range));
		KUNIT_EXPECT_TRUE(test, range_reaches(&c, range.addr, c.space->addr, i));
		sva_unbind(c.bond);
		sva_test_unuse(c.space);
	}
}

static void overlaps(struct kunit *test)
{
	const struct mock_smmu_device *configs[] = { &pinned_device, &mapped_device };
	int i;

	for (i = 0; i < ARRAY_SIZE(configs); i++) {
		struct range_case c = range_case(test, configs[i]);
		unsigned long addr = c.space->addr;
		struct sva_range a, b;

		KUNIT_ASSERT_EQ(test, 0,
				sva_bond_range(c.bond, addr, 2 * PAGE_SIZE, true, &a));
		KUNIT_ASSERT_EQ(test, 0,
				sva_bond_range(c.bond, addr + PAGE_SIZE, PAGE_SIZE, false, &b));
		KUNIT_EXPECT_EQ(test, 3, range_pinned(&c));
		KUNIT_EXPECT_TRUE(test, range_reaches(&c, b.addr, addr + PAGE_SIZE, 0x71));
		sva_range_end(&a);
		KUNIT_EXPECT_EQ(test, 1, range_pinned(&c));
		KUNIT_EXPECT_TRUE(test, range_reaches(&c, b.addr, addr + PAGE_SIZE, 0x72));
		sva_range_end(&b);
		sva_unbind(c.bond);
		sva_test_unuse(c.space);
	}
}

/* Whatever the process does with its addresses meanwhile, the device reaches no one else. */
static void unmapped_while_held(struct kunit *test)
{
	struct range_case c = range_case(test, &pinned_device);
	unsigned long addr = c.space->addr;
	struct sva_range range;
	u64 value;

	KUNIT_ASSERT_EQ(test, 0, sva_bond_range(c.bond, addr, 8, true, &range));
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(addr, PAGE_SIZE));
	KUNIT_EXPECT_NE(test, 0, sva_test_read(c.dev, c.pasid, range.addr, &value));
	sva_range_end(&range);
	KUNIT_EXPECT_EQ(test, 0, range_pinned(&c));
	sva_unbind(c.bond);
	sva_test_unuse(c.space);

	c = range_case(test, &mapped_device);
	addr = c.space->addr;
	KUNIT_ASSERT_EQ(test, 0, sva_bond_range(c.bond, addr, 8, true, &range));
	KUNIT_ASSERT_TRUE(test, range_reaches(&c, range.addr, addr, 0x81));
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(addr, PAGE_SIZE));
	/* The page that was there is kept, and nobody's who could get it meanwhile. */
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(c.dev, c.pasid, range.addr, &value));
	KUNIT_EXPECT_EQ(test, 0x81, value);
	KUNIT_ASSERT_EQ(test, addr,
			vm_mmap(NULL, addr, PAGE_SIZE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, 0));
	KUNIT_EXPECT_EQ(test, 0, sva_test_write(c.dev, c.pasid, range.addr, 0x82));
	KUNIT_EXPECT_EQ(test, 0, get_user(value, (u64 __user *)addr));
	KUNIT_EXPECT_EQ(test, 0, value);
	sva_range_end(&range);
	KUNIT_EXPECT_NE(test, 0, sva_test_read(c.dev, c.pasid, range.addr, &value));
	KUNIT_EXPECT_EQ(test, 0, range_pinned(&c));
	sva_unbind(c.bond);
}

static void errors(struct kunit *test)
{
	const struct mock_smmu_device *configs[] = {
		&shared_device, &pinned_device, &mapped_device,
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(configs); i++) {
		struct range_case c = range_case(test, configs[i]);
		unsigned long addr = c.space->addr, end = addr + c.space->len;
		struct sva_range range;
		unsigned long only = vm_mmap(NULL, 0, PAGE_SIZE, PROT_READ,
					     MAP_PRIVATE | MAP_ANONYMOUS, 0);

		KUNIT_EXPECT_EQ(test, -EINVAL, sva_bond_range(c.bond, addr, 0, true, &range));
		KUNIT_EXPECT_EQ(test, -EINVAL,
				sva_bond_range(c.bond, addr, SIZE_MAX, true, &range));
		if (!i) {
			sva_unbind(c.bond);
			sva_test_unuse(c.space);
			continue;
		}
		KUNIT_ASSERT_EQ(test, 0, vm_munmap(addr + PAGE_SIZE, PAGE_SIZE));
		KUNIT_EXPECT_EQ(test, -EFAULT,
				sva_bond_range(c.bond, addr, 2 * PAGE_SIZE, true, &range));
		KUNIT_EXPECT_EQ(test, 0, range_pinned(&c));
		KUNIT_EXPECT_EQ(test, SVA_REASON_NOT_MAPPED,
				sva_bond_why_not(c.bond, addr + PAGE_SIZE, true));
		KUNIT_EXPECT_EQ(test, -EFAULT, sva_bond_range(c.bond, only, 1, true, &range));
		KUNIT_EXPECT_EQ(test, SVA_REASON_NO_RIGHT, sva_bond_why_not(c.bond, only, true));
		KUNIT_EXPECT_EQ(test, 0, sva_bond_range(c.bond, only, 1, false, &range));
		KUNIT_EXPECT_EQ(test, 0, sva_bond_why_not(c.bond, end - 8, true));
		KUNIT_EXPECT_EQ(test, i == 2 ? -EOPNOTSUPP : 0,
				sva_bond_pin(c.bond, addr, PAGE_SIZE, true));
		sva_unbind(c.bond);
		sva_test_unuse(c.space);
	}
}

/* The limit counts for kernel threads too: that of who has bound. */
static void memlock_limit(struct kunit *test)
{
	struct rlimit *limit = &current->signal->rlim[RLIMIT_MEMLOCK];
	const struct mock_smmu_device *configs[] = { &pinned_device, &mapped_device };
	unsigned long former = limit->rlim_cur;
	struct cred *cred = prepare_creds();
	const struct cred *old;
	int i, fits, much;

	KUNIT_ASSERT_NOT_NULL(test, cred);
	cap_lower(cred->cap_effective, CAP_IPC_LOCK);
	for (i = 0; i < ARRAY_SIZE(configs); i++) {
		struct device *dev = range_device(test, configs[i], ANY_SHARED);
		struct range_case c;
		struct sva_range range;

		limit->rlim_cur = 4 * PAGE_SIZE;
		old = override_creds(cred);
		c = range_bound(test, dev, ANY_SHARED);
		revert_creds(old);
		/* With all rights again. */
		limit->rlim_cur = former;
		fits = sva_bond_range(c.bond, c.space->addr, 4 * PAGE_SIZE, true, &range);
		KUNIT_EXPECT_EQ(test, 0, fits);
		KUNIT_EXPECT_EQ(test, 4, range_pinned(&c));
		much = sva_bond_range(c.bond, c.space->addr, PAGE_SIZE, true, &range);
		KUNIT_EXPECT_EQ(test, -ENOMEM, much);
		KUNIT_EXPECT_EQ(test, 4, range_pinned(&c));
		sva_unbind(c.bond);
		KUNIT_EXPECT_EQ(test, 0, range_pinned(&c));
		sva_test_unuse(c.space);
	}
	put_cred(cred);
}

/* For all members; the device with page requests needs nothing. */
static void members_of_a_group(struct kunit *test)
{
	const struct mock_smmu_device with = { .pasid_bits = 10, .ats = true, .group = 7920 };
	const struct mock_smmu_device without = {
		.pasid_bits = 10, .ats = true, .no_pri = true, .group = 7920,
	};
	struct device *a = range_device(test, &without, ANY);
	struct device *b = range_device(test, &with, ANY);
	struct range_case c = { .dev = a, .space = sva_test_mm(test) };
	struct sva_range range;
	u64 value;

	c.bond = sva_bind_members(a->iommu_group, c.space->mm, ANY, NULL, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, c.bond);
	c.pasid = sva_bond_pasid(c.bond);
	KUNIT_EXPECT_EQ(test, SVA_MODE_PINNED, sva_bond_mode(c.bond));
	KUNIT_ASSERT_EQ(test, 0, sva_bond_range(c.bond, c.space->addr + 8, 8, true, &range));
	KUNIT_EXPECT_EQ(test, c.space->addr + 8, range.addr);
	KUNIT_EXPECT_EQ(test, 1, range_pinned(&c));
	KUNIT_EXPECT_TRUE(test, range_reaches(&c, range.addr, range.addr, 0xa1));
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(b, c.pasid, range.addr, &value));
	sva_range_end(&range);
	KUNIT_EXPECT_EQ(test, 0, range_pinned(&c));
	KUNIT_EXPECT_EQ(test, -EFAULT,
			sva_bond_range(c.bond, PAGE_SIZE, 8, true, &range));
	KUNIT_EXPECT_EQ(test, 0, range_pinned(&c));
	sva_unbind(c.bond);
}

static struct kunit_case sva_range_cases[] = {
	KUNIT_CASE(shared_costs_nothing),
	KUNIT_CASE(pinned_while_held),
	KUNIT_CASE(mapped_while_held),
	KUNIT_CASE(mapped_by_two),
	KUNIT_CASE(alone_without_pasid),
	KUNIT_CASE(alone_without_page_requests),
	KUNIT_CASE(bind_again),
	KUNIT_CASE(overlaps),
	KUNIT_CASE(unmapped_while_held),
	KUNIT_CASE(errors),
	KUNIT_CASE(memlock_limit),
	KUNIT_CASE(members_of_a_group),
	{}
};

struct kunit_suite sva_range_suite = {
	.name = "sva_range",
	.test_cases = sva_range_cases,
};
