/* SPDX-License-Identifier: GPL-2.0-only */
/* Inline functions and macros of C headers as functions that Rust can call. */
#include <linux/proc_fs.h>

void *lkm_pde_data(const struct inode *inode);
