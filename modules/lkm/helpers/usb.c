// SPDX-License-Identifier: GPL-2.0-only

#include <linux/array_size.h>
#include <linux/build_bug.h>
#include <linux/completion.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/limits.h>
#include <linux/list.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "helpers.h"

/*
 * A USB driver whose functions are written in Rust; see usb.rs. The kernel's own bindings have
 * its types in some versions only, and much of it is inline.
 */
#if IS_ENABLED(CONFIG_USB)
#include <linux/usb.h>

struct lkm_usb_driver {
	struct usb_driver usb;
	const struct lkm_usb_ops *ops;
	void *data;
	char *name;
	struct mutex lock;		/* It protects what follows. */
	struct list_head interfaces;	/* Those whose transfers are not ended. */
	bool closed;			/* No interface is added. */
	struct usb_device_id ids[];
};

/* An interface. C has it from probe() to disconnect(), Rust for longer. */
struct lkm_usb {
	struct lkm_usb_driver *driver;	/* NULL when it is not on the list. */
	struct list_head list;
	struct usb_interface *interface;
	struct usb_anchor transfers;
	bool closed;
};

static struct lkm_usb *usb_if_new(struct lkm_usb_driver *driver,
				  struct usb_interface *interface)
{
	struct lkm_usb *it;

	it = kzalloc(sizeof(*it), GFP_KERNEL);
	if (!it)
		return ERR_PTR(-ENOMEM);
	it->driver = driver;
	it->interface = interface;
	init_usb_anchor(&it->transfers);
	mutex_lock(&driver->lock);
	if (driver->closed) {
		mutex_unlock(&driver->lock);
		kfree(it);
		return ERR_PTR(-ENODEV);
	}
	list_add(&it->list, &driver->interfaces);
	mutex_unlock(&driver->lock);
	return it;
}

/*
 * Called with the locks of the interface and of its device, as is the next. In Linux 6.18 user
 * space can have @id freed meanwhile.
 */
static int usb_if_probe(struct usb_interface *interface,
			const struct usb_device_id *id)
{
	struct usb_driver *usb = to_usb_driver(interface->dev.driver);
	struct lkm_usb_driver *driver =
		container_of(usb, struct lkm_usb_driver, usb);
	struct lkm_usb *it = usb_if_new(driver, interface);
	void *bound = NULL;
	int result;

	if (IS_ERR(it))
		return PTR_ERR(it);
	/* From here on it is Rust that closes and frees it. */
	result = driver->ops->probe(driver->data, it, &bound);
	if (!result)
		usb_set_intfdata(interface, bound);
	return result;
}

static void usb_if_disconnect(struct usb_interface *interface)
{
	struct usb_driver *usb = to_usb_driver(interface->dev.driver);
	struct lkm_usb_driver *driver =
		container_of(usb, struct lkm_usb_driver, usb);

	driver->ops->disconnect(driver->data, usb_get_intfdata(interface));
}

/* Ends all transfers, and those that begin later. Waits for who ends them, not for callers. */
static void usb_if_end_transfers(struct lkm_usb *it)
{
	WRITE_ONCE(it->closed, true);
	usb_poison_anchored_urbs(&it->transfers);
}

/*
 * To be called once, before probe() returns an error, or in disconnect(). Nobody may be in
 * lkm_usb_control() or lkm_usb_transfer() when these return.
 */
void lkm_usb_close(struct lkm_usb *it)
{
	struct lkm_usb_driver *driver = it->driver;

	mutex_lock(&driver->lock);
	usb_if_end_transfers(it);
	list_del(&it->list);
	it->driver = NULL;
	mutex_unlock(&driver->lock);
}

/* One that was not closed is, if this is called in probe(). */
void lkm_usb_free(struct lkm_usb *it)
{
	if (it->driver)
		lkm_usb_close(it);
	kfree(it);
}

void lkm_usb_describe(struct lkm_usb *it, struct lkm_usb_about *about)
{
	const struct usb_host_interface *now = it->interface->cur_altsetting;
	const struct usb_device *device = interface_to_usbdev(it->interface);
	const struct usb_endpoint_descriptor *desc;
	unsigned int n;

	BUILD_BUG_ON(ARRAY_SIZE(about->endpoints) < USB_MAXENDPOINTS);
	strscpy(about->name, dev_name(&it->interface->dev), sizeof(about->name));
	about->vendor = le16_to_cpu(device->descriptor.idVendor);
	about->product = le16_to_cpu(device->descriptor.idProduct);
	about->number = now->desc.bInterfaceNumber;
	about->class = now->desc.bInterfaceClass;
	about->subclass = now->desc.bInterfaceSubClass;
	about->protocol = now->desc.bInterfaceProtocol;
	about->count = min_t(unsigned int, now->desc.bNumEndpoints,
			     ARRAY_SIZE(about->endpoints));
	for (n = 0; n < about->count; n++) {
		desc = &now->endpoint[n].desc;
		about->endpoints[n].address = desc->bEndpointAddress;
		about->endpoints[n].kind = usb_endpoint_type(desc);
		about->endpoints[n].size = usb_endpoint_maxp(desc);
	}
}

