// SPDX-License-Identifier: GPL-2.0-only

#include <linux/compiler.h>
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

/*
 * What waits for those who look at what was stopped, or NULL. So a module that has nothing of
 * that kind does not have its code either. Nobody may know what it can be: only READ_ONCE() and
 * WRITE_ONCE() keep the compiler from calling the one function by its name.
 */
static void (*end_of_rest)(void);

/* All things were stopped. May sleep. */
void lkm_alive_end(void)
{
	void (*end)(void);

	cancel_work_sync(&reaper);
	end = READ_ONCE(end_of_rest);
	if (end)
		end();
}
