// SPDX-License-Identifier: GPL-2.0-only

#include <linux/module.h>
#include <linux/of.h>
#include <linux/printk.h>

#include "helpers.h"

#ifdef CONFIG_OF_OVERLAY
/*
 * Adds what dtc has made of an overlay to the device tree, of which C makes a copy. Returns a
 * number for lkm_overlay_remove().
 */
int lkm_overlay_apply(const void *begin, const void *end)
{
	int id;
	int result = of_overlay_fdt_apply(begin, end - begin, &id, NULL);

	if (!result)
		return id;
	/* Some of it may be there. */
	if (id)
		of_overlay_remove(&id);
	return result;
}

/* May sleep. */
void lkm_overlay_remove(int id)
{
	int result = of_overlay_remove(&id);

	/* A later overlay has changed the same nodes, say. */
	if (result)
		pr_err("%s: an overlay of the device tree stays: errno %d\n",
		       THIS_MODULE->name, -result);
}
#endif
