// SPDX-License-Identifier: GPL-2.0-only

#include <linux/dma-mapping.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/ioport.h>
#include <linux/kernel.h>
#include <linux/mod_devicetable.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/overflow.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "helpers.h"

#ifdef CONFIG_PCI
/* A driver whose functions are written in Rust; see pci.rs. */
struct lkm_pci_driver {
	struct pci_driver pci;
	const struct lkm_pci_ops *ops;
	void *data;
	u64 dma_mask;
	char *name;
	struct pci_device_id ids[];	/* The last one is empty. */
};

/* A device that such a driver is bound to. */
struct lkm_pci_device {
	struct pci_dev *pci;
	const struct lkm_pci_driver *driver;
	struct mutex lock;	/* C wants one at a time to change how it is set up. */
	bool has_irq;
	void *bound;
};

/* The device answers. It neither interrupts nor accesses memory by itself yet. */
static int lkm_pci_enable(struct lkm_pci_device *it)
{
	int result = pci_enable_device_mem(it->pci);

	if (result)
		return result;
	/* Whoever had it before may have left it otherwise. */
	pci_clear_master(it->pci);
	pci_intx(it->pci, 0);
	result = dma_set_mask_and_coherent(&it->pci->dev, it->driver->dma_mask);
	if (result)
		pci_disable_device(it->pci);
	return result;
}

/* @id may be gone by now. */
static int lkm_pci_probe(struct pci_dev *pci, const struct pci_device_id *id)
{
	const struct lkm_pci_driver *driver =
		container_of(pci->driver, struct lkm_pci_driver, pci);
	struct lkm_pci_device *it;
	int result;

	it = kzalloc(sizeof(*it), GFP_KERNEL);
	if (!it)
		return -ENOMEM;
	it->pci = pci;
	it->driver = driver;
	mutex_init(&it->lock);
	result = lkm_pci_enable(it);
	if (result) {
		kfree(it);
		return result;
	}
	result = driver->ops->probe(driver->data, it, &it->bound);
	if (result) {
		pci_disable_device(pci);
		kfree(it);
		return result;
	}
	pci_set_drvdata(pci, it);
	return 0;
}

static void lkm_pci_remove(struct pci_dev *pci)
{
	struct lkm_pci_device *it = pci_get_drvdata(pci);

	it->driver->ops->remove(it->driver->data, it->bound);
	pci_disable_device(pci);
	kfree(it);
}

/* Frees a driver that no device has any more. May sleep. */
static void lkm_pci_driver_free(struct lkm_pci_driver *it)
{
	if (!driver_wait())
		return;
	kfree(it->name);
	kfree(it);
}

/*
 * Adds a driver of devices with the @count @ids. @name and @ids are copied. @ops and @data stay
 * until lkm_pci_driver_remove(). The functions can be called before this returns. May sleep.
 */
struct lkm_pci_driver *lkm_pci_driver_add(const char *name,
					  const struct lkm_pci_id *ids,
					  size_t count, u64 dma_mask,
					  const struct lkm_pci_ops *ops,
					  void *data)
{
	struct lkm_pci_driver *it;
	size_t n;
	int result;

	it = kzalloc(struct_size(it, ids, count + 1), GFP_KERNEL);
	if (!it)
		return ERR_PTR(-ENOMEM);
	it->name = kstrdup(name, GFP_KERNEL);
	if (!it->name) {
		kfree(it);
		return ERR_PTR(-ENOMEM);
	}
	for (n = 0; n < count; n++)
		it->ids[n] = (struct pci_device_id){
			PCI_DEVICE(ids[n].vendor, ids[n].device)
		};
	it->ops = ops;
	it->data = data;
	it->dma_mask = dma_mask;
	it->pci.name = it->name;
	it->pci.id_table = it->ids;
	it->pci.probe = lkm_pci_probe;
	it->pci.remove = lkm_pci_remove;
	/* Who registers a driver sees what comes of it. */
	it->pci.driver.probe_type = PROBE_FORCE_SYNCHRONOUS;
	result = __pci_register_driver(&it->pci, THIS_MODULE, THIS_MODULE->name);
	if (result) {
		/* It may have had devices. */
		lkm_pci_driver_free(it);
		return ERR_PTR(result);
	}
	return it;
}

