// SPDX-License-Identifier: GPL-2.0-only

#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/math64.h>
#include <linux/minmax.h>

#include "helpers.h"

long lkm_jiffies(s64 ns)
{
	u64 jiffies;
	u32 rest;

	if (ns <= 0)
		return 0;
	jiffies = div_u64_rem(ns, NSEC_PER_SEC, &rest) * HZ;
	jiffies += DIV_ROUND_UP_ULL((u64)rest * HZ, NSEC_PER_SEC);
	return min(jiffies, (u64)MAX_JIFFY_OFFSET);
}

u64 lkm_ticks(void)
{
	return get_jiffies_64();
}

unsigned int lkm_ticks_per_second(void)
{
	return HZ;
}

void lkm_udelay(u64 usec)
{
	udelay(min(usec, (u64)MAX_UDELAY_MS * USEC_PER_MSEC));
}
