// SPDX-License-Identifier: GPL-2.0
/* What an mm_struct says of the process behind it. */

#include <linux/maple_tree.h>
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/sched/mm.h>

/* Nothing is mapped: of a process that exits, all memory is back. */
bool rust_helper_sva_mm_is_empty(struct mm_struct *mm)
{
	return mtree_empty(&mm->mm_mt);
}

int rust_helper_sva_mm_users(struct mm_struct *mm)
{
	return atomic_read(&mm->mm_users);
}

int rust_helper_sva_mmap_read_lock_killable(struct mm_struct *mm)
{
	return mmap_read_lock_killable(mm);
}

/*
 * The name of the current process, in TASK_COMM_LEN bytes. Its last byte is always 0; one that is
 * just being changed may be half old.
 */
void rust_helper_sva_comm(char *comm)
{
	memcpy(comm, current->group_leader->comm, TASK_COMM_LEN);
}
