// SPDX-License-Identifier: GPL-2.0-only

#include <linux/array_size.h>
#include <linux/configfs.h>
#include <linux/container_of.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/overflow.h>
#include <linux/printk.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "helpers.h"

#if IS_ENABLED(CONFIG_CONFIGFS_FS)

/* As many as there are functions below, a pair for each file. */
#define ITEM_FILES 16

/*
 * A directory in configfs whose functions are written in Rust; see configfs.rs. The topmost is a
 * subsystem. All others only use the group in `subsys`.
 */
struct lkm_config_item {
	struct configfs_subsystem subsys;
	struct config_item_type type;
	struct lkm_config_item *top;
	const struct lkm_config_ops *ops;
	void *data;
	bool added;
	/* Of the topmost, with its su_mutex: */
	bool closed;		/* No directory is made any more. */
	struct list_head gone;	/* What was removed, which C may still have. */
	/* C has pointers to these. */
	unsigned int count;
	struct configfs_attribute *attributes[ITEM_FILES + 1];
	struct configfs_attribute files[];
};

/*
 * Whether the current task may be in a function of an item, of whatever subsystem: it has locks
 * that are needed to add and to remove one.
 */
bool lkm_config_within(void)
{
	return lkm_callers_may_have_current(LKM_IN_CONFIGFS);
}

static struct config_item *item_to_config(struct lkm_config_item *it)
{
	return &it->subsys.su_group.cg_item;
}

static struct lkm_config_item *item_of(struct config_item *item)
{
	return container_of(item, struct lkm_config_item,
			    subsys.su_group.cg_item);
}

static ssize_t item_show(struct config_item *item, unsigned int file,
			 char *page)
{
	struct lkm_config_item *it = item_of(item);
	unsigned int place = lkm_callers_begin(LKM_IN_CONFIGFS);
	ssize_t result = it->ops->show(it->data, file, page);

	lkm_callers_end(place);
	return result;
}

static ssize_t item_store(struct config_item *item, unsigned int file,
			  const char *text, size_t len)
{
	struct lkm_config_item *it = item_of(item);
	unsigned int place = lkm_callers_begin(LKM_IN_CONFIGFS);
	ssize_t result = it->ops->store(it->data, file, text, len);

	lkm_callers_end(place);
	return result;
}

/* C does not say which file it is. So each has functions of its own. */
#define ITEM_FUNCTIONS(n)                                                    \
	static ssize_t item_show_##n(struct config_item *item, char *page)   \
	{                                                                    \
		return item_show(item, n, page);                             \
	}                                                                    \
	static ssize_t item_store_##n(struct config_item *item,              \
				      const char *text, size_t len)          \
	{                                                                    \
		return item_store(item, n, text, len);                       \
	}
#define ITEM_ATTRIBUTE(n) { .show = item_show_##n, .store = item_store_##n },
#define ITEM_EACH(what)                                                      \
	what(0) what(1) what(2) what(3) what(4) what(5) what(6) what(7)      \
	what(8) what(9) what(10) what(11) what(12) what(13) what(14) what(15)

ITEM_EACH(ITEM_FUNCTIONS)

static const struct configfs_attribute item_attributes[ITEM_FILES] = {
	ITEM_EACH(ITEM_ATTRIBUTE)
};

void lkm_config_free(struct lkm_config_item *it)
{
	/* It frees the name. */
	config_item_put(item_to_config(it));
	kfree(it);
}

/*
 * Frees what was removed and C does not have any more. C would call a function of the module
 * when an item's last reference goes, and that can be after the module is gone: who makes a
 * symbolic link to an item has a reference to it. So the last one is always ours.
 *
 * The su_mutex is held, and so it is in the next functions.
 */
static void item_sweep(struct lkm_config_item *top)
{
	struct lkm_config_item *it, *next;

	list_for_each_entry_safe(it, next, &top->gone, gone) {
		if (kref_read(&item_to_config(it)->ci_kref) > 1)
			continue;
		list_del(&it->gone);
		lkm_config_free(it);
	}
}

static struct config_group *item_make(struct config_group *group,
				      const char *name)
{
	struct lkm_config_item *it = item_of(&group->cg_item);
	struct lkm_config_item *made;
	unsigned int place;

	item_sweep(it->top);
	if (it->top->closed)
		return ERR_PTR(-ESHUTDOWN);
	place = lkm_callers_begin(LKM_IN_CONFIGFS);
	made = it->ops->make(it->data, name);
	lkm_callers_end(place);
	if (IS_ERR(made))
		return ERR_CAST(made);
	made->top = it->top;
	return &made->subsys.su_group;
}

