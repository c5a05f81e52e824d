/* SPDX-License-Identifier: GPL-2.0 */
/* A bond without page requests, and the memory of its process. */
#ifndef SVA_TEST_PIN_CASE_H
#define SVA_TEST_PIN_CASE_H

#include <linux/mm.h>

#include "fixture.h"

struct pin_case {
	struct device *dev;
	struct sva_test_mm *space;
	int pasid;
};

static inline struct pin_case bound(struct kunit *test)
{
	struct pin_case c = {
		.dev = sva_test_device(test, NULL),
		.space = sva_test_mm(test),
	};

	KUNIT_ASSERT_EQ(test, 0, sva_bind_device(c.dev, c.space->mm, &c.pasid,
						 IOMMU_SVA_FEAT_PASID, NULL));
	return c;
}

static inline void unbound(struct kunit *test, struct pin_case *c)
{
	KUNIT_EXPECT_EQ(test, 0, sva_unbind_device(c->dev, c->pasid));
	KUNIT_EXPECT_EQ(test, 0, atomic64_read(&c->space->mm->pinned_vm));
}

static inline int pin(struct pin_case *c, size_t offset, size_t len, bool write)
{
	return sva_pin_range(c->dev, c->pasid, c->space->addr + offset, len, write);
}

static inline int unpin(struct pin_case *c, size_t offset, size_t len)
{
	return sva_unpin_range(c->dev, c->pasid, c->space->addr + offset, len);
}

static inline s64 pinned_pages(struct pin_case *c)
{
	return atomic64_read(&c->space->mm->pinned_vm);
}

/* The page at @addr of the address space that the test uses, with a reference. */
static inline struct page *page_at(struct kunit *test, unsigned long addr)
{
	struct page *page;

	KUNIT_ASSERT_EQ(test, 1, get_user_pages_fast(addr, 1, 0, &page));
	return page;
}

static inline bool is_pinned(struct kunit *test, unsigned long addr)
{
	struct page *page = page_at(test, addr);
	bool pinned = folio_maybe_dma_pinned(page_folio(page));

	put_page(page);
	return pinned;
}

#endif /* SVA_TEST_PIN_CASE_H */
