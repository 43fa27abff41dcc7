// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    tests: tests![prints_with_the_right_levels],
    ..Example::EMPTY
};

const LEVELS: [&str; 7] = [
    "Emergency",
    "Alert",
    "Critical",
    "Error",
    "Warning",
    "Notice",
    "Info",
];

fn prints_with_the_right_levels(vm: &mut Vm) -> Result {
    let debug = vm.prints_debug()?;
    let mut expected = vec![(6, "Rust printing macros sample (init)".to_owned())];
    for args in ["without args", "with args"] {
        for (level, name) in (0..).zip(LEVELS) {
            expected.push((level, format!("{name} message (level {level}) {args}")));
        }
        if debug {
            expected.push((7, format!("Debug message (level 7) {args}")));
        }
        // One line, and only one begins with the module's name.
        expected.push((6, format!("A line that is continued {args}")));
    }
    expected.push((6, "Rust printing macros sample (exit)".to_owned()));

    vm.load("rust_print")?.unload()?;
    assert_eq!(vm.log().said("rust_print")?, expected);
    Ok(())
}