/* Nobody shows or stores its files any more, and it has no directories. */
static void item_drop(struct config_group *group, struct config_item *item)
{
	struct lkm_config_item *it = item_of(item);
	unsigned int place = lkm_callers_begin(LKM_IN_CONFIGFS);

	it->ops->drop(it->data);
	lkm_callers_end(place);
	item_sweep(it->top);
	/* C leaves the reference from lkm_config_new() to us. */
	list_add(&it->gone, &it->top->gone);
}

/* Not constant, as some versions of C's type have a pointer to what may change. */
static struct configfs_group_operations item_group_ops = {
	.make_group = item_make,
	.drop_item = item_drop,
};

/*
 * An item with so many files, each of which lkm_config_file() is then called for. It has one
 * reference. @name is copied. @ops stays as long as the module, and @data until the item is
 * dropped, or, of the topmost, removed.
 */
struct lkm_config_item *lkm_config_new(const char *name, size_t files,
				       const struct lkm_config_ops *ops,
				       void *data)
{
	struct lkm_config_item *it;

	if (files > ITEM_FILES)
		return ERR_PTR(-EINVAL);
	it = kzalloc(struct_size(it, files, files), GFP_KERNEL);
	if (!it)
		return ERR_PTR(-ENOMEM);
	if (config_item_set_name(item_to_config(it), "%s", name)) {
		kfree(it);
		return ERR_PTR(-ENOMEM);
	}
	config_group_init(&it->subsys.su_group);
	mutex_init(&it->subsys.su_mutex);
	it->type.ct_owner = THIS_MODULE;
	it->type.ct_attrs = it->attributes;
	if (ops->make)
		it->type.ct_group_ops = &item_group_ops;
	item_to_config(it)->ci_type = &it->type;
	it->top = it;
	it->ops = ops;
	it->data = data;
	INIT_LIST_HEAD(&it->gone);
	return it;
}

/* @name stays as long as the module. */
void lkm_config_file(struct lkm_config_item *it, const char *name,
		     umode_t mode, bool shown, bool stored)
{
	struct configfs_attribute *file = &it->files[it->count];

	*file = item_attributes[it->count];
	file->ca_name = name;
	file->ca_mode = mode;
	if (!shown)
		file->show = NULL;
	if (!stored)
		file->store = NULL;
	it->attributes[it->count++] = file;
}

static bool item_has_directories(struct lkm_config_item *it)
{
	bool has;

	mutex_lock(&it->subsys.su_mutex);
	it->closed = true;
	has = !list_empty(&it->subsys.su_group.cg_children);
	mutex_unlock(&it->subsys.su_mutex);
	return has;
}

static bool item_is_used(struct lkm_config_item *it)
{
	bool used;

	mutex_lock(&it->subsys.su_mutex);
	item_sweep(it);
	used = !list_empty(&it->gone) ||
	       kref_read(&item_to_config(it)->ci_kref) > 1;
	mutex_unlock(&it->subsys.su_mutex);
	return used;
}

/*
 * When this fails, the directory was there for a moment. Who makes a symbolic link to it then
 * is refused, but has a reference meanwhile.
 */
int lkm_config_add(struct lkm_config_item *it)
{
	int result = configfs_register_subsystem(&it->subsys);

	it->added = !result;
	if (result)
		while (item_is_used(it))
			schedule_timeout_uninterruptible(1);
	return result;
}

/*
 * Removes the topmost, and waits until C has nothing of it. C cannot remove directories that
 * processes have made: they are waited for.
 *
 * Each function runs with a lock that C takes here: of the topmost's files, or of its directory.
 * Who removes a directory has the lock of the one above it until C is done with both.
 */
void lkm_config_remove(struct lkm_config_item *it)
{
	bool said = false;

	if (!it->added)
		return;
	while (item_has_directories(it)) {
		if (!said)
			pr_warn("%s: configfs: somebody has to remove the directories in %s\n",
				THIS_MODULE->name,
				config_item_name(item_to_config(it)));
		said = true;
		schedule_timeout_uninterruptible(1);
	}
	configfs_unregister_subsystem(&it->subsys);
	while (item_is_used(it))
		schedule_timeout_uninterruptible(1);
}

#endif
