// SPDX-License-Identifier: GPL-2.0-only

#include <linux/module.h>

static int __init hello_init(void)
{
	pr_info("Hello, world 2\n");
	return 0;
}
module_init(hello_init);

static void __exit hello_exit(void)
{
	pr_info("Goodbye, world 2\n");
}
module_exit(hello_exit);

MODULE_AUTHOR("lkmpg-rs");
MODULE_DESCRIPTION("Hello and goodbye by any name");
MODULE_LICENSE("GPL");
