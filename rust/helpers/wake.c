// SPDX-License-Identifier: GPL-2.0
/* Kernel threads whose waits can be ended by a signal. */

#include <linux/sched/signal.h>

bool rust_helper_sva_is_kthread(void)
{
	return current->flags & PF_KTHREAD;
}

/*
 * A kernel thread ignores signals unless it asks for them; it never dies of one.
 * Only the kernel's own count: nobody's kill(1) ends a wait.
 */
void rust_helper_sva_accept_kill(void)
{
	allow_kernel_signal(SIGKILL);
}

void rust_helper_sva_ignore_kill(void)
{
	disallow_signal(SIGKILL);
	flush_signals(current);
}

void rust_helper_sva_send_kill(struct task_struct *task)
{
	send_sig(SIGKILL, task, 1);
}

bool rust_helper_sva_is_being_killed(void)
{
	return fatal_signal_pending(current);
}
