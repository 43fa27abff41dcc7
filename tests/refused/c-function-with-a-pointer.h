/* SPDX-License-Identifier: GPL-2.0-only */

void cool_free(int *item);

enum { lkm_safe_cool_free };
