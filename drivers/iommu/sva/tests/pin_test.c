// SPDX-License-Identifier: GPL-2.0
/* Bonds without page requests, and the memory pinned for them: S7. */

#include <linux/cred.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mman.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/shmem_fs.h>

#include "pin_case.h"

/* A mapping of a new file in memory, of one page. */
static unsigned long map_file(struct kunit *test, unsigned long flags, struct file **file)
{
	unsigned long addr;

	*file = shmem_file_setup("sva_test", PAGE_SIZE, mk_vma_flags());
	KUNIT_ASSERT_FALSE(test, IS_ERR(*file));
	addr = vm_mmap(*file, 0, PAGE_SIZE, PROT_READ | PROT_WRITE, flags, 0);
	/* The mapping has a reference of its own. */
	if (IS_ERR_VALUE(addr))
		fput(*file);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
	return addr;
}

static u64 in_file(struct kunit *test, struct file *file)
{
	loff_t pos = 0;
	u64 value = -1;

	KUNIT_EXPECT_EQ(test, sizeof(value), kernel_read(file, &value, sizeof(value), &pos));
	return value;
}

static void s7_page_requests_are_refused(struct kunit *test)
{
	struct pin_case c = bound(test);
	u64 value;
	int other;

	KUNIT_EXPECT_NE(test, 0, sva_test_read(c.dev, c.pasid, c.space->addr, &value));
	KUNIT_EXPECT_NE(test, 0, sva_test_write(c.dev, c.pasid, c.space->addr, 1));
	KUNIT_EXPECT_EQ(test, 0, get_mm_rss(c.space->mm));

	/* What is there can be used, but a page that is there for reading is not made writable. */
	KUNIT_ASSERT_EQ(test, 0, get_user(value, (u64 __user *)c.space->addr));
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(c.dev, c.pasid, c.space->addr, &value));
	KUNIT_EXPECT_NE(test, 0, sva_test_write(c.dev, c.pasid, c.space->addr, 1));

	KUNIT_EXPECT_EQ(test, -EEXIST, sva_bind_device(c.dev, c.space->mm, &other,
						       SVA_TEST_FLAGS, NULL));
	unbound(test, &c);
}

static void s7_pinned_range_is_read_and_written(struct kunit *test)
{
	struct pin_case c = bound(test);
	u8 *buffer = kunit_kmalloc(test, c.space->len, GFP_KERNEL);
	u64 value;

	KUNIT_ASSERT_NOT_NULL(test, buffer);
	KUNIT_ASSERT_EQ(test, 0, pin(&c, 0, c.space->len, true));
	KUNIT_EXPECT_EQ(test, c.space->len / PAGE_SIZE, pinned_pages(&c));
	KUNIT_EXPECT_TRUE(test, is_pinned(test, c.space->addr));

	memset(buffer, 0x5a, c.space->len);
	KUNIT_EXPECT_EQ(test, 0, sva_test_dma(c.dev, c.pasid, c.space->addr, buffer,
					      c.space->len, true));
	KUNIT_EXPECT_EQ(test, 0, get_user(value, (u64 __user *)(c.space->addr + c.space->len - 8)));
	KUNIT_EXPECT_EQ(test, 0x5a5a5a5a5a5a5a5aULL, value);

	KUNIT_EXPECT_EQ(test, 0, put_user(0x7ULL, (u64 __user *)c.space->addr));
	KUNIT_EXPECT_EQ(test, 0, sva_test_dma(c.dev, c.pasid, c.space->addr, buffer,
					      c.space->len, false));
	KUNIT_EXPECT_EQ(test, 7, buffer[0]);
	KUNIT_EXPECT_EQ(test, 0x5a, buffer[c.space->len - 1]);
	unbound(test, &c);
}

static void s7_zero_page_is_replaced(struct kunit *test)
{
	struct pin_case c = bound(test);
	unsigned long second = c.space->addr + PAGE_SIZE;
	struct page *before, *after;
	u64 value;

	/* The process has read: both pages are the one page of zeroes. */
	KUNIT_ASSERT_EQ(test, 0, get_user(value, (u64 __user *)c.space->addr));
	KUNIT_ASSERT_EQ(test, 0, get_user(value, (u64 __user *)second));

	KUNIT_ASSERT_EQ(test, 0, pin(&c, 0, PAGE_SIZE, true));
	KUNIT_EXPECT_EQ(test, 0, sva_test_write(c.dev, c.pasid, c.space->addr, 0x77));
	KUNIT_EXPECT_EQ(test, 0, get_user(value, (u64 __user *)c.space->addr));
	KUNIT_EXPECT_EQ(test, 0x77, value);

	/* Pinned for reading, it stays the process's own page when the process writes. */
	KUNIT_ASSERT_EQ(test, 0, pin(&c, PAGE_SIZE, PAGE_SIZE, false));
	before = page_at(test, second);
	KUNIT_EXPECT_FALSE(test, is_zero_page(before));
	KUNIT_EXPECT_EQ(test, 0, put_user(0x78ULL, (u64 __user *)second));
	after = page_at(test, second);
	KUNIT_EXPECT_PTR_EQ(test, before, after);
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(c.dev, c.pasid, second, &value));
	KUNIT_EXPECT_EQ(test, 0x78, value);
	put_page(before);
	put_page(after);
	unbound(test, &c);
}

