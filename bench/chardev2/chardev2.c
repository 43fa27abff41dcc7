// SPDX-License-Identifier: GPL-2.0-only

#include <linux/device.h>
#include <linux/fs.h>
#include <linux/ioctl.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#define NAME "char_dev"
#define BUF_LEN 80

/* Also what the numbers of the ioctls begin with. */
#define MAJOR_NUM 100
#define IOCTL_SET_MSG _IOW(MAJOR_NUM, 0, char *)
#define IOCTL_GET_MSG _IOR(MAJOR_NUM, 1, char *)
#define IOCTL_GET_NTH_BYTE _IOWR(MAJOR_NUM, 2, int)

static char message[BUF_LEN];
static size_t message_len;
static DEFINE_MUTEX(message_lock);

static unsigned int major;
static struct class *cls;

static int device_open(struct inode *inode, struct file *file)
{
	pr_info("device_open(%p)\n", file);
	return 0;
}

static int device_release(struct inode *inode, struct file *file)
{
	pr_info("device_release(%p,%p)\n", inode, file);
	return 0;
}

static ssize_t device_read(struct file *file, char __user *buf, size_t count,
			   loff_t *pos)
{
	ssize_t read;

	mutex_lock(&message_lock);
	read = simple_read_from_buffer(buf, count, pos, message, message_len);
	mutex_unlock(&message_lock);
	if (read > 0)
		pr_info("Read %zd bytes, %zu left\n", read, count - read);
	return read;
}

static ssize_t device_write(struct file *file, const char __user *buf,
			    size_t count, loff_t *pos)
{
	size_t len = min_t(size_t, count, BUF_LEN);
	char text[BUF_LEN];

	pr_info("device_write(%p,%p,%zu)\n", file, buf, count);
	if (!len)
		return 0;
	if (copy_from_user(text, buf, len))
		return -EFAULT;
	mutex_lock(&message_lock);
	memcpy(message, text, len);
	/* The NUL that ends a string is not part of the message. */
	message_len = text[len - 1] ? len : len - 1;
	mutex_unlock(&message_lock);
	return len;
}

static long set_message(struct file *file, const char __user *text)
{
	long len = strnlen_user(text, BUF_LEN);
	ssize_t written;
	loff_t pos = 0;

	if (len <= 0)
		return -EFAULT;
	written = device_write(file, text, min_t(size_t, len, BUF_LEN), &pos);
	return written < 0 ? written : 0;
}

static long get_message(struct file *file, char __user *buf)
{
	loff_t pos = 0;
	/* As much as the caller's buffer must hold. */
	ssize_t read = device_read(file, buf, BUF_LEN + 19, &pos);

	if (read < 0)
		return read;
	return put_user('\0', buf + read);
}

static long get_nth_byte(unsigned long n)
{
	unsigned char byte = 0;

	if (n > BUF_LEN)
		return -EINVAL;
	mutex_lock(&message_lock);
	if (n < message_len)
		byte = message[n];
	mutex_unlock(&message_lock);
	return byte;
}

static long device_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	switch (cmd) {
	case IOCTL_SET_MSG:
		return set_message(file, (const char __user *)arg);
	case IOCTL_GET_MSG:
		return get_message(file, (char __user *)arg);
	case IOCTL_GET_NTH_BYTE:
		return get_nth_byte(arg);
	default:
		return -ENOTTY;
	}
}

static const struct file_operations fops = {
	.owner = THIS_MODULE,
	.open = device_open,
	.release = device_release,
	.read = device_read,
	.write = device_write,
	.unlocked_ioctl = device_ioctl,
	.llseek = default_llseek,
};

/* Another driver may have the book's number. */
static int register_numbers(void)
{
	int result = register_chrdev(MAJOR_NUM, NAME, &fops);

	if (!result) {
		major = MAJOR_NUM;
		return 0;
	}
	result = register_chrdev(0, NAME, &fops);
	if (result < 0)
		return result;
	major = result;
	return 0;
}

static int __init chardev2_init(void)
{
	struct device *device;
	int result = register_numbers();

	if (result)
		return result;
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
	pr_info("Device created on /dev/%s\n", NAME);
	return 0;

destroy:
	class_destroy(cls);
unregister:
	unregister_chrdev(major, NAME);
	return result;
}
module_init(chardev2_init);

static void __exit chardev2_exit(void)
{
	device_destroy(cls, MKDEV(major, 0));
	class_destroy(cls);
	unregister_chrdev(major, NAME);
}
module_exit(chardev2_exit);

MODULE_AUTHOR("lkmpg-rs");
MODULE_DESCRIPTION("A device that keeps a message");
MODULE_LICENSE("GPL");
