// SPDX-License-Identifier: GPL-2.0-only

#include <linux/jiffies.h>
#include <linux/minmax.h>
#include <linux/timer.h>

#include "helpers.h"

bool lkm_timer_is_pending(const struct timer_list *timer)
{
	return timer_pending(timer);
}

/* Returns whether it was pending. */
bool lkm_timer_modify(struct timer_list *timer, unsigned long delay)
{
	return mod_timer(timer, jiffies + delay);
}

/*
 * For a timer that goes off just now: it does so again when so many intervals are over
 * since the time when it was to go off that this is in the future. That time is no longer
 * known if somebody has started the timer meanwhile for a later one.
 */
void lkm_timer_forward(struct timer_list *timer, unsigned long interval)
{
	unsigned long next = READ_ONCE(timer->expires), now = jiffies;

	interval = max(interval, 1UL);
	if (time_after(next, now))
		next = now;
	next += ((now - next) / interval + 1) * interval;
	mod_timer(timer, next);
}
