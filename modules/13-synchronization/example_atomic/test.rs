// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    tests: tests![adds_and_sets_bits],
    ..Example::EMPTY
};

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
    assert_eq!(vm.log().said("example_atomic")?, lines.map(info));

    module.unload()?;
    let exit = info("example_atomic exit");
    assert_eq!(vm.log().said("example_atomic")?[8..], [exit]);
    Ok(())
}
