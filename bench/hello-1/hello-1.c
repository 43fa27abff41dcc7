// SPDX-License-Identifier: GPL-2.0-only

#include <linux/module.h>

int init_module(void)
{
	pr_info("Hello world 1.\n");
	return 0;
}

void cleanup_module(void)
{
	pr_info("Goodbye world 1.\n");
}

MODULE_AUTHOR("lkmpg-rs");
MODULE_DESCRIPTION("The simplest module: hello and goodbye");
MODULE_LICENSE("GPL");
