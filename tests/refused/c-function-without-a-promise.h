/* SPDX-License-Identifier: GPL-2.0-only */

int cool_number(void);
