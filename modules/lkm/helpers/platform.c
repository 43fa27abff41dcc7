// SPDX-License-Identifier: GPL-2.0-only

#include <linux/device.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/kernfs.h>
#include <linux/mod_devicetable.h>
#include <linux/module.h>
#include <linux/of.h>
#include <linux/platform_device.h>
#include <linux/pm.h>
#include <linux/property.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "helpers.h"

/* A driver whose functions are written in Rust; see platform.rs. */
struct lkm_platform_driver {
	struct platform_driver driver;
	struct dev_pm_ops pm;
	const struct lkm_platform_ops *ops;
	void *data;
	char name[LKM_PLATFORM_NAME_LEN];
};

/* Whether the caller may run in what lkm_platform_driver_remove() waits for. */
bool lkm_platform_within(void)
{
	return lkm_callers_may_have_current(LKM_IN_PLATFORM);
}

static struct lkm_platform_driver *bound_to(struct device *dev)
{
	return container_of(to_platform_driver(dev->driver),
			    struct lkm_platform_driver, driver);
}

/* C holds the device's lock while one of these runs, so there is one at a time for a device. */
static int bound_probe(struct platform_device *device)
{
	struct lkm_platform_driver *it = bound_to(&device->dev);
	unsigned int place = lkm_callers_begin(LKM_IN_PLATFORM);
	void *private = NULL;
	int result = it->ops->probe(it->data, device, &private);

	if (!result)
		platform_set_drvdata(device, private);
	lkm_callers_end(place);
	return result;
}

static void bound_remove(struct platform_device *device)
{
	struct lkm_platform_driver *it = bound_to(&device->dev);
	unsigned int place = lkm_callers_begin(LKM_IN_PLATFORM);

	it->ops->remove(platform_get_drvdata(device));
	lkm_callers_end(place);
}

static int bound_suspend(struct device *dev)
{
	struct lkm_platform_driver *it = bound_to(dev);
	unsigned int place;
	int result;

	if (!it->ops->suspend)
		return 0;
	place = lkm_callers_begin(LKM_IN_PLATFORM);
	result = it->ops->suspend(dev_get_drvdata(dev));
	lkm_callers_end(place);
	return result;
}

static int bound_resume(struct device *dev)
{
	struct lkm_platform_driver *it = bound_to(dev);
	unsigned int place;
	int result;

	if (!it->ops->resume)
		return 0;
	place = lkm_callers_begin(LKM_IN_PLATFORM);
	result = it->ops->resume(dev_get_drvdata(dev));
	lkm_callers_end(place);
	return result;
}

/* Also for a hibernation, which is four steps. */
static DEFINE_SIMPLE_DEV_PM_OPS(bound_pm, bound_suspend, bound_resume);

/* Whether there is something called @name in the directory @kobj of sysfs. */
static bool sysfs_has(struct kobject *kobj, const char *name)
{
	struct kernfs_node *node = sysfs_get_dirent(kobj->sd, name);

	sysfs_put(node);
	return node;
}

/* Frees a driver that no device has any more. May sleep. */
static void driver_free(struct lkm_platform_driver *it)
{
	if (driver_wait())
		kfree(it);
}

/*
 * @name is copied, and short enough. @matches, which can be NULL, @ops and @data stay until
 * lkm_platform_driver_remove(). The functions can be called before this returns.
 */
struct lkm_platform_driver *
lkm_platform_driver_add(const char *name, const struct of_device_id *matches,
			const struct lkm_platform_ops *ops, void *data)
{
	struct lkm_platform_driver *it;
	int result;

	it = kzalloc(sizeof(*it), GFP_KERNEL);
	if (!it)
		return ERR_PTR(-ENOMEM);
	strscpy(it->name, name, sizeof(it->name));
	it->ops = ops;
	it->data = data;
	it->pm = bound_pm;
	it->driver.probe = bound_probe;
	it->driver.remove = bound_remove;
	it->driver.driver.name = it->name;
	it->driver.driver.of_match_table = matches;
	/* Who registers a driver sees what comes of it. */
	it->driver.driver.probe_type = PROBE_FORCE_SYNCHRONOUS;
	if (ops->suspend || ops->resume)
		it->driver.driver.pm = pm_sleep_ptr(&it->pm);
	result = platform_driver_register(&it->driver);
	if (result) {
		/* It may have had devices. */
		driver_free(it);
		return ERR_PTR(result);
	}
	return it;
}

