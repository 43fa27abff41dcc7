// SPDX-License-Identifier: GPL-2.0-only

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/minmax.h>
#include <linux/overflow.h>
#include <linux/printk.h>

#include "cool.h"

void cool_function(Item *cs)
{
	pr_info("cool item %d %d\n", cs->x, cs->y);
}

void cool_swap(Item *cs)
{
	swap(cs->x, cs->y);
}

bool cool_sum(const Item *cs, int *sum)
{
	return !check_add_overflow(cs->x, cs->y, sum);
}
