// SPDX-License-Identifier: GPL-2.0-only

#include <linux/interrupt.h>

#include "helpers.h"

void lkm_tasklet_schedule(struct tasklet_struct *tasklet)
{
	tasklet_schedule(tasklet);
}

/* As tasklet_kill(), but it stays scheduled: to schedule it does nothing. */
void lkm_tasklet_close(struct tasklet_struct *tasklet)
{
	wait_on_bit_lock(&tasklet->state, TASKLET_STATE_SCHED,
			 TASK_UNINTERRUPTIBLE);
	tasklet_unlock_wait(tasklet);
}
