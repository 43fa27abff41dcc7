// SPDX-License-Identifier: GPL-2.0-only

#include <linux/wait.h>

#include "helpers.h"

bool lkm_waitqueue_active(struct wait_queue_head *head)
{
	return waitqueue_active(head);
}
