// SPDX-License-Identifier: GPL-2.0-only

#include <linux/align.h>
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/bvec.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/highmem.h>
#include <linux/kobject.h>
#include <linux/limits.h>
#include <linux/module.h>
#include <linux/numa.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uio.h>

#include "helpers.h"

#ifdef CONFIG_BLOCK
struct lkm_disk {
	const struct lkm_disk_ops *ops;
	void *data;
	u64 size;
	unsigned int block;
	struct gendisk *gendisk;
};

/*
 * Whether the current task is in disk_submit(), or in the like of another disk: what it
 * submits waits on this list until that has returned.
 */
bool lkm_disk_within(void)
{
	return current->bio_list;
}

/* The bytes of @bio, wherever they are. */
static void disk_iter(struct iov_iter *iter, unsigned int direction,
		      struct bio *bio)
{
	unsigned long pieces = 0;
	struct bvec_iter place;
	struct bio_vec piece;

	bio_for_each_bvec(piece, bio, place)
		pieces++;
	iov_iter_bvec(iter, direction, bio->bi_io_vec + bio->bi_iter.bi_idx,
		      pieces, bio->bi_iter.bi_size);
	/* Others may have had the beginning of the first piece. */
	iter->iov_offset = bio->bi_iter.bi_bvec_done;
}

static int disk_read(struct lkm_disk *it, struct bio *bio, u64 pos)
{
	struct bvec_iter place;
	struct bio_vec piece;
	struct iov_iter iter;
	int result;

	disk_iter(&iter, ITER_DEST, bio);
	result = it->ops->read(it->data, pos, &iter);
	bio_for_each_segment(piece, bio, place)
		flush_dcache_page(piece.bv_page);
	return result;
}

static int disk_write(struct lkm_disk *it, struct bio *bio, u64 pos)
{
	struct iov_iter iter;

	/* C only warns of a write to a disk that is read-only. */
	if (!it->ops->write)
		return -EIO;
	disk_iter(&iter, ITER_SOURCE, bio);
	return it->ops->write(it->data, pos, &iter);
}

/* C looks at the end of the disk, too, but not for all who pass a bio on. */
static bool disk_has(const struct lkm_disk *it, const struct bio *bio)
{
	u64 sectors = it->size >> SECTOR_SHIFT;
	u64 pos = (u64)bio->bi_iter.bi_sector << SECTOR_SHIFT;
	u64 len = bio->bi_iter.bi_size;

	return bio->bi_iter.bi_sector <= sectors && len <= it->size - pos &&
	       IS_ALIGNED(pos | len, it->block);
}

static int disk_do(struct lkm_disk *it, struct bio *bio)
{
	u64 pos = (u64)bio->bi_iter.bi_sector << SECTOR_SHIFT;
	u64 len = bio->bi_iter.bi_size;

	if (!disk_has(it, bio))
		return -EIO;
	switch (bio_op(bio)) {
	case REQ_OP_READ:
		return disk_read(it, bio, pos);
	case REQ_OP_WRITE:
		return disk_write(it, bio, pos);
	case REQ_OP_DISCARD:
		if (it->ops->discard)
			return it->ops->discard(it->data, pos, len);
		return -EOPNOTSUPP;
	case REQ_OP_WRITE_ZEROES:
		if (it->ops->write_zeroes)
			return it->ops->write_zeroes(it->data, pos, len);
		return -EOPNOTSUPP;
	default:
		return -EOPNOTSUPP;
	}
}

/* Some errors are orders to who has submitted the bio: to try again, or of zones. */
static blk_status_t disk_status(int result)
{
	blk_status_t status = errno_to_blk_status(result);

	switch (result) {
	case -EAGAIN:
	case -EREMCHG:
	case -ETOOMANYREFS:
	case -EOVERFLOW:
		return BLK_STS_IOERR;
	default:
		return status;
	}
}

