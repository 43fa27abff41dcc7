// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    tests: tests![says_what_each_file_says],
    ..Example::EMPTY
};

fn says_what_each_file_says(vm: &mut Vm) -> Result {
    let module = vm.load("startstop")?;
    let hello = info("Hello, world - this is the kernel speaking");
    assert_eq!(vm.log().said("startstop")?, [hello]);
    module.unload()?;
    let goodbye = info("Short is the life of a kernel module");
    assert_eq!(vm.log().said("startstop")?, [hello, goodbye]);
    Ok(())
}
