// SPDX-License-Identifier: GPL-2.0-only

#include <linux/sched.h>
#include <linux/string.h>

#include "helpers.h"

void lkm_cond_resched(void)
{
	cond_resched();
}

/* @into holds TASK_COMM_LEN bytes. */
void lkm_current_comm(char *into)
{
	strscpy(into, current->comm, TASK_COMM_LEN);
}
