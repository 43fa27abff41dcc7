// SPDX-License-Identifier: GPL-2.0-only

//! Runs in the VM.

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    tests: tests![says_hello_and_goodbye],
    ..Example::EMPTY
};

fn says_hello_and_goodbye(vm: &mut Vm) -> Result {
    let module = vm.load("my-module")?;
    vm.log().expect("Hello from my module.")?;
    module.unload()?;
    vm.log().expect("Goodbye from my module.")?;
    Ok(())
}
