// SPDX-License-Identifier: GPL-2.0-only

#include <linux/preempt.h>

#include "helpers.h"

unsigned char lkm_interrupt_context_level(void)
{
	return interrupt_context_level();
}