static void usb_if_done(struct urb *urb)
{
	complete(urb->context);
}

/* With memory for @len bytes that the hardware can get at. @bytes is NULL if it writes there. */
static struct urb *usb_if_urb(const void *bytes, size_t len)
{
	struct urb *urb;

	if (len > INT_MAX)
		return NULL;
	/* Somebody may be waiting for a disk, to have memory. */
	urb = usb_alloc_urb(0, GFP_NOIO);
	if (!urb || !len)
		return urb;
	urb->transfer_buffer = kmalloc(len, GFP_NOIO | __GFP_NOWARN);
	if (!urb->transfer_buffer) {
		usb_free_urb(urb);
		return NULL;
	}
	urb->transfer_flags |= URB_FREE_BUFFER;
	if (bytes)
		memcpy(urb->transfer_buffer, bytes, len);
	return urb;
}

/* What comes of an interface that is gone, or that somebody takes away. */
static int usb_if_error(int error)
{
	switch (error) {
	case -ENOENT:
	case -EPERM:
	case -ESHUTDOWN:
	case -EHOSTUNREACH:
		return -ENODEV;
	default:
		return error;
	}
}

/* Returns the number of bytes, which are copied to @into if that is not NULL. */
static int usb_if_run(struct lkm_usb *it, struct urb *urb, void *into,
		      bool killable, long timeout)
{
	DECLARE_COMPLETION_ONSTACK(done);
	int result;
	long left;

	urb->context = &done;
	usb_anchor_urb(urb, &it->transfers);
	result = usb_submit_urb(urb, GFP_NOIO);
	if (result) {
		usb_unanchor_urb(urb);
		return usb_if_error(result);
	}
	if (killable)
		left = wait_for_completion_killable_timeout(&done, timeout);
	else
		left = wait_for_completion_interruptible_timeout(&done, timeout);
	/* When this returns, nobody is in usb_if_done() any more, or gets there. */
	usb_kill_urb(urb);
	if (urb->status == -ENOENT) {
		if (left > 0 || READ_ONCE(it->closed))
			return -ENODEV;
		return left ? left : -ETIMEDOUT;
	}
	if (urb->status)
		return usb_if_error(urb->status);
	if (into && urb->actual_length)
		memcpy(into, urb->transfer_buffer, urb->actual_length);
	return urb->actual_length;
}

/* Of the device. @kind has its direction; one that reads has room for something. */
int lkm_usb_control(struct lkm_usb *it, u8 kind, u8 number, u16 value,
		    u16 index, void *bytes, u16 len, long timeout)
{
	struct usb_device *device = interface_to_usbdev(it->interface);
	bool in = kind & USB_DIR_IN;
	struct usb_ctrlrequest *setup;
	struct urb *urb;
	int result;

	setup = kmalloc(sizeof(*setup), GFP_NOIO);
	urb = usb_if_urb(in ? NULL : bytes, len);
	if (!setup || !urb) {
		usb_free_urb(urb);
		kfree(setup);
		return -ENOMEM;
	}
	setup->bRequestType = kind;
	setup->bRequest = number;
	setup->wValue = cpu_to_le16(value);
	setup->wIndex = cpu_to_le16(index);
	setup->wLength = cpu_to_le16(len);
	usb_fill_control_urb(urb, device,
			     in ? usb_rcvctrlpipe(device, 0) :
				  usb_sndctrlpipe(device, 0),
			     (unsigned char *)setup, urb->transfer_buffer, len,
			     usb_if_done, NULL);
	result = usb_if_run(it, urb, in ? bytes : NULL, true, timeout);
	usb_free_urb(urb);
	kfree(setup);
	return result;
}

/* Those of the interface do not change as long as a driver is bound to it. */
static const struct usb_endpoint_descriptor *
usb_if_endpoint(const struct lkm_usb *it, u8 address)
{
	const struct usb_host_interface *now = it->interface->cur_altsetting;
	unsigned int n;

	for (n = 0; n < now->desc.bNumEndpoints; n++)
		if (now->endpoint[n].desc.bEndpointAddress == address)
			return &now->endpoint[n].desc;
	return NULL;
}

