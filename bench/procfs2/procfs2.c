// SPDX-License-Identifier: GPL-2.0-only

#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/proc_fs.h>
#include <linux/uaccess.h>

#define NAME "buffer1k"
#define MAX_SIZE 1024

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
		pr_info("procfile read %s\n", NAME);
	return read;
}

static ssize_t buffer_write(struct file *file, const char __user *buf,
			    size_t count, loff_t *pos)
{
	size_t len = min_t(size_t, count, MAX_SIZE - 1);
	char *next;

	if (!len)
		return 0;
	mutex_lock(&text_lock);
	next = buffers[!current_buffer];
	if (copy_from_user(next, buf, len)) {
		mutex_unlock(&text_lock);
		return -EFAULT;
	}
	/* Escaped: the text is anybody's. */
	pr_info("procfile write %*pE\n", (int)len, next);
	current_buffer = !current_buffer;
	text_len = len;
	mutex_unlock(&text_lock);
	*pos += len;
	return len;
}

static const struct proc_ops buffer_ops = {
	.proc_read = buffer_read,
	.proc_write = buffer_write,
	.proc_lseek = default_llseek,
};

static int __init procfs2_init(void)
{
	entry = proc_create(NAME, 0644, NULL, &buffer_ops);
	if (!entry)
		return -ENOMEM;
	pr_info("/proc/%s created\n", NAME);
	return 0;
}
module_init(procfs2_init);

static void __exit procfs2_exit(void)
{
	proc_remove(entry);
	pr_info("/proc/%s removed\n", NAME);
}
module_exit(procfs2_exit);

MODULE_AUTHOR("lkmpg-rs");
MODULE_DESCRIPTION("A file that can be written: /proc/buffer1k");
MODULE_LICENSE("GPL");
