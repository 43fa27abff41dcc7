// SPDX-License-Identifier: GPL-2.0-only

#include <linux/module.h>
#include <linux/moduleparam.h>

static int watched = 42;

static int watched_set(const char *text, const struct kernel_param *param)
{
	int error = param_set_int(text, param);

	if (!error)
		pr_info("watched updated to %d\n", watched);
	return error;
}

static int watched_get(char *buffer, const struct kernel_param *param)
{
	pr_info("watched was read\n");
	return param_get_int(buffer, param);
}

static const struct kernel_param_ops watched_ops = {
	.set = watched_set,
	.get = watched_get,
};
module_param_cb(watched, &watched_ops, &watched, 0644);
__MODULE_PARM_TYPE(watched, "int");
MODULE_PARM_DESC(watched, "An integer that logs every update");

static int __init hello_init(void)
{
	pr_info("Hello, world 6\n");
	pr_info("watched starts at %d\n", watched);
	return 0;
}
module_init(hello_init);

static void __exit hello_exit(void)
{
	pr_info("Goodbye, world 6\n");
}
module_exit(hello_exit);

MODULE_AUTHOR("lkmpg-rs");
MODULE_DESCRIPTION("A parameter with callbacks");
MODULE_LICENSE("GPL");
