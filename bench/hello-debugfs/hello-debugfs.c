// SPDX-License-Identifier: GPL-2.0-only

#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

static u32 debug_value = 42;
module_param(debug_value, uint, 0600);
MODULE_PARM_DESC(debug_value, "Value exported through both sysfs and debugfs");

static bool debug_enabled = true;
module_param(debug_enabled, bool, 0600);
MODULE_PARM_DESC(debug_enabled, "Enable or disable the example flag");

static struct dentry *dir;

static int __init hello_init(void)
{
	dir = debugfs_create_dir("lkmpg_debugfs", NULL);
	if (IS_ERR(dir))
		return PTR_ERR(dir);
	debugfs_create_u32("debug_value", 0600, dir, &debug_value);
	debugfs_create_bool("debug_enabled", 0600, dir, &debug_enabled);
	pr_info("debugfs interface registered under /sys/kernel/debug/%s\n",
		"lkmpg_debugfs");
	return 0;
}
module_init(hello_init);

static void __exit hello_exit(void)
{
	debugfs_remove(dir);
	pr_info("debugfs example removed\n");
}
module_exit(hello_exit);

MODULE_AUTHOR("lkmpg-rs");
MODULE_DESCRIPTION("Export simple values through debugfs");
MODULE_LICENSE("GPL");