/* Waits until no function runs. May sleep. */
void lkm_platform_driver_remove(struct lkm_platform_driver *it)
{
	struct kernfs_node *directory = driver_directory(&platform_bus_type, it->name);

	platform_driver_unregister(&it->driver);
	driver_directory_wait(&platform_bus_type, it->name, directory);
	driver_free(it);
}

static struct property_entry entry_of(const struct lkm_property *it)
{
	switch (it->kind) {
	case LKM_PROPERTY_TEXT:
		return PROPERTY_ENTRY_STRING(it->name, it->text);
	case LKM_PROPERTY_U32:
		return PROPERTY_ENTRY_U32(it->name, it->number);
	default:
		return PROPERTY_ENTRY_BOOL(it->name);
	}
}

/* Gives the device a copy of the properties. */
static int device_set(struct device *dev, const struct lkm_property *list,
		      size_t count)
{
	struct property_entry *entries;
	size_t n;
	int result;

	/* The last one is empty. */
	entries = kcalloc(count + 1, sizeof(*entries), GFP_KERNEL);
	if (!entries)
		return -ENOMEM;
	for (n = 0; n < count; n++)
		entries[n] = entry_of(&list[n]);
	result = device_create_managed_software_node(dev, entries, NULL);
	kfree(entries);
	return result;
}

/* C would complain in the log, at length. */
static bool device_is_named(const char *name)
{
	struct device *dev;

	dev = bus_find_device_by_name(&platform_bus_type, NULL, name);
	put_device(dev);
	return dev || sysfs_has(&platform_bus.kobj, name);
}

/* All is copied. The device has no code or data of the module. May sleep. */
struct platform_device *lkm_platform_device_add(const char *name,
						const struct lkm_property *list,
						size_t count)
{
	struct platform_device *device;
	int result;

	if (device_is_named(name))
		return ERR_PTR(-EEXIST);
	device = platform_device_alloc(name, PLATFORM_DEVID_NONE);
	if (!device)
		return ERR_PTR(-ENOMEM);
	result = device_set(&device->dev, list, count);
	if (!result)
		result = platform_device_add(device);
	if (result) {
		/* C does that only for a device that was added. */
		device_remove_software_node(&device->dev);
		platform_device_put(device);
		return ERR_PTR(result);
	}
	return device;
}

const char *lkm_platform_device_name(const struct platform_device *device)
{
	return dev_name(&device->dev);
}

/* NULL for a device that is in no device tree. */
const char *lkm_platform_device_node(const struct platform_device *device)
{
	const struct device_node *node = device->dev.of_node;

	return node ? node->full_name : NULL;
}

bool lkm_platform_device_memory(struct platform_device *device,
				unsigned int number, u64 *begin, u64 *size)
{
	const struct resource *it;

	it = platform_get_resource(device, IORESOURCE_MEM, number);
	if (!it)
		return false;
	*begin = it->start;
	*size = resource_size(it);
	return true;
}

/*
 * Whether a property is of @type, as far as one can know. C takes the bytes of one that some
 * module has made for whatever the caller says that they are: a number for a pointer.
 */
static bool property_is(const struct fwnode_handle *fwnode, const char *name,
			enum dev_prop_type type)
{
	const struct property_entry *entry;
	const struct software_node *node;

	for (; !IS_ERR_OR_NULL(fwnode); fwnode = fwnode->secondary) {
		node = to_software_node(fwnode);
		entry = node ? node->properties : NULL;
		for (; entry && entry->name; entry++)
			if (!strcmp(entry->name, name) && entry->type != type)
				return false;
	}
	return true;
}

bool lkm_property_is_there(struct platform_device *device, const char *name)
{
	return device_property_present(&device->dev, name);
}

/* @text stays as long as the device has the property. */
int lkm_property_text(struct platform_device *device, const char *name,
		      const char **text)
{
	struct device *dev = &device->dev;

	*text = NULL;
	if (!device_property_present(dev, name))
		return -ENOENT;
	if (!property_is(dev_fwnode(dev), name, DEV_PROP_STRING) ||
	    device_property_read_string(dev, name, text) || !*text)
		return -EINVAL;
	return 0;
}

int lkm_property_u32(struct platform_device *device, const char *name,
		     u32 *number)
{
	struct device *dev = &device->dev;

	if (!device_property_present(dev, name))
		return -ENOENT;
	if (!property_is(dev_fwnode(dev), name, DEV_PROP_U32) ||
	    device_property_count_u32(dev, name) != 1 ||
	    device_property_read_u32(dev, name, number))
		return -EINVAL;
	return 0;
}
