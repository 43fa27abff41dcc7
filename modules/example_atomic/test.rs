// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const TESTS: &[Test] = tests![adds_and_sets_bits];

/// The book's lines with bits lack their newlines, so that they come out late
/// or as one.
fn adds_and_sets_bits(vm: &mut Vm) -> Result {
    let module = vm.load("example_atomic")?;
    let lines = [
        "example_atomic started",
        "chris: 50, debbie: 52",
        "Bits 0: 00000000",
        "Bits 1: 00101000",
        "Bits 2: 00001000",
        "Bits 3: 00000000",
        "Bits 4: 00001000",
        "Bits 5: 11111111",
    ];
    assert_eq!(said(vm)?, lines);

    module.unload()?;
    assert_eq!(said(vm)?[8..], ["example_atomic exit"]);
    Ok(())
}

/// What the module has said.
fn said(vm: &mut Vm) -> Result<Vec<String>> {
    let lines = vm.log().lines()?.iter().map(|line| &line.text);
    let said = lines.filter_map(|text| text.strip_prefix("example_atomic: "));
    // The kernel speaks in the same way of the first such module that it loads.
    let said = said.filter(|text| !text.ends_with("taints kernel."));
    Ok(said.map(str::to_owned).collect())
}
