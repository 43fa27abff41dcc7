// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    tests: tests![no_delay_is_too_short],
    ..Example::EMPTY
};

/// The module complains of one that is.
fn no_delay_is_too_short(vm: &mut Vm) -> Result {
    let _module = vm.load("delays")?;
    let complaints = vm.log().complaints("delays")?;
    assert!(complaints.is_empty(), "{complaints:?}");
    Ok(())
}
