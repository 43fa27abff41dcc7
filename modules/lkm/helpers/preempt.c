// SPDX-License-Identifier: GPL-2.0-only

#include <linux/preempt.h>
#include <linux/sched.h>

#include "helpers.h"

unsigned char lkm_interrupt_context_level(void)
{
	/* With PREEMPT_RT the preemption count does not tell of a softirq. */
	return interrupt_context_level() ?: !!in_serving_softirq();
}
