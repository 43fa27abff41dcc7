/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The C side of this module, for C itself and for bindgen. The functions use
 * what they are given until they return, and no longer.
 */
#include <linux/types.h>

typedef struct Item {
	int x;
	int y;
} Item;

/* Prints the item. */
void cool_function(Item *cs);

/* Exchanges its numbers. */
void cool_swap(Item *cs);

/* Adds them up. Returns whether the sum is an int, too. */
bool cool_sum(const Item *cs, int *sum);
