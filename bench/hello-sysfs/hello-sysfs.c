// SPDX-License-Identifier: GPL-2.0-only

#include <linux/kobject.h>
#include <linux/kstrtox.h>
#include <linux/module.h>
#include <linux/sysfs.h>

static struct kobject *mymodule;
static int myvariable;

static ssize_t myvariable_show(struct kobject *kobj,
			       struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n", READ_ONCE(myvariable));
}

static ssize_t myvariable_store(struct kobject *kobj,
				struct kobj_attribute *attr, const char *buf,
				size_t count)
{
	int value;
	int error = kstrtoint(buf, 10, &value);

	if (error)
		return error;
	WRITE_ONCE(myvariable, value);
	return count;
}

static struct kobj_attribute attribute =
	__ATTR(myvariable, 0660, myvariable_show, myvariable_store);

static int __init mymodule_init(void)
{
	int error;

	mymodule = kobject_create_and_add("mymodule", kernel_kobj);
	if (!mymodule)
		return -ENOMEM;
	error = sysfs_create_file(mymodule, &attribute.attr);
	if (error) {
		kobject_put(mymodule);
		return error;
	}
	pr_info("mymodule: initialized\n");
	return 0;
}
module_init(mymodule_init);

static void __exit mymodule_exit(void)
{
	kobject_put(mymodule);
	pr_info("mymodule: Exit success\n");
}
module_exit(mymodule_exit);

MODULE_AUTHOR("lkmpg-rs");
MODULE_DESCRIPTION("A number in /sys: /sys/kernel/mymodule/myvariable");
MODULE_LICENSE("GPL");
