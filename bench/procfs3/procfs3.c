// SPDX-License-Identifier: GPL-2.0-only

#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/proc_fs.h>
#include <linux/uaccess.h>
#include <linux/uidgid.h>

#define NAME "buffer2k"
#define MAX_SIZE 2048

/*
 * One has the text. The other takes what is being written, so that a write from a bad address
 * changes nothing. The lock is for all that follows.
 */
static char buffers[2][MAX_SIZE];
static unsigned int current_buffer;
static size_t text_len;
static DEFINE_MUTEX(text_lock);

static struct proc_dir_entry *entry;

static ssize_t buffer_read(struct file *file, char __user *buf, size_t count,
			   loff_t *pos)
{
	ssize_t read;

	mutex_lock(&text_lock);
	read = simple_read_from_buffer(buf, count, pos, buffers[current_buffer],
				       text_len);
	mutex_unlock(&text_lock);
	if (read > 0)
		pr_debug("procfs_read: read %zd bytes\n", read);
	else if (!read)
		pr_debug("procfs_read: END\n");
	return read;
}

static ssize_t buffer_write(struct file *file, const char __user *buf,
			    size_t count, loff_t *pos)
{
	size_t len = min_t(size_t, count, MAX_SIZE);

	if (!len)
		return 0;
	mutex_lock(&text_lock);
	if (copy_from_user(buffers[!current_buffer], buf, len)) {
		mutex_unlock(&text_lock);
		return -EFAULT;
	}
	current_buffer = !current_buffer;
	text_len = len;
	mutex_unlock(&text_lock);
	*pos += len;
	pr_debug("procfs_write: write %zu bytes\n", len);
	return len;
}

static const struct proc_ops buffer_ops = {
	.proc_read = buffer_read,
	.proc_write = buffer_write,
	.proc_lseek = default_llseek,
};

static int __init procfs3_init(void)
{
	entry = proc_create(NAME, 0644, NULL, &buffer_ops);
	if (!entry)
		return -ENOMEM;
	proc_set_size(entry, 80);
	proc_set_user(entry, GLOBAL_ROOT_UID, GLOBAL_ROOT_GID);
	pr_debug("/proc/%s created\n", NAME);
	return 0;
}
module_init(procfs3_init);

static void __exit procfs3_exit(void)
{
	proc_remove(entry);
	pr_debug("/proc/%s removed\n", NAME);
}
module_exit(procfs3_exit);

MODULE_AUTHOR("lkmpg-rs");
MODULE_DESCRIPTION("A file with a size and an owner: /proc/buffer2k");
MODULE_LICENSE("GPL");
