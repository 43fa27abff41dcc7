// SPDX-License-Identifier: GPL-2.0-only

#include <linux/cdev.h>
#include <linux/completion.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include "helpers.h"

/* The character devices by device number; see chrdev.rs. */
DEFINE_XARRAY(lkm_chrdevs);

/* The kernel crate's. To lockdep the class of its lock is the kernel's. */
void rust_helper_init_completion(struct completion *completion);

/* Whether the module has its kobject: not yet when its parameters are set first. */
bool lkm_has_kobject(void)
{
	return THIS_MODULE->mkobj.kobj.state_initialized;
}

/*
 * Deletes a character device, and has the module outlive it; see chrdev.rs.
 *
 * After an init that failed, what was lost is deleted when the module's own kobject
 * is gone already. Then this waits itself, with another kobject of the same kind.
 */
void lkm_cdev_del(struct cdev *cdev)
{
	struct kobject *parent = &THIS_MODULE->mkobj.kobj;
	struct module_kobject *own = NULL;
	struct completion released;

	if (!kobject_get_unless_zero(parent)) {
		/* What counts the module's allocations may be gone, too. */
		own = kzalloc_noprof(sizeof(*own), GFP_KERNEL | __GFP_NOFAIL);
		/* Lockdep does not know the module any more. */
		rust_helper_init_completion(&released);
		own->kobj_completion = &released;
		kobject_init(&own->kobj, parent->ktype);
		parent = &own->kobj;
	}
	/* The reference to the parent is the cdev's: its release puts it. */
	cdev_set_parent(cdev, parent);
	cdev_del(cdev);
	if (own)
		wait_for_completion(&released);
	kfree(own);
}
