// SPDX-License-Identifier: GPL-2.0-only

use crate::{platform, prelude::*};

pub const EXAMPLE: Example = Example {
    tests: tests![
        sizes_places_and_directions,
        devices_of_others,
        a_lost_buffer_stays,
        unbinding_at_once,
        unloading_at_once,
    ],
    ..Example::EMPTY
};

const NAME: &str = "dmas";

/// As often as the driver has got a device.
fn is_well(vm: &mut Vm, times: usize) -> Result {
    for what in ["bound", "unbound"] {
        let text = format!("dmas: {what}, wrong: ");
        assert_eq!(vm.log().count(&format!("{text}0"))?, times);
        assert_eq!(vm.log().count(&text)?, times);
    }
    Ok(())
}

/// The kernel does not complain of any of them.
fn sizes_places_and_directions(vm: &mut Vm) -> Result {
    let module = vm.load("dmas")?;
    assert_eq!(platform::driver_of(NAME).as_deref(), Some(NAME));
    module.unload()?;
    is_well(vm, 1)
}

/// Whoever has made it.
fn devices_of_others(vm: &mut Vm) -> Result {
    const OTHER: &str = "platforms-0";
    let other = vm.load_with("platforms", "early")?;
    platform::unbind(OTHER, OTHER)?;
    let module = vm.load("dmas")?;
    platform::give_to(OTHER, NAME)?;
    platform::bind(NAME, OTHER)?;
    // It goes while the driver has it.
    other.unload()?;
    module.unload()?;
    is_well(vm, 2)
}

/// The device does, too: it still has that memory.
fn a_lost_buffer_stays(vm: &mut Vm) -> Result {
    let module = vm.load_with("dmas", "forget")?;
    platform::unbind(NAME, NAME)?;
    platform::bind(NAME, NAME)?;
    module.unload()?;
    assert!(!platform::exists(NAME));
    vm.forgive_leaks();
    is_well(vm, 2)
}

fn unbinding_at_once(vm: &mut Vm) -> Result {
    let module = vm.load("dmas")?;
    vm.rounds(|vm| {
        vm.log().mark()?;
        platform::unbind(NAME, NAME)?;
        platform::bind(NAME, NAME)?;
        is_well(vm, 1)
    })?;
    module.unload()
}

fn unloading_at_once(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        vm.log().mark()?;
        vm.load("dmas")?.unload()?;
        is_well(vm, 1)
    })
}
