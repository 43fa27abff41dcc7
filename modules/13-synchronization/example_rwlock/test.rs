// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    tests: tests![reads_then_writes],
    ..Example::EMPTY
};

fn reads_then_writes(vm: &mut Vm) -> Result {
    let module = vm.load("example_rwlock")?;
    let lines = [
        "example_rwlock started",
        "Read Locked",
        "Read Unlocked",
        "Write Locked",
        "Write Unlocked",
    ];
    assert_eq!(vm.log().said("example_rwlock")?, lines.map(info));

    module.unload()?;
    let exit = info("example_rwlock exit");
    assert_eq!(vm.log().said("example_rwlock")?[5..], [exit]);
    Ok(())
}
