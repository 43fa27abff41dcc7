// SPDX-License-Identifier: GPL-2.0-only

#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/bvec.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/numa.h>
#include <linux/overflow.h>
#include <linux/sizes.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

static unsigned long blkram_mb = 8;
module_param(blkram_mb, ulong, 0444);
MODULE_PARM_DESC(blkram_mb, "Size of the RAM disk in MiB");

/*
 * What is on the disk. Two requests for the same blocks can be here at the same time: as on any
 * disk, what is there then is of one or the other.
 */
static u8 *data;
static size_t size;

static int major;
static struct gendisk *disk;
static struct blk_mq_tag_set tag_set;

static blk_status_t transfer(struct request *rq)
{
	u64 pos = (u64)blk_rq_pos(rq) << SECTOR_SHIFT;
	struct req_iterator iter;
	struct bio_vec piece;

	if (pos > size || blk_rq_bytes(rq) > size - pos)
		return BLK_STS_IOERR;
	rq_for_each_segment(piece, rq, iter) {
		if (op_is_write(req_op(rq)))
			memcpy_from_bvec(data + pos, &piece);
		else
			memcpy_to_bvec(&piece, data + pos);
		pos += piece.bv_len;
	}
	return BLK_STS_OK;
}

static blk_status_t queue_rq(struct blk_mq_hw_ctx *hctx,
			     const struct blk_mq_queue_data *bd)
{
	struct request *rq = bd->rq;
	blk_status_t status = BLK_STS_NOTSUPP;

	blk_mq_start_request(rq);
	if (req_op(rq) == REQ_OP_READ || req_op(rq) == REQ_OP_WRITE)
		status = transfer(rq);
	blk_mq_end_request(rq, status);
	return BLK_STS_OK;
}

static const struct blk_mq_ops queue_ops = {
	.queue_rq = queue_rq,
};

static const struct block_device_operations fops = {
	.owner = THIS_MODULE,
};

/* The kernel would end processes to get more than half of the memory. */
static int allocate(void)
{
	if (!blkram_mb)
		return -EINVAL;
	if (check_mul_overflow(blkram_mb, (size_t)SZ_1M, &size) ||
	    size >> PAGE_SHIFT > totalram_pages() / 2)
		return -ENOMEM;
	data = vzalloc(size);
	return data ? 0 : -ENOMEM;
}

static int add(void)
{
	struct queue_limits limits = {
		.logical_block_size = SECTOR_SIZE,
	};
	int result;

	disk = blk_mq_alloc_disk(&tag_set, &limits, NULL);
	if (IS_ERR(disk))
		return PTR_ERR(disk);
	disk->major = major;
	disk->minors = 1;
	disk->fops = &fops;
	strscpy(disk->disk_name, "blkram0", DISK_NAME_LEN);
	set_capacity(disk, size >> SECTOR_SHIFT);
	result = add_disk(disk);
	if (result)
		put_disk(disk);
	return result;
}

static int __init blkram_init(void)
{
	int result = allocate();

	if (result)
		return result;
	major = register_blkdev(0, "blkram");
	if (major < 0) {
		result = major;
		goto free;
	}
	tag_set.ops = &queue_ops;
	tag_set.nr_hw_queues = 1;
	tag_set.queue_depth = 64;
	tag_set.numa_node = NUMA_NO_NODE;
	result = blk_mq_alloc_tag_set(&tag_set);
	if (result)
		goto unregister;
	result = add();
	if (result)
		goto free_tags;
	pr_info("blkram: registered /dev/%s (%lu MiB)\n", disk->disk_name,
		blkram_mb);
	return 0;

free_tags:
	blk_mq_free_tag_set(&tag_set);
unregister:
	unregister_blkdev(major, "blkram");
free:
	vfree(data);
	return result;
}
module_init(blkram_init);

static void __exit blkram_exit(void)
{
	del_gendisk(disk);
	put_disk(disk);
	blk_mq_free_tag_set(&tag_set);
	unregister_blkdev(major, "blkram");
	vfree(data);
}
module_exit(blkram_exit);

MODULE_AUTHOR("lkmpg-rs");
MODULE_DESCRIPTION("A disk in memory");
MODULE_LICENSE("GPL");
