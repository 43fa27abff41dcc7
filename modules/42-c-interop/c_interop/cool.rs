// SPDX-License-Identifier: GPL-2.0-only

//! What C's `cool.h` offers, as Rust would have it.

#[allow(
    dead_code,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    unreachable_pub
)]
mod bindings {
    include!(env!("BINDINGS"));
}

pub(crate) use bindings::Item;

lkm::c_functions! {
    bindings;

    // SAFETY: `cool.c` uses a pointer only until it returns, and writes only numbers
    // through it. It can run anywhere, on several CPUs at a time, and registers nothing.
    unsafe extern "C" {
        safe fn cool_function(item: &mut Item);
        safe fn cool_swap(item: &mut Item);
        safe fn cool_sum(item: &Item, sum: &mut i32) -> bool;
    }
}

impl Item {
    /// Prints the item. C takes it as one that it could change.
    pub(crate) fn print(&mut self) {
        cool_function(self);
    }

    /// Exchanges its numbers.
    pub(crate) fn swap(&mut self) {
        cool_swap(self);
    }

    /// The sum of its numbers, if it fits in one.
    pub(crate) fn sum(&self) -> Option<i32> {
        let mut sum = 0;
        cool_sum(self, &mut sum).then_some(sum)
    }
}
