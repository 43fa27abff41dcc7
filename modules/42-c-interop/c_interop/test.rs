// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    tests: tests![
        c_and_rust_mean_the_same_item,
        what_is_too_much_is_said_so,
        numbers_are_checked,
    ],
    ..Example::EMPTY
};

/// What the module says when it is loaded with `params`.
fn said(vm: &mut Vm, params: &str) -> Result<Vec<String>> {
    vm.log().mark()?;
    vm.load_with("c_interop", params)?.unload()?;
    vm.log().texts("c_interop")
}

/// What C reads, changes and computes is what Rust wrote and reads back.
fn c_and_rust_mean_the_same_item(vm: &mut Vm) -> Result {
    for (params, expected) in [
        (
            "",
            ["cool item 12 32", "swapped by C: 32 12", "added by C: 44"],
        ),
        (
            "x=-1 y=65536",
            [
                "cool item -1 65536",
                "swapped by C: 65536 -1",
                "added by C: 65535",
            ],
        ),
        (
            "x=2147483647 y=-2147483648",
            [
                "cool item 2147483647 -2147483648",
                "swapped by C: -2147483648 2147483647",
                "added by C: -1",
            ],
        ),
    ] {
        let said = said(vm, params)?;
        assert_eq!(said[..3], expected);
        assert_eq!(said[3], "no more cool items");
        let lines = vm.log().said("c_interop")?;
        assert!(lines.iter().all(|line| line.level == 6), "{lines:?}");
    }
    Ok(())
}

fn what_is_too_much_is_said_so(vm: &mut Vm) -> Result {
    for params in ["x=2147483647 y=1", "x=-2147483648 y=-1"] {
        assert_eq!(said(vm, params)?[2], "too much for C");
    }
    Ok(())
}

fn numbers_are_checked(vm: &mut Vm) -> Result {
    assert_eq!(vm.load_fails("c_interop", "x=2147483648")?, Errno::RANGE);
    assert_eq!(vm.load_fails("c_interop", "y=many")?, Errno::INVAL);
    Ok(())
}
