// SPDX-License-Identifier: GPL-2.0-only

//! That a C function can be called safely is for its author to promise, in the header.

lkm::c_functions! {
    mod bindings;

    fn cool_number() -> i32; //~ cannot find value `lkm_safe_cool_number` in module `bindings`
}
