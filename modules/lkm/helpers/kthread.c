// SPDX-License-Identifier: GPL-2.0-only

#include <linux/kthread.h>
#include <linux/sched.h>

#include "helpers.h"

/* Only for kernel threads: a request to stop or to park wakes them. */
long lkm_kthread_sleep(long timeout)
{
	set_current_state(TASK_INTERRUPTIBLE);
	if (!kthread_should_stop() && !kthread_should_park())
		timeout = schedule_timeout(timeout);
	__set_current_state(TASK_RUNNING);
	return timeout;
}
