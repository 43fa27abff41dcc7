// SPDX-License-Identifier: GPL-2.0-only

//! What C's `cool.h` offers, safe to use.
//!
//! This is the one file of the module that C's promises are checked in by eye:
//! bindgen knows names and types, but not what a pointer must point to.

#[allow(
    dead_code,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    unreachable_pub
)]
mod bindings {
    include!("bindings_generated.rs");
}

/// An `Item` of C, by value: it can be nowhere near null.
#[repr(transparent)]
pub(crate) struct Item(bindings::Item);

impl Item {
    pub(crate) fn new(x: i32, y: i32) -> Self {
        Self(bindings::Item { x, y })
    }

    pub(crate) fn x(&self) -> i32 {
        self.0.x
    }

    pub(crate) fn y(&self) -> i32 {
        self.0.y
    }

    /// Prints the item. C promises no more than that it takes a pointer, so
    /// nobody else may have the item meanwhile.
    pub(crate) fn cool_function(&mut self) {
        // SAFETY: The item is valid, and ours alone; C does not keep the
        // pointer.
        unsafe { bindings::cool_function(&mut self.0) }
    }

    /// Exchanges its numbers.
    pub(crate) fn swap(&mut self) {
        // SAFETY: As in `cool_function`.
        unsafe { bindings::cool_swap(&mut self.0) }
    }

    /// The sum of its numbers, if there is room for it.
    pub(crate) fn sum(&self) -> Option<i32> {
        let mut sum = 0;
        // SAFETY: The item is valid, and only read; `sum` is ours; C keeps
        // neither pointer.
        unsafe { bindings::cool_sum(&self.0, &mut sum) }.then_some(sum)
    }
}
