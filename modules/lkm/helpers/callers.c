// SPDX-License-Identifier: GPL-2.0-only

#include <linux/array_size.h>
#include <linux/sched.h>
#include <linux/spinlock.h>

#include "helpers.h"

/*
 * The tasks that are in functions of the module which C calls with locks held, as often as
 * they are, and the kind of function. Those for whom there is no place are counted.
 */
static struct {
	struct task_struct *task;
	enum lkm_callers kind;
} callers[64];
static unsigned int more_callers;
static DEFINE_RAW_SPINLOCK(callers_lock);

/* Returns a place, for lkm_callers_end(). Can be called in any context but NMI. */
unsigned int lkm_callers_begin(enum lkm_callers kind)
{
	unsigned int place;
	unsigned long flags;

	raw_spin_lock_irqsave(&callers_lock, flags);
	for (place = 0; place < ARRAY_SIZE(callers); place++)
		if (!callers[place].task)
			break;
	if (place < ARRAY_SIZE(callers)) {
		callers[place].task = current;
		callers[place].kind = kind;
	} else {
		more_callers++;
	}
	raw_spin_unlock_irqrestore(&callers_lock, flags);
	return place;
}

void lkm_callers_end(unsigned int place)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&callers_lock, flags);
	if (place < ARRAY_SIZE(callers))
		callers[place].task = NULL;
	else
		more_callers--;
	raw_spin_unlock_irqrestore(&callers_lock, flags);
}

/*
 * What opens or stops a net device counts for each kind but mmap, which is no lock of one kind:
 * C has the lock of the network's configuration then. With the locks of the other kinds, drivers
 * take that one, and who has it must not wait for those.
 */
static bool caller_counts(enum lkm_callers it, enum lkm_callers kind)
{
	return it == kind || (it == LKM_IN_NETDEV && kind != LKM_IN_MMAP);
}

/* Whether the current task may be in a function of that kind. */
bool lkm_callers_may_have_current(enum lkm_callers kind)
{
	unsigned int place;
	unsigned long flags;
	bool within;

	raw_spin_lock_irqsave(&callers_lock, flags);
	within = more_callers > 0;
	for (place = 0; place < ARRAY_SIZE(callers); place++)
		within |= callers[place].task == current &&
			  caller_counts(callers[place].kind, kind);
	raw_spin_unlock_irqrestore(&callers_lock, flags);
	return within;
}
