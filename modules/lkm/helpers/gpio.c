// SPDX-License-Identifier: GPL-2.0-only

#include <linux/atomic.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/gpio/consumer.h>
#include <linux/gpio/machine.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/sprintf.h>

#include "helpers.h"

#ifdef CONFIG_GPIOLIB
/*
 * Boards say in tables which lines a device has, and a line is asked for by a device.
 * A module has no device, so here is a table with one line, and for a device something
 * that has a name and is otherwise zero: it is never registered, and the kernel keeps
 * no pointer to it.
 */
struct lkm_line_request {
	struct device dev;
	struct gpiod_lookup_table table;
};

/* How many there were. */
static atomic_t lkm_line_requests;

/*
 * The line is left as it is. C copies the consumer's name. -EPROBE_DEFER: there is no
 * such chip.
 */
struct gpio_desc *lkm_gpiod_get(const char *chip, u16 offset,
				const char *consumer)
{
	struct lkm_line_request *request;
	struct gpio_desc *desc;
	char *name;

	request = kzalloc(struct_size(request, table.table, 2), GFP_KERNEL);
	/*
	 * In Linux 6.18 only the first table for a device of that name counts. So the name
	 * is one that no other has, of this module or another one.
	 */
	name = kasprintf(GFP_KERNEL, "lkm:%s:%u", THIS_MODULE->name,
			 (unsigned int)atomic_inc_return(&lkm_line_requests));
	if (!request || !name) {
		desc = ERR_PTR(-ENOMEM);
		goto out;
	}
	request->dev.init_name = name;
	request->table.dev_id = name;
	/* The entry after it is zero: the end. */
	request->table.table[0] = GPIO_LOOKUP(chip, offset, NULL, GPIO_ACTIVE_HIGH);
	gpiod_add_lookup_table(&request->table);
	desc = gpiod_get(&request->dev, consumer, GPIOD_ASIS);
	gpiod_remove_lookup_table(&request->table);
out:
	kfree(name);
	kfree(request);
	return desc;
}
#endif
