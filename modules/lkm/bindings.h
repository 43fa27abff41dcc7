/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the crate's bindings are generated from. A header whose declarations
 * are wanted carries its path in a "bind:" comment; the rest only gives types.
 */
#include <linux/cdev.h> /* bind: linux/cdev.h */
#include <linux/gpio/consumer.h> /* bind: linux/gpio/consumer.h */
#include <linux/input-event-codes.h> /* bind: linux/input-event-codes.h */
#include <linux/input.h> /* bind: linux/input.h */
#include <linux/proc_fs.h> /* bind: linux/proc_fs.h */

#include "helpers/helpers.h" /* bind: lkm/helpers/helpers.h */
