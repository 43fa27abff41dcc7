// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const TESTS: &[Test] = tests![says_hello_and_goodbye];

fn says_hello_and_goodbye(vm: &mut Vm) -> Result {
    let module = vm.load("hello-4")?;
    vm.log().expect("Hello, world 4")?;
    module.unload()?;
    vm.log().expect("Goodbye, world 4")?;
    Ok(())
}
