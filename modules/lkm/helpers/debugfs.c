// SPDX-License-Identifier: GPL-2.0-only

#include <linux/dcache.h>
#include <linux/err.h>
#include <linux/fs.h>

#include "helpers.h"

/*
 * The first open(2) of a file has debugfs note what it needs of the file's operations.
 * From then on it looks at them only after it has seen that the file is still there.
 * Until then it does so before: who has a path to the file from before its removal, an
 * O_PATH descriptor say, makes it read operations that may be gone with the module. So
 * this opens the file, with a struct file that no open() but debugfs's takes. Returns
 * false if there was no memory.
 */
bool lkm_debugfs_note(struct dentry *dentry)
{
	struct file no_file = { .f_path = { .dentry = dentry } };
	struct inode *inode;

	if (IS_ERR_OR_NULL(dentry))
		return true;
	inode = d_inode(dentry);
	if (!READ_ONCE(dentry->d_fsdata))
		inode->i_fop->open(inode, &no_file);
	return READ_ONCE(dentry->d_fsdata);
}
