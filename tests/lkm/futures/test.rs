// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    tests: tests![all_hold, nothing_is_left],
    ..Example::EMPTY
};

fn all_hold(vm: &mut Vm) -> Result {
    let _module = vm.load("futures")?;
    eventually("the last one", || {
        vm.log().count("futures: all").is_ok_and(|count| count == 1)
    })?;
    for name in [
        "both of two",
        "in time",
        "others have their turn",
        "permits",
        "connections",
        "messages",
        "numbers",
    ] {
        vm.log().expect(&format!("futures: {name}: Ok(())"))?;
    }
    Ok(())
}

/// Whatever it waits for.
fn nothing_is_left(vm: &mut Vm) -> Result {
    forget_connections_at_once()?;
    vm.rounds(|vm| {
        let module = vm.load("futures")?;
        thread::sleep(Duration::from_millis(30));
        module.unload()
    })
}
