// SPDX-License-Identifier: GPL-2.0-only

#include <linux/workqueue.h>

#include "helpers.h"

bool lkm_work_is_pending(const struct delayed_work *work)
{
	return delayed_work_pending(work);
}
