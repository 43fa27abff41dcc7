// SPDX-License-Identifier: GPL-2.0-only

#include <linux/module.h>

int init_module(void)
{
	pr_info("Hello, world - this is the kernel speaking\n");
	return 0;
}

MODULE_AUTHOR("lkmpg-rs");
MODULE_DESCRIPTION("A module that spans two files");
MODULE_LICENSE("GPL");
