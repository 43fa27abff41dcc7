// SPDX-License-Identifier: GPL-2.0-only

#include <linux/bitops.h>
#include <linux/input.h>

#include "helpers.h"

/* Whether the device has this key now: user space may take it away. */
bool lkm_input_has_key(const struct input_dev *dev, unsigned int code)
{
	return code < KEY_CNT && test_bit(code, dev->keybit);
}
