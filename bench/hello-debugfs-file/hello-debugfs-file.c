// SPDX-License-Identifier: GPL-2.0-only

#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/uaccess.h>

#define DIR "lkmpg_debugfs_file"
#define MESSAGE_MAX_LEN 127

static char message[MESSAGE_MAX_LEN] = "debugfs says hello\n";
static size_t message_len = sizeof("debugfs says hello\n") - 1;
static DEFINE_MUTEX(message_lock);

static char hello_blob[] =
	"This blob is read-only and exported with debugfs_create_blob().\n";
static struct debugfs_blob_wrapper blob = {
	.data = hello_blob,
	.size = sizeof(hello_blob) - 1,
};

static struct dentry *dir;

static ssize_t message_read(struct file *file, char __user *buf, size_t count,
			    loff_t *pos)
{
	ssize_t read;

	mutex_lock(&message_lock);
	read = simple_read_from_buffer(buf, count, pos, message, message_len);
	mutex_unlock(&message_lock);
	return read;
}

static ssize_t message_write(struct file *file, const char __user *buf,
			     size_t count, loff_t *pos)
{
	char text[MESSAGE_MAX_LEN];

	if (*pos)
		return -EINVAL;
	if (count > MESSAGE_MAX_LEN)
		return -EFBIG;
	if (copy_from_user(text, buf, count))
		return -EFAULT;
	mutex_lock(&message_lock);
	memcpy(message, text, count);
	message_len = count;
	mutex_unlock(&message_lock);
	*pos += count;
	return count;
}

static const struct file_operations message_fops = {
	.owner = THIS_MODULE,
	.read = message_read,
	.write = message_write,
	.llseek = default_llseek,
};

static int __init hello_init(void)
{
	dir = debugfs_create_dir(DIR, NULL);
	if (IS_ERR(dir))
		return PTR_ERR(dir);
	debugfs_create_blob("blob", 0400, dir, &blob);
	debugfs_create_file("message", 0600, dir, NULL, &message_fops);
	pr_info("debugfs file example registered under /sys/kernel/debug/%s\n",
		DIR);
	return 0;
}
module_init(hello_init);

static void __exit hello_exit(void)
{
	debugfs_remove(dir);
	pr_info("debugfs file example removed\n");
}
module_exit(hello_exit);

MODULE_AUTHOR("lkmpg-rs");
MODULE_DESCRIPTION("Custom debugfs file and blob examples");
MODULE_LICENSE("GPL");
