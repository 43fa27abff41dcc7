// SPDX-License-Identifier: GPL-2.0-only

#include <linux/atomic.h>
#include <linux/device.h>
#include <linux/fs.h>
#include <linux/jump_label.h>
#include <linux/module.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#define NAME "key_state"
#define COMMAND_LEN 10

static DEFINE_STATIC_KEY_FALSE(fkey);

/* One process at a time may have the device open. */
static atomic_t is_open = ATOMIC_INIT(0);

/* What the key was when the device was opened: who has it open is alone with it. */
static const char *state;

static unsigned int major;
static struct class *cls;

static int device_open(struct inode *inode, struct file *file)
{
	if (atomic_cmpxchg(&is_open, 0, 1))
		return -EBUSY;
	state = static_key_enabled(&fkey) ? "enabled\n" : "disabled\n";
	pr_info("fastpath 1\n");
	if (static_branch_unlikely(&fkey))
		pr_alert("do unlikely thing\n");
	pr_info("fastpath 2\n");
	return 0;
}

static int device_release(struct inode *inode, struct file *file)
{
	atomic_set_release(&is_open, 0);
	return 0;
}

static ssize_t device_read(struct file *file, char __user *buf, size_t count,
			   loff_t *pos)
{
	return simple_read_from_buffer(buf, count, pos, state, strlen(state));
}

static ssize_t device_write(struct file *file, const char __user *buf,
			    size_t count, loff_t *pos)
{
	char command[COMMAND_LEN + 1];

	if (count > COMMAND_LEN) {
		pr_err("command exceeded %d char\n", COMMAND_LEN);
		return -EINVAL;
	}
	if (copy_from_user(command, buf, count))
		return -EFAULT;
	command[count] = '\0';
	if (sysfs_streq(command, "enable")) {
		static_branch_enable(&fkey);
	} else if (sysfs_streq(command, "disable")) {
		static_branch_disable(&fkey);
	} else {
		pr_err("Invalid command: %*pE\n", (int)count, command);
		return -EINVAL;
	}
	return count;
}

static const struct file_operations fops = {
	.owner = THIS_MODULE,
	.open = device_open,
	.release = device_release,
	.read = device_read,
	.write = device_write,
	.llseek = default_llseek,
};

static int __init static_key_init(void)
{
	struct device *device;
	int result = register_chrdev(0, NAME, &fops);

	if (result < 0)
		return result;
	major = result;
	cls = class_create(NAME);
	if (IS_ERR(cls)) {
		result = PTR_ERR(cls);
		goto unregister;
	}
	device = device_create(cls, NULL, MKDEV(major, 0), NULL, NAME);
	if (IS_ERR(device)) {
		result = PTR_ERR(device);
		goto destroy;
	}
	pr_info("I was assigned major number %u\n", major);
	pr_info("Device created on /dev/%s\n", NAME);
	return 0;

destroy:
	class_destroy(cls);
unregister:
	unregister_chrdev(major, NAME);
	return result;
}
module_init(static_key_init);

static void __exit static_key_exit(void)
{
	device_destroy(cls, MKDEV(major, 0));
	class_destroy(cls);
	unregister_chrdev(major, NAME);
}
module_exit(static_key_exit);

MODULE_AUTHOR("lkmpg-rs");
MODULE_DESCRIPTION("A static key that is switched through /dev/key_state");
MODULE_LICENSE("GPL");
