// SPDX-License-Identifier: GPL-2.0-only

#include <linux/completion.h>
#include <linux/device.h>
#include <linux/jiffies.h>
#include <linux/kernfs.h>
#include <linux/kobject.h>
#include <linux/list.h>
#include <linux/rcupdate.h>
#include <linux/rcupdate_wait.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/sysfs.h>

#include "helpers.h"

/* The directory of a driver in sysfs, which the caller puts. NULL if there is none. */
static struct kernfs_node *driver_directory(const struct bus_type *bus, const char *name)
{
	struct kobject *kobj = &bus_get_kset(bus)->kobj;
	struct kernfs_node *drivers = sysfs_get_dirent(kobj->sd, "drivers");
	struct kernfs_node *node = drivers ? sysfs_get_dirent(drivers, name) : NULL;

	sysfs_put(drivers);
	return node;
}

/*
 * Waits until the directory of a driver that was unregistered is gone, and puts it. May sleep.
 *
 * That goes when nobody looks at the driver any more, which with CONFIG_DEBUG_KOBJECT_RELEASE is
 * some seconds later. Until then no other driver can have the name.
 */
static void driver_directory_wait(const struct bus_type *bus, const char *name,
				  struct kernfs_node *directory)
{
	struct kernfs_node *now;
	unsigned int ticks;

	/* Not for ever, whoever looks at it. Another driver may have the name by now. */
	for (ticks = 0; directory && ticks < 5 * HZ; ticks++) {
		now = driver_directory(bus, name);
		sysfs_put(now);
		if (now != directory)
			break;
		schedule_timeout_uninterruptible(1);
	}
	sysfs_put(directory);
}

/*
 * The beginning of the memory of a driver.
 *
 * C still looks at some drivers without a lock that unregistering takes: for the name, when it
 * writes to the log, to a device's uevent or to /proc/bus/pci/devices, and in the last steps of
 * a suspend for functions that ours have not got. Who looks does not sleep meanwhile, but may be
 * preempted. So the memory stays until each task has slept, or has been in user space, which
 * takes some tenths of a second. Only the module's end waits for that, for all drivers at once.
 *
 * RCU has the memory meanwhile, but no function of the module: it calls one of the kernel's.
 */
struct driver_memory {
	struct rcu_synchronize unseen;	/* It is complete when nobody looks any more. */
	struct list_head list;
	char *name;			/* Freed with it. Can be NULL. */
};

/* Those that C may still look at, the oldest first. */
static LIST_HEAD(old_drivers);
static DEFINE_SPINLOCK(old_drivers_lock);

static struct driver_memory *old_drivers_first(void)
{
	return list_first_entry_or_null(&old_drivers, struct driver_memory, list);
}

static void old_driver_free(struct driver_memory *it)
{
	list_del(&it->list);
	kfree(it->name);
	kfree(it);
}

/* Frees those that nobody looks at any more. */
static void old_drivers_free(void)
{
	struct driver_memory *it;

	spin_lock(&old_drivers_lock);
	while ((it = old_drivers_first()) &&
	       completion_done(&it->unseen.completion))
		old_driver_free(it);
	spin_unlock(&old_drivers_lock);
}

/* The same for all. The module ends, and there will be no more of them. May sleep. */
static void old_drivers_end(void)
{
	struct driver_memory *it;

	while ((it = old_drivers_first())) {
		wait_for_completion(&it->unseen.completion);
		old_driver_free(it);
	}
}

/*
 * Frees a driver that no device has any more, and @name: when nobody looks at them, and the next
 * driver is freed, or the module ends. This does not wait: neither for that, nor for the end of
 * a suspend, which may wait for the caller. Process context.
 */
static void driver_free(struct driver_memory *it, char *name)
{
	/*
	 * Otherwise RCU does not wait for those who were preempted. So the memory stays: what
	 * they look at lies in it, and not in the module.
	 */
	if (IS_ENABLED(CONFIG_PREEMPTION) && !IS_ENABLED(CONFIG_TASKS_RCU))
		return;
	old_drivers_free();
	it->name = name;
	init_completion(&it->unseen.completion);
	spin_lock(&old_drivers_lock);
	list_add_tail(&it->list, &old_drivers);
	spin_unlock(&old_drivers_lock);
	WRITE_ONCE(end_of_rest, old_drivers_end);
	/* RCU does not put these off. With a function of our own it would. */
	if (IS_ENABLED(CONFIG_TASKS_RCU))
		call_rcu_tasks(&it->unseen.head, wakeme_after_rcu);
	else
		call_rcu_hurry(&it->unseen.head, wakeme_after_rcu);
}
