// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const TESTS: &[Test] = tests![says_hello_and_goodbye];

fn says_hello_and_goodbye(vm: &mut Vm) -> Result {
    let module = vm.load("hello-1")?;
    assert_eq!(module.name(), "hello_1");
    vm.log().expect("Hello world 1.")?;
    assert_eq!(vm.log().count("Goodbye world 1.")?, 0);

    module.unload()?;
    vm.log().expect("Goodbye world 1.")?;
    assert_eq!(vm.log().count("Hello world 1.")?, 1);
    Ok(())
}
