// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    tests: tests![locks_both],
    ..Example::EMPTY
};

fn locks_both(vm: &mut Vm) -> Result {
    let module = vm.load("example_spinlock")?;
    let lines = [
        "example spinlock started",
        "Locked static spinlock",
        "Unlocked static spinlock",
        "Locked dynamic spinlock",
        "Unlocked dynamic spinlock",
    ];
    assert_eq!(vm.log().said("example_spinlock")?, lines.map(info));

    module.unload()?;
    let exit = info("example spinlock exit");
    assert_eq!(vm.log().said("example_spinlock")?[5..], [exit]);
    Ok(())
}
