// SPDX-License-Identifier: GPL-2.0
/* Address spaces without a process. */

#include <linux/kthread.h>
#include <linux/mman.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>

#include "bench.h"

/* A new address space; with @pages pages that nobody has touched, if any. */
int bench_space_make(struct bench_space *space, size_t pages)
{
	space->mm = mm_alloc();
	if (!space->mm)
		return -ENOMEM;
	space->mm->task_size = TASK_SIZE;
	arch_pick_mmap_layout(space->mm, &current->signal->rlim[RLIMIT_STACK]);
	space->addr = 0;
	space->len = pages * PAGE_SIZE;
	if (!pages)
		return 0;

	bench_space_enter(space);
	space->addr = vm_mmap(NULL, 0, space->len, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, 0);
	bench_space_leave(space);
	if (IS_ERR_VALUE(space->addr)) {
		bench_space_drop(space);
		return -ENOMEM;
	}
	return 0;
}

/* Ends the address space. */
void bench_space_drop(struct bench_space *space)
{
	mmput(space->mm);
	space->mm = NULL;
}

/* The calling thread uses the address space, as a process does its own. */
void bench_space_enter(struct bench_space *space)
{
	kthread_use_mm(space->mm);
}

void bench_space_leave(struct bench_space *space)
{
	kthread_unuse_mm(space->mm);
}
