// SPDX-License-Identifier: GPL-2.0-only

#include <linux/proc_fs.h>

#include "helpers.h"

void *lkm_pde_data(const struct inode *inode)
{
	return pde_data(inode);
}
