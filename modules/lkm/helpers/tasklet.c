// SPDX-License-Identifier: GPL-2.0-only

#include <linux/interrupt.h>

#include "helpers.h"

void lkm_tasklet_schedule(struct tasklet_struct *tasklet)
{
	tasklet_schedule(tasklet);
}
