// SPDX-License-Identifier: GPL-2.0-only

#include <linux/xarray.h>

#include "helpers.h"

/* The character devices by device number; see chrdev.rs. */
DEFINE_XARRAY(lkm_chrdevs);
