// SPDX-License-Identifier: GPL-2.0-only

//! Tables of functions, some of which are left out.

use kernel::prelude::*;

/// In C: a struct of function pointers, null where there is no function. In
/// Rust: a trait, with a constant `HAS_*` for each function.
#[vtable]
trait Operations {
    /// Every type has this.
    fn name() -> &'static str;

    /// Some have this. Whoever calls it looks at `HAS_SQUARE` first.
    fn square(_number: u32) -> u32 {
        build_error!(kernel::error::VTABLE_DEFAULT_ERROR)
    }
}

struct Full;

#[vtable]
impl Operations for Full {
    fn name() -> &'static str {
        "full"
    }

    fn square(number: u32) -> u32 {
        number * number
    }
}

struct Sparse;

#[vtable]
impl Operations for Sparse {
    fn name() -> &'static str {
        "sparse"
    }
}

fn describe<T: Operations>() {
    if T::HAS_SQUARE {
        pr_info!("vtable: {} squares 7 to {}\n", T::name(), T::square(7));
    } else {
        pr_info!("vtable: {} has no square\n", T::name());
    }
}

pub(crate) fn show() {
    describe::<Full>();
    describe::<Sparse>();
}