static void s7_private_file_is_copied_when_pinned(struct kunit *test)
{
	struct pin_case c = bound(test);
	struct file *file;
	u64 value;

	c.space->addr = map_file(test, MAP_PRIVATE, &file);
	KUNIT_EXPECT_EQ(test, 0, get_user(value, (u64 __user *)c.space->addr));
	KUNIT_EXPECT_EQ(test, 0, pin(&c, 0, PAGE_SIZE, true));
	KUNIT_EXPECT_EQ(test, 0, sva_test_write(c.dev, c.pasid, c.space->addr, 0x77));
	KUNIT_EXPECT_EQ(test, 0, get_user(value, (u64 __user *)c.space->addr));
	KUNIT_EXPECT_EQ(test, 0x77, value);
	KUNIT_EXPECT_EQ(test, 0, in_file(test, file));
	fput(file);
	unbound(test, &c);
}

static void s7_shared_file_is_written(struct kunit *test)
{
	struct pin_case c = bound(test);
	struct file *file;

	c.space->addr = map_file(test, MAP_SHARED, &file);
	KUNIT_EXPECT_EQ(test, 0, pin(&c, 0, PAGE_SIZE, true));
	KUNIT_EXPECT_EQ(test, 0, sva_test_write(c.dev, c.pasid, c.space->addr, 0x77));
	KUNIT_EXPECT_EQ(test, 0x77, in_file(test, file));
	fput(file);
	unbound(test, &c);
}

static void s7_read_only_pin_is_not_written(struct kunit *test)
{
	struct pin_case c = bound(test);
	unsigned long writable = c.space->addr;
	u64 value;

	KUNIT_ASSERT_EQ(test, 0, pin(&c, 0, PAGE_SIZE, false));
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(c.dev, c.pasid, writable, &value));
	KUNIT_EXPECT_NE(test, 0, sva_test_write(c.dev, c.pasid, writable, 1));

	c.space->addr = vm_mmap(NULL, 0, PAGE_SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(c.space->addr));
	KUNIT_EXPECT_EQ(test, -EFAULT, pin(&c, 0, PAGE_SIZE, true));
	KUNIT_ASSERT_EQ(test, 0, pin(&c, 0, PAGE_SIZE, false));
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(c.dev, c.pasid, c.space->addr, &value));
	KUNIT_EXPECT_NE(test, 0, sva_test_write(c.dev, c.pasid, c.space->addr, 1));
	unbound(test, &c);
}

static void s7_foreign_mm_is_pinned(struct kunit *test)
{
	struct pin_case c = bound(test);
	u64 value = 1;
	int error;

	sva_test_unuse(c.space);
	error = pin(&c, 0, c.space->len, true);
	sva_test_use(c.space);

	KUNIT_EXPECT_EQ(test, 0, error);
	KUNIT_EXPECT_EQ(test, c.space->len / PAGE_SIZE, pinned_pages(&c));
	KUNIT_EXPECT_EQ(test, 0, sva_test_write(c.dev, c.pasid, c.space->addr, 0x77));
	KUNIT_EXPECT_EQ(test, 0, get_user(value, (u64 __user *)c.space->addr));
	KUNIT_EXPECT_EQ(test, 0x77, value);
	unbound(test, &c);
}

static void s7_memlock_limit(struct kunit *test)
{
	struct pin_case c = bound(test);
	struct rlimit *limit = &current->signal->rlim[RLIMIT_MEMLOCK];
	unsigned long former = limit->rlim_cur;
	struct cred *cred = prepare_creds();
	const struct cred *old;
	int fits, too_much, again, unpinned, privileged;

	KUNIT_ASSERT_NOT_NULL(test, cred);
	cap_lower(cred->cap_effective, CAP_IPC_LOCK);
	limit->rlim_cur = 4 * PAGE_SIZE;
	old = override_creds(cred);
	fits = pin(&c, 0, 4 * PAGE_SIZE, true);
	too_much = pin(&c, 8 * PAGE_SIZE, PAGE_SIZE, false);
	/* The same pages once more count once more. */
	again = pin(&c, 0, PAGE_SIZE, true);
	put_cred(revert_creds(old));

	KUNIT_EXPECT_EQ(test, 0, fits);
	KUNIT_EXPECT_EQ(test, -ENOMEM, too_much);
	KUNIT_EXPECT_EQ(test, -ENOMEM, again);
	KUNIT_EXPECT_EQ(test, 4, pinned_pages(&c));

	unpinned = unpin(&c, 0, 4 * PAGE_SIZE);
	privileged = pin(&c, 0, 8 * PAGE_SIZE, true);
	limit->rlim_cur = former;
	KUNIT_EXPECT_EQ(test, 0, unpinned);
	KUNIT_EXPECT_EQ(test, 0, privileged);
	KUNIT_EXPECT_EQ(test, 8, pinned_pages(&c));
	unbound(test, &c);
}

