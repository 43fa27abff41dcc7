// SPDX-License-Identifier: GPL-2.0-only

//! That a C function can be called safely is for its author to promise.

mod bindings {
    pub unsafe extern "C" fn cool_number() -> i32 {
        42
    }
}

lkm::c_functions! {
    bindings;

    extern "C" { //~ no rules expected
        safe fn cool_number() -> i32;
    }
}
