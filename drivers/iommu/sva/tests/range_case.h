/* SPDX-License-Identifier: GPL-2.0 */
/* Devices that can more or less, and memory for them by ranges. */
#ifndef SVA_TEST_RANGE_CASE_H
#define SVA_TEST_RANGE_CASE_H

#include "fixture.h"

#define ANY	IOMMU_SVA_FEAT_ANY
#define ANY_SHARED	(IOMMU_SVA_FEAT_ANY | IOMMU_SVA_FEAT_SHARED_ADDRESSES)

/* What devices of each mode are like. */
static const struct mock_smmu_device shared_device = { .pasid_bits = 10, .ats = true };
static const struct mock_smmu_device pinned_device = {
	.pasid_bits = 10, .ats = true, .no_pri = true,
};

static const struct mock_smmu_device mapped_device = {};

/* A device that is initialized with @features, instead of as its driver has it. */
static inline struct device *range_device(struct kunit *test,
					  const struct mock_smmu_device *config,
					  unsigned long features)
{
	struct device *dev = sva_test_device(test, config);
	struct sva_test_device *state = dev_get_drvdata(dev);

	if (!state->init_error)
		KUNIT_ASSERT_EQ(test, 0, sva_device_shutdown(dev));
	state->init_error = sva_device_init(dev, features, 0);
	KUNIT_ASSERT_EQ(test, 0, state->init_error);
	return dev;
}

/* A process bound to a device. */
struct range_case {
	struct device *dev;
	struct sva_test_mm *space;
	struct sva_bond *bond;
	int pasid;
};

static inline struct range_case range_bound(struct kunit *test, struct device *dev,
					    unsigned long features)
{
	struct range_case c = { .dev = dev, .space = sva_test_mm(test) };
	u32 pasid;

	c.bond = sva_bind(dev, c.space->mm, features, NULL, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, c.bond);
	pasid = sva_bond_pasid(c.bond);
	c.pasid = pasid ? pasid : MOCK_SMMU_NO_SSID;
	return c;
}

static inline struct range_case range_case(struct kunit *test,
					   const struct mock_smmu_device *config)
{
	struct device *dev = range_device(test, config, ANY_SHARED);

	return range_bound(test, dev, ANY_SHARED);
}

static inline s64 range_pinned(struct range_case *c)
{
	return atomic64_read(&c->space->mm->pinned_vm);
}

/* Whether the device reads there what the CPU, which has just written it, does. */
static inline bool range_reaches(struct range_case *c, u64 addr, unsigned long user, u64 value)
{
	u64 seen = ~value;

	return !put_user(value, (u64 __user *)user) &&
		!sva_test_read(c->dev, c->pasid, addr, &seen) && seen == value;
}

#endif /* SVA_TEST_RANGE_CASE_H */
