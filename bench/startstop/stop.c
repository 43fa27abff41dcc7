// SPDX-License-Identifier: GPL-2.0-only

#include <linux/module.h>

void cleanup_module(void)
{
	pr_info("Short is the life of a kernel module\n");
}
