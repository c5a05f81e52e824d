// SPDX-License-Identifier: GPL-2.0
/* Directories in configfs that go while users may be making others in them. */

#include <linux/configfs.h>
#include <linux/fs.h>

/*
 * Lets nobody make anything in the directory of @group any more, if nothing is in it
 * now; whether that was so. May sleep.
 */
bool rust_helper_sva_configfs_close(struct config_group *group)
{
	struct inode *dir = d_inode(group->cg_item.ci_dentry);
	bool empty;

	/* A mkdir(2) holds this lock from its look at the flag until the new entry is listed. */
	inode_lock(dir);
	empty = list_empty(&group->cg_children);
	if (empty)
		dir->i_flags |= S_DEAD;
	inode_unlock(dir);
	return empty;
}

/*
 * Gives a subsystem's mutex a lock class of ours. That of the kernel crate is one for all, but
 * named anew in each module, of which lockdep complains.
 */
void rust_helper_sva_configfs_set_class(struct configfs_subsystem *subsystem)
{
	static struct lock_class_key key;

	lockdep_set_class(&subsystem->su_mutex, &key);
}
