// SPDX-License-Identifier: GPL-2.0-only

#include <linux/array_size.h>
#include <linux/compiler.h>
#include <linux/container_of.h>
#include <linux/limits.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/of.h>
#include <linux/printk.h>
#include <linux/sched.h>
#include <linux/string.h>

#include "helpers.h"

#ifdef CONFIG_OF_OVERLAY
/* How far C gets with an overlay. */
struct overlay_watch {
	struct notifier_block notifier;
	const struct task_struct *task;
	unsigned long last;
};

/*
 * C tells of everybody's overlays. It applies one at a time, so those that this task applies
 * between two calls of lkm_overlay_apply() are one. It may remove others meanwhile.
 */
static int overlay_note(struct notifier_block *notifier, unsigned long action,
			void *unused)
{
	struct overlay_watch *watch = container_of(notifier, struct overlay_watch,
						   notifier);

	if (watch->task == current && (action == OF_OVERLAY_PRE_APPLY ||
				       action == OF_OVERLAY_POST_APPLY))
		watch->last = action;
	return NOTIFY_OK;
}

/*
 * Adds what dtc has made of an overlay to the device tree, of which C makes a copy. Returns a
 * number for lkm_overlay_remove().
 */
int lkm_overlay_apply(const void *begin, const void *end)
{
	/* The first one to be told: another one can refuse the overlay. */
	struct overlay_watch watch = {
		.notifier.notifier_call = overlay_note,
		.notifier.priority = INT_MAX,
		.task = current,
		.last = OF_OVERLAY_INIT,
	};
	int id;
	int result = of_overlay_notifier_register(&watch.notifier);

	if (result)
		return result;
	result = of_overlay_fdt_apply(begin, end - begin, &id, NULL);
	/* Waits until it runs nowhere. */
	of_overlay_notifier_unregister(&watch.notifier);
	if (!result)
		return id;
	if (!id)
		return result;
	/*
	 * C has made no list of changes yet, or it has made all of them: then it can free that
	 * list. Otherwise it would undo what was not done.
	 */
	if (watch.last != OF_OVERLAY_PRE_APPLY)
		lkm_overlay_remove(id);
	else
		pr_err("%s: the kernel keeps an overlay that it has not applied\n",
		       THIS_MODULE->name);
	return result;
}

/*
 * Those that were dropped, and cannot be removed: a later one has changed the same nodes, say.
 * The one that was dropped last is the last one.
 */
static int kept[16];
static unsigned int kept_count;
/* How many overlays were removed. It tells whether there is a reason to try again. */
static unsigned int removed_count;
/* Not held while C removes one: that waits for drivers, which may wait for others. */
static DEFINE_MUTEX(kept_lock);

/* Whether it is gone. Otherwise it is kept. */
static bool overlay_try(int id)
{
	unsigned int before;
	bool is_again;
	int result;

	do {
		before = READ_ONCE(removed_count);
		result = of_overlay_remove(&id);
		mutex_lock(&kept_lock);
		is_again = id && before != removed_count;
		if (!id)
			WRITE_ONCE(removed_count, removed_count + 1);
		else if (!is_again && kept_count < ARRAY_SIZE(kept))
			kept[kept_count++] = id;
		mutex_unlock(&kept_lock);
	} while (is_again);

	if (id)
		pr_err("%s: an overlay of the device tree stays for now: errno %d\n",
		       THIS_MODULE->name, -result);
	else if (result)
		pr_err("%s: an overlay of the device tree was removed: errno %d\n",
		       THIS_MODULE->name, -result);
	return !id;
}

/* May sleep. Then removes what this one has kept, too. */
void lkm_overlay_remove(int id)
{
	bool is_gone = overlay_try(id);
	int again[ARRAY_SIZE(kept)];
	unsigned int count;

	while (is_gone) {
		is_gone = false;
		mutex_lock(&kept_lock);
		count = kept_count;
		kept_count = 0;
		memcpy(again, kept, sizeof(again));
		mutex_unlock(&kept_lock);
		while (count--)
			is_gone |= overlay_try(again[count]);
	}
}
#endif
