// SPDX-License-Identifier: GPL-2.0-only

#include <linux/fs.h>
#include <linux/minmax.h>
#include <linux/uio.h>

#include "helpers.h"

/*
 * As iov_iter_ubuf(), whose WARN_ON() would keep this in each module. C goes back by no
 * more than MAX_RW_COUNT.
 */
void lkm_iter_user(struct iov_iter *iter, unsigned int direction, void *buf,
		   size_t len)
{
	*iter = (struct iov_iter) {
		.iter_type = ITER_UBUF,
		.data_source = direction,
		.ubuf = (void __user *)buf,
		.count = min_t(size_t, len, MAX_RW_COUNT),
		.nr_segs = 1,
	};
}

/* The address of the next byte in user space, or null: the bytes are the kernel's, or
 * there is none in the last of several pieces. */
const void *lkm_iter_address(const struct iov_iter *iter)
{
	if (iter_is_ubuf(iter) || (iter_is_iovec(iter) && iov_iter_count(iter)))
		return (__force const void *)iter_iov_addr(iter);
	return NULL;
}
