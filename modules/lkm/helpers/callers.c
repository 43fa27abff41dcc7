// SPDX-License-Identifier: GPL-2.0-only

#include <linux/array_size.h>
#include <linux/sched.h>
#include <linux/spinlock.h>

#include "helpers.h"

/*
 * The tasks that are in functions of some kind which are written in Rust, as often as they
 * are. Those for whom there is no place are counted.
 */
struct callers {
	raw_spinlock_t lock;
	unsigned int more;
	struct task_struct *tasks[64];
};

#define DEFINE_CALLERS(name)					\
	static struct callers name = {				\
		.lock = __RAW_SPIN_LOCK_UNLOCKED(name.lock),	\
	}

/* Returns a place, for callers_end(). */
static unsigned int callers_begin(struct callers *it)
{
	unsigned int place;
	unsigned long flags;

	raw_spin_lock_irqsave(&it->lock, flags);
	for (place = 0; place < ARRAY_SIZE(it->tasks); place++)
		if (!it->tasks[place])
			break;
	if (place < ARRAY_SIZE(it->tasks))
		it->tasks[place] = current;
	else
		it->more++;
	raw_spin_unlock_irqrestore(&it->lock, flags);
	return place;
}

static void callers_end(struct callers *it, unsigned int place)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&it->lock, flags);
	if (place < ARRAY_SIZE(it->tasks))
		it->tasks[place] = NULL;
	else
		it->more--;
	raw_spin_unlock_irqrestore(&it->lock, flags);
}

/* Whether the current task may be one of them. */
static bool callers_may_have_current(struct callers *it)
{
	unsigned int place;
	unsigned long flags;
	bool within;

	raw_spin_lock_irqsave(&it->lock, flags);
	within = it->more > 0;
	for (place = 0; place < ARRAY_SIZE(it->tasks); place++)
		within |= it->tasks[place] == current;
	raw_spin_unlock_irqrestore(&it->lock, flags);
	return within;
}
