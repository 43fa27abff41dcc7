// SPDX-License-Identifier: GPL-2.0-only

#include <linux/device.h>
#include <linux/jiffies.h>
#include <linux/kernfs.h>
#include <linux/kobject.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
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
 * Waits for those who look at a driver that no device has any more. Returns whether it can be
 * freed then, with its name. May sleep.
 *
 * C still looks at some without a lock that unregistering takes: for the name, when it writes
 * to the log, to a device's uevent or to /proc/bus/pci/devices, and in the last steps of a
 * suspend for functions that ours have not got. Who looks does not sleep meanwhile, but may be
 * preempted. This must not wait for the end of a suspend, which may wait for the caller.
 */
static bool driver_wait(void)
{
	synchronize_rcu_tasks();
	/*
	 * Otherwise this has not waited for those who were preempted. So the memory stays: what
	 * they look at lies in it, and not in the module.
	 */
	return !IS_ENABLED(CONFIG_PREEMPTION) || IS_ENABLED(CONFIG_TASKS_RCU);
}
