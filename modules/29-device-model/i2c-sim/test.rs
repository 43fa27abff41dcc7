// SPDX-License-Identifier: GPL-2.0-only

use crate::{i2c::I2cBus, prelude::*};

pub const EXAMPLE: Example = Example {
    demo: &[
        "grep . /sys/bus/i2c/devices/i2c-*/name",
        "grep . /sys/module/i2c_sim/parameters/*",
    ],
    tests: tests![
        has_a_bus,
        an_address_is_taken_once,
        devices_go_with_the_bus,
        refuses_what_does_not_fit,
        unloading_at_once,
    ],
    ..Example::EMPTY
};

const BUS: &str = "i2c-sim";

fn load(vm: &mut Vm) -> Result<(Module, I2cBus)> {
    let module = vm.load("i2c-sim")?;
    Ok((module, I2cBus::find(BUS)?))
}

fn has_a_bus(vm: &mut Vm) -> Result {
    assert!(!I2cBus::exists(BUS));
    let (module, bus) = load(vm)?;
    // What there is on it, nobody says.
    for address in 0..0x80 {
        assert!(!bus.has(address), "{address:#x}");
    }
    module.unload()?;
    assert!(!I2cBus::exists(BUS));
    Ok(())
}

/// Whether a device answers there or not.
fn an_address_is_taken_once(vm: &mut Vm) -> Result {
    let (_module, bus) = load(vm)?;
    for address in [0x48, 0x50, 0x77] {
        bus.add("anything", address)?;
        assert!(bus.has(address));
        assert_eq!(bus.driver(address), None);
        let again = bus.add("something", address);
        assert_eq!(again, Err(Errno::BUSY));
        bus.delete(address)?;
        assert!(!bus.has(address));
        assert_eq!(bus.delete(address), Err(Errno::NOENT));
    }
    assert_eq!(bus.add("anything", 0x80), Err(Errno::INVAL));
    Ok(())
}

fn devices_go_with_the_bus(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let (module, bus) = load(vm)?;
        bus.add("anything", 0x48)?;
        bus.add("anything", 0x49)?;
        module.unload()?;
        assert!(!bus.has(0x48) && !bus.has(0x49));
        Ok(())
    })
}

fn refuses_what_does_not_fit(vm: &mut Vm) -> Result {
    let (module, _bus) = load(vm)?;
    let path = "/sys/module/i2c_sim/parameters/temperature";
    for value in [-55_001, 125_001, i32::MIN, i32::MAX] {
        let written = fs::write(path, value.to_string());
        assert_eq!(error_of(written), Some(Errno::INVAL), "{value}");
    }
    for value in [-55_000, 125_000] {
        fs::write(path, value.to_string())?;
        assert_eq!(module.param("temperature")?, value.to_string());
    }
    Ok(())
}

fn unloading_at_once(vm: &mut Vm) -> Result {
    vm.rounds(|vm| vm.load("i2c-sim")?.unload())
}
