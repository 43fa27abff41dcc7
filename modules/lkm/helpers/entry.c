// SPDX-License-Identifier: GPL-2.0-only

#include <linux/atomic.h>
#include <linux/init.h>
#include <linux/module.h>
#include <linux/sched.h>

#include "helpers.h"

/*
 * A module has of lkm only what it uses. So the entry points call these functions only
 * where they were set.
 */
struct {
	unsigned int phase;
	void (*after_init)(void);
	void (*at_end)(void);
} lkm_entry;

/* Who sees an earlier phase than this one has set its function before we look. */
static __always_inline void enter(unsigned int phase)
{
	xchg(&lkm_entry.phase, phase);
}

static __always_inline void call(void (**function)(void))
{
	void (*f)(void) = READ_ONCE(*function);

	if (f)
		f();
}

int __init __wrap_init_module(void)
{
	int result;

	WRITE_ONCE(lkm_entry.phase, LKM_INIT);
	result = lkm_init();
	enter(result < 0 ? LKM_END : LKM_LIVE);
	/* It asks what uses init's functions to end. */
	if (result < 0)
		call(&lkm_entry.at_end);
	call(&lkm_entry.after_init);
	return result;
}

void __exit __wrap_cleanup_module(void)
{
	lkm_exit();
	enter(LKM_END);
	call(&lkm_entry.at_end);
}

/* Where the kernel seals what no indirect call may reach, it leaves these out. */
___ADDRESSABLE(__wrap_init_module, __initdata);
___ADDRESSABLE(__wrap_cleanup_module, __exitdata);

unsigned int lkm_phase(void)
{
	return READ_ONCE(lkm_entry.phase);
}

/* Returns the phase: if it is not the end yet, @function will be called then. */
unsigned int lkm_call_at_end(void (*function)(void))
{
	WRITE_ONCE(lkm_entry.at_end, function);
	smp_mb(); /* Pairs with enter(). */
	return lkm_phase();
}

/* How many use what only init has. */
static atomic_t users;

static void wait_for_users(void)
{
	while (atomic_read_acquire(&users))
		schedule_timeout_uninterruptible(1);
}

/* Whether what only init has stays until lkm_init_end(), which must follow. */
bool lkm_init_begin(void)
{
	atomic_inc(&users);
	WRITE_ONCE(lkm_entry.after_init, wait_for_users);
	smp_mb(); /* Pairs with enter(). */
	return lkm_phase() < LKM_LIVE;
}

void lkm_init_end(void)
{
	atomic_fetch_dec_release(&users);
}
