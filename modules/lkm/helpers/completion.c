// SPDX-License-Identifier: GPL-2.0-only

#include <linux/completion.h>

#include "helpers.h"

/* Takes the lock, since complete() may run at the same time. */
void lkm_reinit_completion(struct completion *completion)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&completion->wait.lock, flags);
	reinit_completion(completion);
	raw_spin_unlock_irqrestore(&completion->wait.lock, flags);
}
