// SPDX-License-Identifier: GPL-2.0-only

#include <linux/kthread.h>
#include <linux/sched.h>

#include "helpers.h"

/* Ends the waits of a kernel thread that a signal can end, as kthread_stop() does. */
void lkm_kthread_interrupt(struct task_struct *task)
{
	/* Who sees the flag is to see why. */
	smp_mb__before_atomic();
	set_tsk_thread_flag(task, TIF_NOTIFY_SIGNAL);
	wake_up_process(task);
}

/*
 * Only for kernel threads: a request to stop wakes them, and so does who changes the
 * state to that one.
 */
long lkm_kthread_sleep(long timeout, const u32 *state, u32 until)
{
	set_current_state(TASK_INTERRUPTIBLE);
	if (READ_ONCE(*state) != until)
		timeout = schedule_timeout(timeout);
	__set_current_state(TASK_RUNNING);
	return timeout;
}
