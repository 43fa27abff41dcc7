// SPDX-License-Identifier: GPL-2.0-only

#include <linux/init.h>
#include <linux/module.h>

#include "helpers.h"

unsigned int lkm_phase;
void (*lkm_after_init)(void);
void (*lkm_at_end)(void);

/* From now on who sees another phase has set its function before we look. */
static void enter(unsigned int phase)
{
	xchg(&lkm_phase, phase);
}

static void call(void (**function)(void))
{
	void (*f)(void) = READ_ONCE(*function);

	if (f)
		f();
}

int __init __wrap_init_module(void)
{
	int result;

	enter(LKM_INIT);
	result = lkm_init();
	enter(result < 0 ? LKM_END : LKM_LIVE);
	call(&lkm_after_init);
	if (result < 0)
		call(&lkm_at_end);
	return result;
}

void __exit __wrap_cleanup_module(void)
{
	lkm_exit();
	enter(LKM_END);
	call(&lkm_at_end);
}

/* Where the kernel seals what no indirect call may reach, it leaves these out. */
___ADDRESSABLE(__wrap_init_module, __initdata);
___ADDRESSABLE(__wrap_cleanup_module, __exitdata);
