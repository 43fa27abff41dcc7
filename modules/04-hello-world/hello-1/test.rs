// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    tests: tests![says_hello_and_goodbye],
    ..Example::EMPTY
};

fn says_hello_and_goodbye(vm: &mut Vm) -> Result {
    let module = vm.load("hello-1")?;
    assert_eq!(module.name(), "hello_1");
    assert_eq!(vm.log().said("hello-1")?, [info("Hello world 1.")]);
    module.unload()?;
    let both = ["Hello world 1.", "Goodbye world 1."].map(info);
    assert_eq!(vm.log().said("hello-1")?, both);
    Ok(())
}
