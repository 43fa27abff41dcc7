// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    tests: tests![says_hello_and_goodbye],
    ..Example::EMPTY
};

fn says_hello_and_goodbye(vm: &mut Vm) -> Result {
    let module = vm.load("hello-2")?;
    assert_eq!(vm.log().said("hello-2")?, [info("Hello, world 2")]);
    module.unload()?;
    let both = ["Hello, world 2", "Goodbye, world 2"].map(info);
    assert_eq!(vm.log().said("hello-2")?, both);
    Ok(())
}
