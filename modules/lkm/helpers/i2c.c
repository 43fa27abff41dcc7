// SPDX-License-Identifier: GPL-2.0-only

#include <linux/completion.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/i2c.h>
#include <linux/kobject.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/version.h>

#include "helpers.h"

#if IS_ENABLED(CONFIG_I2C)

/*
 * Drivers of devices, and adapters, whose functions are written in Rust; see i2c.rs. The
 * kernel's own bindings have their types in some versions only.
 */
struct lkm_i2c_driver {
	struct i2c_driver i2c;
	const struct lkm_i2c_driver_ops *ops;
	void *data;
	char *name;
	struct i2c_device_id ids[];	/* The last one has no name. */
};

struct lkm_i2c_adapter {
	struct i2c_adapter i2c;
	const struct lkm_i2c_adapter_ops *ops;
	void *data;
	struct task_struct *caller;	/* Who is in one of its functions. */
};

static struct lkm_i2c_driver *client_driver(const struct i2c_client *client)
{
	struct i2c_driver *i2c = to_i2c_driver(client->dev.driver);

	return container_of(i2c, struct lkm_i2c_driver, i2c);
}

static int client_probe(struct i2c_client *client)
{
	const struct i2c_device_id *id = i2c_client_get_device_id(client);
	struct lkm_i2c_driver *it = client_driver(client);
	void *bound;
	int result;

	if (!id)
		return -ENODEV;
	result = it->ops->probe(it->data, client, id->driver_data, &bound);
	if (!result)
		i2c_set_clientdata(client, bound);
	return result;
}

static void client_remove(struct i2c_client *client)
{
	client_driver(client)->ops->remove(i2c_get_clientdata(client));
}

/* Frees a driver that no device has any more. May sleep. */
static void client_driver_free(struct lkm_i2c_driver *it)
{
	if (!driver_wait())
		return;
	kfree(it->name);
	kfree(it);
}

/*
 * Adds a driver for devices with one of @names. All names are copied. @ops and @data stay until
 * lkm_i2c_driver_remove(). May sleep.
 */
struct lkm_i2c_driver *lkm_i2c_driver_add(const char *name,
					  const char *const *names,
					  unsigned int count,
					  const struct lkm_i2c_driver_ops *ops,
					  void *data)
{
	struct lkm_i2c_driver *it;
	unsigned int n;
	int result;

	it = kzalloc(struct_size(it, ids, count + 1), GFP_KERNEL);
	if (!it)
		return ERR_PTR(-ENOMEM);
	it->name = kstrdup(name, GFP_KERNEL);
	if (!it->name) {
		kfree(it);
		return ERR_PTR(-ENOMEM);
	}
	it->ops = ops;
	it->data = data;
	for (n = 0; n < count; n++) {
		strscpy(it->ids[n].name, names[n], I2C_NAME_SIZE);
		it->ids[n].driver_data = n;
	}
	it->i2c.driver.name = it->name;
	/* Who registers a driver sees what comes of it. */
	it->i2c.driver.probe_type = PROBE_FORCE_SYNCHRONOUS;
	it->i2c.id_table = it->ids;
	it->i2c.probe = client_probe;
	it->i2c.remove = client_remove;
	result = i2c_register_driver(THIS_MODULE, &it->i2c);
	if (result) {
		/* It may have had devices. */
		client_driver_free(it);
		return ERR_PTR(result);
	}
	return it;
}

/*
 * Takes the driver from its devices. When this has returned, none of its functions runs, or
 * will. May sleep.
 */
void lkm_i2c_driver_remove(struct lkm_i2c_driver *it)
{
	struct kernfs_node *directory = driver_directory(&i2c_bus_type, it->name);

	i2c_del_driver(&it->i2c);
	driver_directory_wait(&i2c_bus_type, it->name, directory);
	client_driver_free(it);
}

