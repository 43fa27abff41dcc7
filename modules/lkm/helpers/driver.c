// SPDX-License-Identifier: GPL-2.0-only

#include <linux/device.h>
#include <linux/jiffies.h>
#include <linux/kernfs.h>
#include <linux/kobject.h>
#include <linux/sched.h>
#include <linux/sysfs.h>

#include "helpers.h"

/*
 * Waits until another driver can have the name of one that was unregistered. May sleep.
 *
 * With this option the kernel removes the directory of a driver some seconds later. Who takes
 * the name before that gets an error, and the kernel complains.
 */
#ifdef CONFIG_DEBUG_KOBJECT_RELEASE
static bool driver_has_directory(const struct device_driver *driver)
{
	struct kset *bus = bus_get_kset(driver->bus);
	struct kernfs_node *drivers = sysfs_get_dirent(bus->kobj.sd, "drivers");
	struct kernfs_node *node;

	if (!drivers)
		return false;
	node = sysfs_get_dirent(drivers, driver->name);
	sysfs_put(node);
	sysfs_put(drivers);
	return node;
}

/* Not for ever: by now another module can have the name. */
static void driver_name_wait(const struct device_driver *driver)
{
	unsigned int ticks;

	for (ticks = 0; ticks < 5 * HZ && driver_has_directory(driver); ticks++)
		schedule_timeout_uninterruptible(1);
}
#else
static void driver_name_wait(const struct device_driver *driver)
{
}
#endif
