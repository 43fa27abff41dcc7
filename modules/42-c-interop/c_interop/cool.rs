// SPDX-License-Identifier: GPL-2.0-only

//! What C's `cool.h` offers, as Rust would have it.

lkm::c_functions! {
    mod bindings;

    fn cool_function(item: &mut Item);
    fn cool_swap(item: &mut Item);
    fn cool_sum(item: &Item, sum: &mut i32) -> bool;
}

pub(crate) use bindings::Item;

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
