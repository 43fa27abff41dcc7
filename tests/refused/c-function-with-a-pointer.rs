// SPDX-License-Identifier: GPL-2.0-only

//! A raw pointer can be invalid, whatever the header promises.

lkm::c_functions! {
    mod bindings;

    fn cool_free(item: *mut i32); //~ is not implemented for `*mut i32`
}
