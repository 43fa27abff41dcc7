// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const TESTS: &[Test] = tests![reads_then_writes];

fn reads_then_writes(vm: &mut Vm) -> Result {
    let module = vm.load("example_rwlock")?;
    let lines = [
        "example_rwlock started",
        "Read Locked",
        "Read Unlocked",
        "Write Locked",
        "Write Unlocked",
    ];
    assert_eq!(said(vm)?, lines);

    module.unload()?;
    assert_eq!(said(vm)?[5..], ["example_rwlock exit"]);
    Ok(())
}

/// What the module has said.
fn said(vm: &mut Vm) -> Result<Vec<String>> {
    let lines = vm.log().lines()?.iter().map(|line| &line.text);
    let said = lines.filter_map(|text| text.strip_prefix("example_rwlock: "));
    // The kernel speaks in the same way of the first such module that it loads.
    let said = said.filter(|text| !text.ends_with("taints kernel."));
    Ok(said.map(str::to_owned).collect())
}