static void s7_partial_failure_leaves_nothing_pinned(struct kunit *test)
{
	struct pin_case c = bound(test);

	KUNIT_ASSERT_EQ(test, 0, vm_munmap(c.space->addr + 32 * PAGE_SIZE, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -EFAULT, pin(&c, 0, c.space->len, true));
	KUNIT_EXPECT_EQ(test, 0, pinned_pages(&c));
	KUNIT_EXPECT_FALSE(test, is_pinned(test, c.space->addr));
	KUNIT_EXPECT_FALSE(test, is_pinned(test, c.space->addr + 31 * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -ENOENT, unpin(&c, 0, c.space->len));

	/* The same call works as soon as it can. */
	KUNIT_EXPECT_EQ(test, 0, pin(&c, 0, 32 * PAGE_SIZE, true));
	unbound(test, &c);
}

static void s7_wrong_arguments(struct kunit *test)
{
	struct pin_case c = bound(test);
	struct device *plain = sva_test_plain_device(test);
	unsigned long addr = c.space->addr;

	KUNIT_EXPECT_EQ(test, -EINVAL, sva_pin_range(NULL, c.pasid, addr, PAGE_SIZE, true));
	KUNIT_EXPECT_EQ(test, -EINVAL, sva_pin_range(plain, c.pasid, addr, PAGE_SIZE, true));
	KUNIT_EXPECT_EQ(test, -EINVAL, pin(&c, 0, 0, true));
	KUNIT_EXPECT_EQ(test, -EINVAL, pin(&c, 8, PAGE_SIZE, true));
	KUNIT_EXPECT_EQ(test, -EINVAL, pin(&c, 0, PAGE_SIZE + 8, true));
	KUNIT_EXPECT_EQ(test, -EINVAL, pin(&c, 0, PAGE_ALIGN_DOWN(ULONG_MAX), true));
	KUNIT_EXPECT_EQ(test, -ESRCH, sva_pin_range(c.dev, c.pasid + 1, addr, PAGE_SIZE, true));
	KUNIT_EXPECT_EQ(test, -ESRCH, sva_pin_range(c.dev, -1, addr, PAGE_SIZE, true));

	KUNIT_EXPECT_EQ(test, -EINVAL, sva_unpin_range(NULL, c.pasid, addr, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -EINVAL, unpin(&c, 0, 0));
	KUNIT_EXPECT_EQ(test, -ESRCH, sva_unpin_range(c.dev, c.pasid + 1, addr, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -ENOENT, unpin(&c, 0, PAGE_SIZE));

	/* Nothing is mapped, or for users, there; or it is more than the kernel can list. */
	KUNIT_EXPECT_EQ(test, -EFAULT, sva_pin_range(c.dev, c.pasid, PAGE_ALIGN_DOWN(ULONG_MAX) -
						     PAGE_SIZE, PAGE_SIZE, false));
	KUNIT_EXPECT_EQ(test, -ENOMEM, sva_pin_range(c.dev, c.pasid, PAGE_SIZE,
						     1ULL << 46, false));
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(addr, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -EFAULT, pin(&c, 0, PAGE_SIZE, false));
	unbound(test, &c);
}

static void s7_bond_with_iopf_may_have_pins(struct kunit *test)
{
	struct pin_case c = {
		.dev = sva_test_device(test, NULL),
		.space = sva_test_mm(test),
	};

	KUNIT_ASSERT_EQ(test, 0, sva_bind_device(c.dev, c.space->mm, &c.pasid, SVA_TEST_FLAGS,
						 NULL));
	KUNIT_EXPECT_EQ(test, 0, pin(&c, 0, 4 * PAGE_SIZE, true));
	KUNIT_EXPECT_EQ(test, 0, sva_test_write(c.dev, c.pasid, c.space->addr, 1));
	/* What is not pinned is faulted in. */
	KUNIT_EXPECT_EQ(test, 0, sva_test_write(c.dev, c.pasid, c.space->addr + 8 * PAGE_SIZE, 1));
	unbound(test, &c);
}

static struct kunit_case sva_pin_cases[] = {
	KUNIT_CASE(s7_page_requests_are_refused),
	KUNIT_CASE(s7_pinned_range_is_read_and_written),
	KUNIT_CASE(s7_zero_page_is_replaced),
	KUNIT_CASE(s7_private_file_is_copied_when_pinned),
	KUNIT_CASE(s7_shared_file_is_written),
	KUNIT_CASE(s7_read_only_pin_is_not_written),
	KUNIT_CASE(s7_foreign_mm_is_pinned),
	KUNIT_CASE(s7_memlock_limit),
	KUNIT_CASE(s7_partial_failure_leaves_nothing_pinned),
	KUNIT_CASE(s7_wrong_arguments),
	KUNIT_CASE(s7_bond_with_iopf_may_have_pins),
	{}
};

struct kunit_suite sva_pin_suite = {
	.name = "sva_pin",
	.test_cases = sva_pin_cases,
};
