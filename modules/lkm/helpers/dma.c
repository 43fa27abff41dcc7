// SPDX-License-Identifier: GPL-2.0-only

#include <linux/device.h>
#include <linux/dma-mapping.h>
#include <linux/gfp.h>
#include <linux/kernel.h>
#include <linux/platform_device.h>

#include "helpers.h"

int lkm_dma_set_mask(struct platform_device *device, unsigned int bits)
{
	return dma_set_mask_and_coherent(&device->dev, DMA_BIT_MASK(bits));
}

u64 lkm_dma_mask(struct platform_device *device)
{
	return dma_get_mask(&device->dev);
}

/*
 * Memory full of zeroes, that the device has at @address; coherent if @direction is DMA_NONE.
 * It keeps the device.
 */
void *lkm_dma_alloc(struct platform_device *device, size_t len, int direction,
		    u64 *address)
{
	struct device *dev = &device->dev;
	dma_addr_t handle = 0;
	void *at;

	if (direction == DMA_NONE)
		at = dma_alloc_attrs(dev, len, &handle, GFP_KERNEL,
				     DMA_ATTR_NO_WARN);
	else
		at = dma_alloc_noncoherent(dev, len, &handle, direction,
					   GFP_KERNEL | __GFP_NOWARN);
	if (at)
		get_device(dev);
	/* The zeroes may only be in a cache, and the device has the memory from now on. */
	if (at && direction != DMA_NONE)
		dma_sync_single_for_device(dev, handle, len, direction);
	*address = handle;
	return at;
}

/* May sleep. */
void lkm_dma_free(struct platform_device *device, size_t len, int direction,
		  void *at, u64 address)
{
	struct device *dev = &device->dev;

	might_sleep();
	if (direction == DMA_NONE)
		dma_free_attrs(dev, len, at, address, DMA_ATTR_NO_WARN);
	else
		dma_free_noncoherent(dev, len, at, address, direction);
	put_device(dev);
}

/* From now on the CPU has these bytes, and the device has not. */
void lkm_dma_for_cpu(struct platform_device *device, u64 address, size_t len,
		     int direction)
{
	dma_sync_single_for_cpu(&device->dev, address, len, direction);
}

/* The other way round. */
void lkm_dma_for_device(struct platform_device *device, u64 address,
			size_t len, int direction)
{
	dma_sync_single_for_device(&device->dev, address, len, direction);
}
