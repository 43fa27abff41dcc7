// SPDX-License-Identifier: GPL-2.0-only

#include <linux/cred.h>
#include <linux/err.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/kdev_t.h>
#include <linux/major.h>
#include <linux/namei.h>
#include <linux/path.h>
#include <linux/sched.h>

#include "helpers.h"

#ifdef CONFIG_TTY
/* The terminal of the process, as it would open it itself; an error if it has none. */
struct file *lkm_tty_open_current(bool nonblocking)
{
	int flags = O_WRONLY | O_NOCTTY | (nonblocking ? O_NONBLOCK : 0);
	struct inode *inode;
	struct file *file;
	struct path path;
	int error;

	/* A process that ends has no root directory any more. */
	if (!current->fs)
		return ERR_PTR(-ENXIO);
	error = kern_path("/dev/tty", LOOKUP_FOLLOW, &path);
	if (error == -ENOENT || error == -ENOTDIR || error == -ELOOP)
		return ERR_PTR(-ENXIO);
	if (error)
		return ERR_PTR(error);
	inode = d_inode(path.dentry);
	/* Anybody who is root can put something else there. */
	if (S_ISCHR(inode->i_mode) && inode->i_rdev == MKDEV(TTYAUX_MAJOR, 0))
		file = dentry_open(&path, flags, current_cred());
	else
		file = ERR_PTR(-ENXIO);
	path_put(&path);
	return file;
}
#endif
