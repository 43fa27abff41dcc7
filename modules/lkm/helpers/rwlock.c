// SPDX-License-Identifier: GPL-2.0-only

#include <linux/spinlock.h>

#include "helpers.h"

void lkm_rwlock_init(rwlock_t *lock, const char *name,
		     struct lock_class_key *key)
{
#ifdef CONFIG_DEBUG_SPINLOCK
	__rwlock_init(lock, name, key);
#else
	rwlock_init(lock);
#endif
}

unsigned long lkm_read_lock_irqsave(rwlock_t *lock)
{
	unsigned long flags;

	read_lock_irqsave(lock, flags);
	return flags;
}

void lkm_read_unlock_irqrestore(rwlock_t *lock, unsigned long flags)
{
	read_unlock_irqrestore(lock, flags);
}

unsigned long lkm_write_lock_irqsave(rwlock_t *lock)
{
	unsigned long flags;

	write_lock_irqsave(lock, flags);
	return flags;
}

void lkm_write_unlock_irqrestore(rwlock_t *lock, unsigned long flags)
{
	write_unlock_irqrestore(lock, flags);
}