static unsigned int usb_if_pipe(struct usb_device *device,
				const struct usb_endpoint_descriptor *desc)
{
	unsigned int number = usb_endpoint_num(desc);
	bool in = usb_endpoint_dir_in(desc);

	if (usb_endpoint_xfer_int(desc))
		return in ? usb_rcvintpipe(device, number) :
			    usb_sndintpipe(device, number);
	return in ? usb_rcvbulkpipe(device, number) :
		    usb_sndbulkpipe(device, number);
}

/* From or to the endpoint of the interface that has the address. */
int lkm_usb_transfer(struct lkm_usb *it, u8 address, void *bytes, size_t len,
		     long timeout)
{
	struct usb_device *device = interface_to_usbdev(it->interface);
	const struct usb_endpoint_descriptor *desc =
		usb_if_endpoint(it, address);
	struct urb *urb;
	bool in;
	int result;

	if (!desc ||
	    (!usb_endpoint_xfer_int(desc) && !usb_endpoint_xfer_bulk(desc)))
		return -EINVAL;
	in = usb_endpoint_dir_in(desc);
	urb = usb_if_urb(in ? NULL : bytes, len);
	if (!urb)
		return -ENOMEM;
	if (usb_endpoint_xfer_int(desc))
		usb_fill_int_urb(urb, device, usb_if_pipe(device, desc),
				 urb->transfer_buffer, len, usb_if_done, NULL,
				 desc->bInterval);
	else
		usb_fill_bulk_urb(urb, device, usb_if_pipe(device, desc),
				  urb->transfer_buffer, len, usb_if_done, NULL);
	result = usb_if_run(it, urb, in ? bytes : NULL, false, timeout);
	usb_free_urb(urb);
	return result;
}

static void usb_if_fill_id(struct usb_device_id *to,
			   const struct lkm_usb_id *from)
{
	if (from->of_device)
		to->match_flags |= USB_DEVICE_ID_MATCH_DEVICE;
	if (from->of_interface)
		to->match_flags |= USB_DEVICE_ID_MATCH_INT_INFO;
	to->idVendor = from->vendor;
	to->idProduct = from->product;
	to->bInterfaceClass = from->class;
	to->bInterfaceSubClass = from->subclass;
	to->bInterfaceProtocol = from->protocol;
	/* One with nothing but zeroes would be the end of the table. */
	to->driver_info = 1;
}

/* Frees a driver that no interface has any more. May sleep. */
static void usb_driver_free(struct lkm_usb_driver *driver)
{
	if (!driver_wait())
		return;
	kfree(driver->name);
	kfree(driver);
}

/*
 * @name and @ids are copied. @ops and @data stay until lkm_usb_driver_remove(). The functions
 * can be called before this returns. May sleep.
 */
struct lkm_usb_driver *lkm_usb_driver_add(const char *name,
					  const struct lkm_usb_id *ids,
					  size_t count,
					  const struct lkm_usb_ops *ops,
					  void *data)
{
	struct lkm_usb_driver *driver;
	int result;
	size_t n;

	driver = kzalloc(struct_size(driver, ids, size_add(count, 1)),
			 GFP_KERNEL | __GFP_NOWARN);
	if (!driver)
		return ERR_PTR(-ENOMEM);
	driver->name = kstrdup(name, GFP_KERNEL);
	if (!driver->name) {
		kfree(driver);
		return ERR_PTR(-ENOMEM);
	}
	for (n = 0; n < count; n++)
		usb_if_fill_id(&driver->ids[n], &ids[n]);
	driver->usb.name = driver->name;
	driver->usb.probe = usb_if_probe;
	driver->usb.disconnect = usb_if_disconnect;
	driver->usb.id_table = driver->ids;
	/* Who registers a driver sees what comes of it. */
	driver->usb.driver.probe_type = PROBE_FORCE_SYNCHRONOUS;
	driver->ops = ops;
	driver->data = data;
	mutex_init(&driver->lock);
	INIT_LIST_HEAD(&driver->interfaces);
	result = usb_register_driver(&driver->usb, THIS_MODULE,
				     THIS_MODULE->name);
	if (result) {
		/* It may have had devices. */
		usb_driver_free(driver);
		return ERR_PTR(result);
	}
	return driver;
}

/*
 * Waits until no function of the driver runs, and none can begin. One that waits for a transfer
 * is not to keep us waiting, which probe() can be, too.
 */
void lkm_usb_driver_remove(struct lkm_usb_driver *driver)
{
	const struct bus_type *bus = driver->usb.driver.bus;
	struct kernfs_node *directory = driver_directory(bus, driver->name);
	struct lkm_usb *it;

	mutex_lock(&driver->lock);
	driver->closed = true;
	list_for_each_entry(it, &driver->interfaces, list)
		usb_if_end_transfers(it);
	mutex_unlock(&driver->lock);
	usb_deregister(&driver->usb);
	driver_directory_wait(bus, driver->name, directory);
	usb_driver_free(driver);
}
#endif
