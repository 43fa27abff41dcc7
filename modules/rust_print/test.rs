// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const TESTS: &[Test] = tests![prints_with_the_right_levels];

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
    // What `pr_debug!` looks at.
    let config = vm.sh("zcat /proc/config.gz")?;
    let debug = config.contains("\nCONFIG_RUST_DEBUG_ASSERTIONS=y\n");

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
    let printed = vm.log().said("rust_print")?.into_iter();
    let printed: Vec<_> = printed.map(|line| (line.level, line.text)).collect();
    assert_eq!(printed, expected);
    Ok(())
}