/* C calls this with the bus locked. */
static int adapter_xfer(struct i2c_adapter *i2c, u16 address,
			unsigned short flags, char read_write, u8 command,
			int size, union i2c_smbus_data *data)
{
	struct lkm_i2c_adapter *it = container_of(i2c, struct lkm_i2c_adapter, i2c);
	bool word = size == I2C_SMBUS_WORD_DATA;
	int result;

	/* Flags are for addresses of ten bits, or for checksums. */
	if (flags || (!word && size != I2C_SMBUS_BYTE_DATA))
		return -EOPNOTSUPP;
	/* /dev/i2c-N keeps an address of ten bits when the flag is taken back. */
	if (address > 0x7f)
		return -ENXIO;
	WRITE_ONCE(it->caller, current);
	if (read_write == I2C_SMBUS_WRITE)
		result = it->ops->write(it->data, address, command, word,
					word ? data->word : data->byte);
	else
		result = it->ops->read(it->data, address, command, word);
	WRITE_ONCE(it->caller, NULL);
	/* C would call again with the bus locked, as long and as often as user space has said. */
	if (result == -EAGAIN)
		return -EBUSY;
	if (result < 0 || read_write == I2C_SMBUS_WRITE)
		return result;
	if (word)
		data->word = result;
	else
		data->byte = result;
	return 0;
}

static u32 adapter_functionality(struct i2c_adapter *i2c)
{
	return I2C_FUNC_SMBUS_BYTE_DATA | I2C_FUNC_SMBUS_WORD_DATA;
}

static const struct i2c_algorithm adapter_algorithm = {
	.smbus_xfer = adapter_xfer,
	.functionality = adapter_functionality,
};

/* Adds an adapter. @ops and @data stay until lkm_i2c_adapter_remove(). May sleep. */
struct lkm_i2c_adapter *lkm_i2c_adapter_add(const char *name,
					    const struct lkm_i2c_adapter_ops *ops,
					    void *data)
{
	struct lkm_i2c_adapter *it;
	int result;

	it = kzalloc(sizeof(*it), GFP_KERNEL);
	if (!it)
		return ERR_PTR(-ENOMEM);
	it->ops = ops;
	it->data = data;
	it->i2c.owner = THIS_MODULE;
	it->i2c.algo = &adapter_algorithm;
	strscpy(it->i2c.name, name, sizeof(it->i2c.name));
	/* Linux 6.18 completes this when it cannot add the device, but does not begin it. */
	init_completion(&it->i2c.dev_released);
	result = i2c_add_adapter(&it->i2c);
	if (!result)
		return it;
#if LINUX_VERSION_CODE < KERNEL_VERSION(7, 0, 0)
	/* Nor does it wait then, until nobody has the device any more. */
	if (it->i2c.dev.kobj.state_initialized)
		wait_for_completion(&it->i2c.dev_released);
#endif
	kfree(it);
	return ERR_PTR(result);
}

/*
 * Removes the devices on the bus, then the adapter. When this has returned, none of its
 * functions runs, or will. May sleep.
 */
void lkm_i2c_adapter_remove(struct lkm_i2c_adapter *it)
{
	static const struct attribute new_device = { .name = "new_device" };

	/*
	 * Linux 6.18 does not do this by itself: who writes to the file at this time would add
	 * a device that nobody removes. This waits for who does. No file is found twice.
	 */
	sysfs_remove_file(&it->i2c.dev.kobj, &new_device);
	i2c_del_adapter(&it->i2c);
	kfree(it);
}

/* Whether the caller is in a function of the adapter, which would wait for itself. */
static bool client_is_within(const struct i2c_client *client)
{
	struct i2c_adapter *i2c = client->adapter;
	struct lkm_i2c_adapter *it;

	/* Those of other modules have functions of their own. */
	if (i2c->algo != &adapter_algorithm)
		return false;
	it = container_of(i2c, struct lkm_i2c_adapter, i2c);
	return READ_ONCE(it->caller) == current;
}

/* The number in a register, or an error. May sleep. */
int lkm_i2c_read(const void *client, u8 command, bool word)
{
	if (client_is_within(client))
		return -EDEADLK;
	return word ? i2c_smbus_read_word_data(client, command) :
		      i2c_smbus_read_byte_data(client, command);
}

/* Returns 0, or an error. May sleep. */
int lkm_i2c_write(const void *client, u8 command, bool word, u16 value)
{
	if (client_is_within(client))
		return -EDEADLK;
	return word ? i2c_smbus_write_word_data(client, command, value) :
		      i2c_smbus_write_byte_data(client, command, value);
}

u16 lkm_i2c_address(const void *client)
{
	return ((const struct i2c_client *)client)->addr;
}

const char *lkm_i2c_name(const void *client)
{
	return dev_name(&((const struct i2c_client *)client)->dev);
}

#endif
