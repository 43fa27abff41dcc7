// SPDX-License-Identifier: GPL-2.0-only

#include <linux/semaphore.h>

#include "helpers.h"

void lkm_sema_init(struct semaphore *sem, unsigned int permits)
{
	sema_init(sem, permits);
}
