/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The C side of this module, for C itself and for bindgen.
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

/*
 * A promise to Rust, which cannot look into C code: these are safe to call. They use a
 * pointer only until they return, and write only numbers through it. They can run
 * anywhere, on several CPUs at a time, and register nothing.
 */
enum {
	lkm_safe_cool_function,
	lkm_safe_cool_swap,
	lkm_safe_cool_sum,
};
