// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    tests: tests![locks_once],
    ..Example::EMPTY
};

fn locks_once(vm: &mut Vm) -> Result {
    let module = vm.load("example_mutex")?;
    let lines = ["example_mutex init", "mutex is locked", "mutex is unlocked"];
    assert_eq!(vm.log().said("example_mutex")?, lines.map(info));

    module.unload()?;
    let exit = info("example_mutex exit");
    assert_eq!(vm.log().said("example_mutex")?[3..], [exit]);
    Ok(())
}