static void disk_submit(struct bio *bio)
{
	struct lkm_disk *it = bio->bi_bdev->bd_disk->private_data;
	unsigned long begin = 0;
	unsigned int flags;
	bool counts;
	int result;

	/* What is too much goes to the list of the current task. */
	bio = bio_split_to_limits(bio);
	if (!bio)
		return;
	counts = blk_queue_io_stat(it->gendisk->queue);
	if (counts)
		begin = bio_start_io_acct(bio);
	/* Who wants memory must not wait for pages that this disk is to write. */
	flags = memalloc_noio_save();
	result = disk_do(it, bio);
	memalloc_noio_restore(flags);
	if (counts)
		bio_end_io_acct(bio, begin);
	/* Another part of it may have an error already. */
	if (result)
		bio->bi_status = disk_status(result);
	bio_endio(bio);
}

static const struct block_device_operations disk_fops = {
	.owner = THIS_MODULE,
	.submit_bio = disk_submit,
};

static struct gendisk *disk_alloc(const struct lkm_disk *it)
{
	struct queue_limits limits = {
		.features = BLK_FEAT_SYNCHRONOUS | BLK_FEAT_IO_STAT,
		.logical_block_size = it->block,
		/* Bytes are counted in 32 bits. */
		.max_hw_sectors = UINT_MAX >> SECTOR_SHIFT,
		.max_segments = USHRT_MAX,
		.max_segment_size = UINT_MAX,
	};

	if (it->ops->discard) {
		limits.max_hw_discard_sectors = UINT_MAX;
		limits.max_discard_segments = 1;
		limits.discard_granularity = it->block;
	}
	if (it->ops->write_zeroes)
		limits.max_write_zeroes_sectors = UINT_MAX;
	return blk_alloc_disk(&limits, NUMA_NO_NODE);
}

/*
 * Adds a disk of @size bytes in blocks of @block. @name is copied. @ops and @data stay until
 * lkm_disk_remove(). May sleep.
 */
struct lkm_disk *lkm_disk_add(const char *name, u64 size, unsigned int block,
			      const struct lkm_disk_ops *ops, void *data)
{
	struct gendisk *gendisk;
	struct lkm_disk *it;
	int result;

	it = kzalloc(sizeof(*it), GFP_KERNEL);
	if (!it)
		return ERR_PTR(-ENOMEM);
	it->ops = ops;
	it->data = data;
	it->size = size;
	it->block = block;
	gendisk = disk_alloc(it);
	if (IS_ERR(gendisk)) {
		kfree(it);
		return ERR_CAST(gendisk);
	}
	it->gendisk = gendisk;
	gendisk->fops = &disk_fops;
	gendisk->private_data = it;
	strscpy(gendisk->disk_name, name, DISK_NAME_LEN);
	set_capacity(gendisk, size >> SECTOR_SHIFT);
	if (!ops->write)
		set_disk_ro(gendisk, true);
	/*
	 * C would open the disk to look for partitions, and close it when the current system
	 * call ends: too late for an init function that fails. So who opens it first looks.
	 */
	set_bit(GD_SUPPRESS_PART_SCAN, &gendisk->state);
#ifdef CONFIG_DEBUG_KOBJECT_RELEASE
	/*
	 * C puts this kobject, and then frees the disk that it is a part of. The option has a
	 * timer in there at that time. Nothing is lost if it is never released.
	 */
	kobject_get(&gendisk->queue_kobj);
#endif
	result = device_add_disk(NULL, gendisk, NULL);
	if (result) {
		put_disk(gendisk);
		kfree(it);
		return ERR_PTR(result);
	}
	clear_bit(GD_SUPPRESS_PART_SCAN, &gendisk->state);
	set_bit(GD_NEED_PART_SCAN, &gendisk->state);
	return it;
}

/*
 * Nobody can open the disk any more, and what is submitted fails. Waits until nobody is in
 * disk_submit().
 *
 * C frees the disk when the last who looks at it has gone, which can be after the module.
 * One function in `fops` would be called then, if the disk was added.
 */
void lkm_disk_remove(struct lkm_disk *it)
{
	del_gendisk(it->gendisk);
	clear_bit(GD_ADDED, &it->gendisk->state);
}

/* After lkm_disk_remove(). May sleep. */
void lkm_disk_free(struct lkm_disk *it)
{
	put_disk(it->gendisk);
	kfree(it);
}
#endif
