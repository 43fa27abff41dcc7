// SPDX-License-Identifier: GPL-2.0-only

#include <linux/irqflags.h>
#include <linux/preempt.h>

#include "helpers.h"

static DEFINE_SPINLOCK(alive_lock);
static DECLARE_WORK(reaper, lkm_reap);

unsigned long lkm_alive_lock(void)
{
	unsigned long flags;

	spin_lock_irqsave(&alive_lock, flags);
	return flags;
}

void lkm_alive_unlock(unsigned long flags)
{
	spin_unlock_irqrestore(&alive_lock, flags);
}

/*
 * Whether the caller is in an interrupt or a softirq, or one is off. Some drivers call the
 * handlers of interrupts in process context. So does send(2) the function of a net device that
 * sends a frame.
 */
bool lkm_must_not_sleep(void)
{
	return irqs_disabled() || in_interrupt();
}

void lkm_reaper_start(void)
{
	queue_work(system_dfl_wq, &reaper);
}

void lkm_reaper_end(void)
{
	cancel_work_sync(&reaper);
}
