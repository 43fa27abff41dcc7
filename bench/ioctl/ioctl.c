// SPDX-License-Identifier: GPL-2.0-only

#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/fs.h>
#include <linux/ioctl.h>
#include <linux/limits.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#define NAME "ioctltest"

/* How many bytes are copied to a reader at a time. */
#define CHUNK 256

struct ioctl_arg {
	unsigned int val;
};

#define IOC_MAGIC '\x66'
#define IOCTL_VALSET _IOW(IOC_MAGIC, 0, struct ioctl_arg)
#define IOCTL_VALGET _IOR(IOC_MAGIC, 1, struct ioctl_arg)
#define IOCTL_VALGET_NUM _IOR(IOC_MAGIC, 2, int)
#define IOCTL_VALSET_NUM _IO(IOC_MAGIC, 3)

/* What each opening has. */
struct opened {
	rwlock_t lock;
	unsigned char val;
};

/* It is one for all, and nothing goes by it. */
static int ioctl_num;

static dev_t dev;
static struct cdev cdev;
static struct class *cls;

static unsigned char value_of(struct opened *opened)
{
	unsigned char val;

	read_lock(&opened->lock);
	val = opened->val;
	read_unlock(&opened->lock);
	return val;
}

static long set_value(struct opened *opened, const void __user *arg)
{
	struct ioctl_arg data;

	if (copy_from_user(&data, arg, sizeof(data)))
		return -EFAULT;
	if (data.val > U8_MAX)
		return -EINVAL;
	pr_alert("IOCTL set val:%x .\n", data.val);
	write_lock(&opened->lock);
	opened->val = data.val;
	write_unlock(&opened->lock);
	return 0;
}

static long get_value(struct opened *opened, void __user *arg)
{
	struct ioctl_arg data = { .val = value_of(opened) };

	return copy_to_user(arg, &data, sizeof(data)) ? -EFAULT : 0;
}

static long test_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct opened *opened = file->private_data;

	switch (cmd) {
	case IOCTL_VALSET:
		return set_value(opened, (const void __user *)arg);
	case IOCTL_VALGET:
		return get_value(opened, (void __user *)arg);
	case IOCTL_VALGET_NUM:
		return put_user(READ_ONCE(ioctl_num), (int __user *)arg);
	case IOCTL_VALSET_NUM:
		WRITE_ONCE(ioctl_num, arg);
		return 0;
	default:
		return -ENOTTY;
	}
}

/* Fills the whole buffer with the value, as far as it is there. */
static ssize_t test_read(struct file *file, char __user *buf, size_t count,
			 loff_t *pos)
{
	char chunk[CHUNK];
	size_t done = 0;

	memset(chunk, value_of(file->private_data),
	       min_t(size_t, count, CHUNK));
	while (done < count) {
		size_t len = min_t(size_t, count - done, CHUNK);
		size_t left = copy_to_user(buf + done, chunk, len);

		done += len - left;
		if (left)
			break;
	}
	if (count && !done)
		return -EFAULT;
	return done;
}

static int test_open(struct inode *inode, struct file *file)
{
	struct opened *opened;

	pr_alert("test_ioctl_open call.\n");
	opened = kmalloc(sizeof(*opened), GFP_KERNEL);
	if (!opened)
		return -ENOMEM;
	rwlock_init(&opened->lock);
	opened->val = 0xff;
	file->private_data = opened;
	return 0;
}

static int test_release(struct inode *inode, struct file *file)
{
	pr_alert("test_ioctl_close call.\n");
	kfree(file->private_data);
	return 0;
}

static const struct file_operations fops = {
	.owner = THIS_MODULE,
	.open = test_open,
	.release = test_release,
	.read = test_read,
	.unlocked_ioctl = test_ioctl,
};

static int __init ioctl_init(void)
{
	struct device *device;
	int result = alloc_chrdev_region(&dev, 0, 1, NAME);

	if (result)
		return result;
	cdev_init(&cdev, &fops);
	cdev.owner = THIS_MODULE;
	result = cdev_add(&cdev, dev, 1);
	if (result)
		goto unregister;
	/* The book makes no node. */
	cls = class_create(NAME);
	if (IS_ERR(cls)) {
		result = PTR_ERR(cls);
		goto del;
	}
	device = device_create(cls, NULL, dev, NULL, NAME);
	if (IS_ERR(device)) {
		result = PTR_ERR(device);
		goto destroy;
	}
	pr_alert("%s driver(major: %d) installed.\n", NAME, MAJOR(dev));
	return 0;

destroy:
	class_destroy(cls);
del:
	cdev_del(&cdev);
unregister:
	unregister_chrdev_region(dev, 1);
	return result;
}
module_init(ioctl_init);

static void __exit ioctl_exit(void)
{
	device_destroy(cls, dev);
	class_destroy(cls);
	cdev_del(&cdev);
	unregister_chrdev_region(dev, 1);
	pr_alert("%s driver removed.\n", NAME);
}
module_exit(ioctl_exit);

MODULE_AUTHOR("lkmpg-rs");
MODULE_DESCRIPTION("This is test_ioctl module");
MODULE_LICENSE("GPL");