/* Takes the driver from its devices, and waits until nobody calls it. May sleep. */
void lkm_pci_driver_remove(struct lkm_pci_driver *it)
{
	struct kernfs_node *directory = driver_directory(&pci_bus_type, it->name);

	pci_unregister_driver(&it->pci);
	driver_directory_wait(&pci_bus_type, it->name, directory);
	lkm_pci_driver_free(it);
}

/* Where the device is. The lower byte of @place is its number and function, above is the bus. */
void lkm_pci_place(const struct lkm_pci_device *it, u32 *domain, u32 *place)
{
	*domain = pci_domain_nr(it->pci->bus);
	*place = pci_dev_id(it->pci);
}

/* Lets the device access memory by itself. */
void lkm_pci_set_master(struct lkm_pci_device *it)
{
	mutex_lock(&it->lock);
	pci_set_master(it->pci);
	mutex_unlock(&it->lock);
}

/* The device neither accesses memory by itself any more, nor interrupts. */
void lkm_pci_silence(struct lkm_pci_device *it)
{
	mutex_lock(&it->lock);
	pci_clear_master(it->pci);
	pci_intx(it->pci, 0);
	mutex_unlock(&it->lock);
}

/* Returns the number of the device's interrupt, or an error. There is one at a time. */
int lkm_pci_irq_get(struct lkm_pci_device *it, bool msi)
{
	unsigned int flags = msi ? PCI_IRQ_MSI | PCI_IRQ_MSIX : PCI_IRQ_INTX;
	int result = -EBUSY;

	mutex_lock(&it->lock);
	if (!it->has_irq)
		result = pci_alloc_irq_vectors(it->pci, 1, 1, flags);
	if (result > 0) {
		result = pci_irq_vector(it->pci, 0);
		/* As IRQ_NOTCONNECTED, which is no error number. */
		if (result <= 0) {
			pci_free_irq_vectors(it->pci);
			result = -ENOTCONN;
		} else {
			it->has_irq = true;
		}
		/* C does not do this on all kernels. Some devices need the line for messages. */
		pci_intx(it->pci, it->has_irq && (!msi || it->pci->dev_flags &
				 PCI_DEV_FLAGS_MSI_INTX_DISABLE_BUG));
	}
	mutex_unlock(&it->lock);
	return result;
}

/* After lkm_pci_irq_get(). Nobody handles the interrupt any more. */
void lkm_pci_irq_put(struct lkm_pci_device *it)
{
	mutex_lock(&it->lock);
	pci_free_irq_vectors(it->pci);
	/* Others may share the line. */
	pci_intx(it->pci, 0);
	it->has_irq = false;
	mutex_unlock(&it->lock);
}

/* Maps the registers of a BAR. */
int lkm_pci_map(struct lkm_pci_device *it, unsigned int bar, void **at,
		size_t *len)
{
	void __iomem *mapped;
	int result;

	if (bar >= PCI_STD_NUM_BARS ||
	    !(pci_resource_flags(it->pci, bar) & IORESOURCE_MEM) ||
	    !pci_resource_len(it->pci, bar))
		return -EINVAL;
	/* C keeps the name, which is the driver's and stays longer. */
	result = pci_request_region(it->pci, bar, it->driver->name);
	if (result)
		return result;
	mapped = pci_iomap(it->pci, bar, 0);
	if (!mapped) {
		pci_release_region(it->pci, bar);
		return -ENOMEM;
	}
	*at = (void __force *)mapped;
	*len = pci_resource_len(it->pci, bar);
	return 0;
}

void lkm_pci_unmap(struct lkm_pci_device *it, unsigned int bar, void *at)
{
	pci_iounmap(it->pci, (void __iomem __force *)at);
	pci_release_region(it->pci, bar);
}

/* Zeroed memory for the device, of at least one page; NULL if there is none. */
void *lkm_pci_dma_alloc(struct lkm_pci_device *it, size_t len, u64 *address)
{
	dma_addr_t place = 0;
	void *at = dma_alloc_attrs(&it->pci->dev, len, &place, GFP_KERNEL,
				   DMA_ATTR_NO_WARN);

	*address = place;
	return at;
}

void lkm_pci_dma_free(struct lkm_pci_device *it, size_t len, void *at,
		      u64 address)
{
	dma_free_attrs(&it->pci->dev, len, at, address, DMA_ATTR_NO_WARN);
}
#endif
