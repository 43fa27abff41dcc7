// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;
use commands::*;

#[allow(dead_code)]
mod commands;

pub const EXAMPLE: Example = Example {
    tests: tests![
        there_is_one_object_at_a_time,
        without_a_guest_there_is_none,
        an_object_is_published_again,
    ],
    ..Example::EMPTY
};

fn load(vm: &mut Vm) -> Result<(Module, Control)> {
    let module = vm.load("interfaces")?;
    Ok((module, Control::open("/proc/interfaces")?))
}

fn there_is_one_object_at_a_time(vm: &mut Vm) -> Result {
    let (module, control) = load(vm)?;
    for _ in 0..3 {
        assert_eq!(control.call(PUBLISH, 0), Err(Errno::BUSY));
    }
    drop(control);
    module.unload()?;
    assert_eq!(vm.log().count("not dropped")?, 0);
    Ok(())
}

fn without_a_guest_there_is_none(vm: &mut Vm) -> Result {
    let (_module, control) = load(vm)?;
    for command in [GREET, HOLD, IS_GONE] {
        assert_eq!(control.call(command, 0), Err(Errno::NOENT));
    }
    Ok(())
}

fn an_object_is_published_again(vm: &mut Vm) -> Result {
    let (module, control) = load(vm)?;
    vm.rounds(|_| {
        control.call(WITHDRAW, 0)?;
        control.call(WITHDRAW, 0)?;
        control.call(PUBLISH, 0)?;
        Ok(())
    })?;
    drop(control);
    module.unload()
}
