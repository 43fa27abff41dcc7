// SPDX-License-Identifier: GPL-2.0-only

#include <linux/mm.h>

#include "helpers.h"

u64 lkm_totalram(void)
{
	return (u64)totalram_pages() << PAGE_SHIFT;
}
