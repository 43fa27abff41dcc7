// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const TESTS: &[Test] = tests![locks_both];

fn locks_both(vm: &mut Vm) -> Result {
    let module = vm.load("example_spinlock")?;
    let lines = [
        "example spinlock started",
        "Locked static spinlock",
        "Unlocked static spinlock",
        "Locked dynamic spinlock",
        "Unlocked dynamic spinlock",
    ];
    assert_eq!(said(vm)?, lines);

    module.unload()?;
    assert_eq!(said(vm)?[5..], ["example spinlock exit"]);
    Ok(())
}

/// What the module has said.
fn said(vm: &mut Vm) -> Result<Vec<String>> {
    let lines = vm.log().lines()?.iter().map(|line| &line.text);
    let said = lines.filter_map(|text| text.strip_prefix("example_spinlock: "));
    // The kernel speaks in the same way of the first such module that it loads.
    let said = said.filter(|text| !text.ends_with("taints kernel."));
    Ok(said.map(str::to_owned).collect())
}
