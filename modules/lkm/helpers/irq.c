// SPDX-License-Identifier: GPL-2.0-only

#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irqdesc.h>
#include <linux/irqflags.h>
#include <linux/kobject.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/wait.h>

#include "helpers.h"

/*
 * A chip that goes takes its interrupts along, and C frees their descriptors after a
 * grace period of RCU. So who waits for handlers needs a reference.
 */
static struct irq_desc *irq_desc_of(unsigned int irq)
{
	struct irq_data *data = irq_get_irq_data(irq);

	return data ? irq_data_to_desc(data) : NULL;
}

/* A reference to the descriptor of the interrupt; NULL if there is none. */
void *lkm_irq_get(unsigned int irq)
{
	struct irq_desc *desc;

	rcu_read_lock();
	desc = irq_desc_of(irq);
#ifdef CONFIG_SPARSE_IRQ
	if (desc && !kobject_get_unless_zero(&desc->kobj))
		desc = NULL;
#endif
	rcu_read_unlock();
	return desc;
}

/* Whether the interrupt is a message. It goes when its device's driver says so. */
bool lkm_irq_is_message(unsigned int irq)
{
	const struct irq_desc *desc;
	bool is_message;

	rcu_read_lock();
	desc = irq_desc_of(irq);
	is_message = desc && desc->irq_common_data.msi_desc;
	rcu_read_unlock();
	return is_message;
}

void lkm_irq_put(void *of)
{
#ifdef CONFIG_SPARSE_IRQ
	struct irq_desc *desc = of;

	kobject_put(&desc->kobj);
#endif
}

/*
 * The calls of request_threaded_irq() that run. It looks at the chip, and then sleeps: it
 * does not see that the chip goes. Whoever calls it is counted in one of two places, so
 * that those that come later keep nobody waiting.
 */
static atomic_t irq_requests[2];
static unsigned int irq_requests_place;
static DEFINE_MUTEX(irq_requests_mutex);

/* Can sleep, but waits for nobody. Returns what lkm_irq_request_end() takes. */
unsigned int lkm_irq_request_begin(void)
{
	unsigned int place = READ_ONCE(irq_requests_place);

	atomic_inc(&irq_requests[place]);
	/* Either what forbids the request is seen, or who waits sees us. */
	smp_mb__after_atomic();
	return place;
}

void lkm_irq_request_end(unsigned int place)
{
	atomic_fetch_dec_release(&irq_requests[place]);
}

static void irq_requests_wait_for(unsigned int place)
{
	while (atomic_read_acquire(&irq_requests[place]))
		schedule_timeout_uninterruptible(1);
}

/* Waits for the requests of this module that had begun when this was called. */
void lkm_irq_requests_wait(void)
{
	unsigned int place;

	mutex_lock(&irq_requests_mutex);
	smp_mb();
	place = irq_requests_place;
	/* Some may have been counted in the other place just now. */
	irq_requests_wait_for(!place);
	WRITE_ONCE(irq_requests_place, !place);
	smp_mb();
	irq_requests_wait_for(place);
	mutex_unlock(&irq_requests_mutex);
}

/* Whether the number is still that of the descriptor. */
static bool irq_desc_is_of(const struct irq_desc *desc, unsigned int irq)
{
	bool is_of;

	rcu_read_lock();
	is_of = irq_desc_of(irq) == desc;
	rcu_read_unlock();
	return is_of;
}

/* Who removes a handler does so with the lock, and then waits until it does not run. */
static bool irq_desc_has_cookie(struct irq_desc *desc, const void *cookie)
{
	const struct irqaction *action;
	unsigned long flags;

	raw_spin_lock_irqsave(&desc->lock, flags);
	action = desc->action;
	while (action && action->dev_id != cookie)
		action = action->next;
	raw_spin_unlock_irqrestore(&desc->lock, flags);
	return action;
}

static bool irq_desc_is_in_progress(struct irq_desc *desc)
{
	unsigned long flags;
	bool is_in_progress;

	raw_spin_lock_irqsave(&desc->lock, flags);
	is_in_progress = irqd_irq_inprogress(&desc->irq_data);
	raw_spin_unlock_irqrestore(&desc->lock, flags);
	return is_in_progress;
}

