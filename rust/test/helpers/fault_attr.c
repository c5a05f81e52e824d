// SPDX-License-Identifier: GPL-2.0
/* Failures on request, by files in debugfs. */

#include <linux/dcache.h>
#include <linux/debugfs.h>
#include <linux/fault-inject.h>

#ifdef CONFIG_FAULT_INJECTION_DEBUG_FS
/* Fails nothing, and says nothing when it does. */
void rust_helper_sva_fault_attr_init(struct fault_attr *attr)
{
	static const DECLARE_FAULT_ATTR(initial);

	*attr = initial;
	attr->verbose = 0;
}

/*
 * Shows @attr in debugfs as the directory @top/@sub/@name, and gets a reference
 * to that. May sleep.
 */
struct dentry *rust_helper_sva_fault_attr_show(struct fault_attr *attr, const char *top,
					       const char *sub, const char *name)
{
	struct dentry *first = debugfs_lookup(top, NULL), *second, *dir;

	if (IS_ERR_OR_NULL(first))
		return ERR_PTR(-ENOENT);
	second = debugfs_lookup(sub, first);
	dput(first);
	if (IS_ERR_OR_NULL(second))
		return ERR_PTR(-ENOENT);
	dir = fault_create_debugfs_attr(name, second, attr);
	if (!IS_ERR(dir))
		dget(dir);
	dput(second);
	return dir;
}

/* Undoes sva_fault_attr_show(), also if what @dir is in was removed before. */
void rust_helper_sva_fault_attr_remove(struct dentry *dir)
{
	if (!d_unhashed(dir))
		debugfs_remove(dir);
	dput(dir);
}

/*
 * Only what was asked for here fails: not the n-th of whatever a task does, by
 * /proc/<pid>/fail-nth, which is about allocations.
 */
bool rust_helper_sva_fault_should_fail(struct fault_attr *attr)
{
	return READ_ONCE(attr->probability) && should_fail(attr, 1);
}
#endif
