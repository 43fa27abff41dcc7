// SPDX-License-Identifier: GPL-2.0-only

#include <linux/module.h>

static int number __initdata = 3;

static int __init hello_init(void)
{
	pr_info("Hello, world %d\n", number);
	return 0;
}
module_init(hello_init);

static void __exit hello_exit(void)
{
	pr_info("Goodbye, world 3\n");
}
module_exit(hello_exit);

MODULE_AUTHOR("lkmpg-rs");
MODULE_DESCRIPTION("Code and data for init only, freed after it");
MODULE_LICENSE("GPL");