/* As synchronize_irq(), for an interrupt that can go meanwhile. */
static void irq_desc_wait(struct irq_desc *desc)
{
	while (irq_desc_is_in_progress(desc))
		schedule_timeout_uninterruptible(1);
	wait_event(desc->wait_for_threads, !atomic_read(&desc->threads_active));
}

/*
 * The handlers that this module is just removing: to remove one twice is a mistake to C.
 */
struct irq_freeing {
	struct list_head list;
	const void *cookie;
};

static LIST_HEAD(irq_freeings);
static DEFINE_RAW_SPINLOCK(irq_freeings_lock);

static bool irq_is_freeing(const void *cookie)
{
	const struct irq_freeing *other;

	list_for_each_entry(other, &irq_freeings, list)
		if (other->cookie == cookie)
			return true;
	return false;
}

/* Waits until nobody else removes the handler. */
static void irq_freeing_begin(struct irq_freeing *it, const void *cookie)
{
	unsigned long flags;

	it->cookie = cookie;
	raw_spin_lock_irqsave(&irq_freeings_lock, flags);
	while (irq_is_freeing(cookie)) {
		raw_spin_unlock_irqrestore(&irq_freeings_lock, flags);
		schedule_timeout_uninterruptible(1);
		raw_spin_lock_irqsave(&irq_freeings_lock, flags);
	}
	list_add(&it->list, &irq_freeings);
	raw_spin_unlock_irqrestore(&irq_freeings_lock, flags);
}

static void irq_freeing_end(struct irq_freeing *it)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&irq_freeings_lock, flags);
	list_del(&it->list);
	raw_spin_unlock_irqrestore(&irq_freeings_lock, flags);
}

/*
 * Removes the handler with this cookie, and waits until it does not run. When a chip
 * goes, gpiolib removes the handlers of its lines, and then waits. The number may be that
 * of something else by now.
 */
void lkm_irq_free(void *of, unsigned int irq, void *cookie)
{
	struct irq_desc *desc = of;
	struct irq_freeing freeing;
	bool freed = false;

	irq_freeing_begin(&freeing, cookie);
	if (irq_desc_is_of(desc, irq) && irq_desc_has_cookie(desc, cookie))
		freed = free_irq(irq, cookie);
	irq_freeing_end(&freeing);
	if (freed)
		return;
	/*
	 * gpiolib may be waiting yet. Or the interrupt has gone and nobody has removed the handler,
	 * as when the driver of a PCI device gives back a line that it had: then a CPU may still be
	 * on its way there.
	 */
	synchronize_rcu();
	irq_desc_wait(desc);
}

/* The cookie of a handler of the interrupt; false if it has none. */
static bool irq_desc_any_cookie(struct irq_desc *desc, void **cookie)
{
	const struct irqaction *action;
	unsigned long flags;

	raw_spin_lock_irqsave(&desc->lock, flags);
	action = desc->action;
	if (action)
		*cookie = action->dev_id;
	raw_spin_unlock_irqrestore(&desc->lock, flags);
	return action;
}

/*
 * Removes all handlers of the interrupt, and waits until they do not run. It must exist, and
 * none is requested any more.
 */
void lkm_irq_free_all(unsigned int irq)
{
	struct irq_desc *desc = irq_desc_of(irq);
	struct irq_freeing freeing;
	void *cookie;

	while (irq_desc_any_cookie(desc, &cookie)) {
		irq_freeing_begin(&freeing, cookie);
		if (irq_desc_has_cookie(desc, cookie))
			free_irq(irq, cookie);
		irq_freeing_end(&freeing);
	}
}

/* Waits until the handlers have done what they had to do. */
void lkm_irq_sync(void *of, unsigned int irq)
{
	struct irq_desc *desc = of;

	/* It asks the chip, too. */
	if (irq_desc_is_of(desc, irq))
		synchronize_irq(irq);
	irq_desc_wait(desc);
}

/*
 * In a handler that cannot be made a thread lockdep allows raw spinlocks only, as others
 * sleep with PREEMPT_RT. Without it there is no difference: this allows all of them until
 * the interrupt is over.
 */
void lkm_irq_hard_begin(void)
{
	lockdep_hardirq_threaded();
}

/* Whether the caller is the thread of an interrupt's handler. The kernel calls those irq/... */
bool lkm_irq_is_thread(void)
{
	return (current->flags & PF_KTHREAD) &&
	       !strncmp(current->comm, "irq/", 4);
}
