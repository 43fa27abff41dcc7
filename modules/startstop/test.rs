// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const TESTS: &[Test] = tests![says_what_each_file_says];

fn says_what_each_file_says(vm: &mut Vm) -> Result {
    let module = vm.load("startstop")?;
    vm.log()
        .expect("Hello, world - this is the kernel speaking")?;
    assert_eq!(vm.log().count("Short is the life")?, 0);
    module.unload()?;
    vm.log().expect("Short is the life of a kernel module")?;
    Ok(())
}
