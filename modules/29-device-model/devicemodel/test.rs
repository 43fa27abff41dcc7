// SPDX-License-Identifier: GPL-2.0-only

use crate::{platform, prelude::*};

pub const EXAMPLE: Example = Example {
    demo: &[
        "ls -l /sys/bus/platform/devices/devicemodel_example/driver",
        "echo devicemodel_example >/sys/bus/platform/drivers/devicemodel_example/unbind",
        "echo devicemodel_example >/sys/bus/platform/drivers/devicemodel_example/bind",
        "echo 0 >/sys/module/suspend/parameters/pm_test_delay",
        "echo devices >/sys/power/pm_test && echo freeze >/sys/power/state",
        "dmesg | grep devicemodel",
    ],
    tests: tests![
        finds_its_device,
        sleeps_and_wakes_up,
        they_part_and_find_each_other,
        a_foreign_device_is_refused,
        a_name_is_had_by_one,
        unloading_while_it_is_asked_for,
        unloading_at_once,
    ],
    setup: Some(platform::suspend_once),
    ..Example::EMPTY
};

/// Both have this name.
const NAME: &str = "devicemodel_example";
const FOUND: [&str; 2] = ["devicemodel probe", "devicemodel greeting: hello; 42"];
const PARTED: &str = "devicemodel example removed";

fn driver() -> Option<String> {
    platform::driver_of(NAME)
}

fn finds_its_device(vm: &mut Vm) -> Result {
    let module = vm.load("devicemodel")?;
    let expected = ["devicemodel init", FOUND[0], FOUND[1]];
    assert_eq!(vm.log().said("devicemodel")?, expected.map(info));
    assert_eq!(driver().as_deref(), Some(NAME));
    let link = fs::read_link(format!("/sys/bus/platform/drivers/{NAME}/module"))?;
    assert!(link.ends_with("module/devicemodel"), "{link:?}");
    assert!(Path::new("/sys/devices/platform").join(NAME).exists());
    vm.log().mark()?;
    module.unload()?;
    let expected = ["devicemodel exit", PARTED];
    assert_eq!(vm.log().said("devicemodel")?, expected.map(info));
    assert!(!platform::exists(NAME));
    assert!(!platform::has_driver(NAME));
    Ok(())
}

/// Each is called once.
fn sleeps_and_wakes_up(vm: &mut Vm) -> Result {
    if !platform::can_suspend() {
        vm.note("this machine is not put to sleep");
        return Ok(());
    }
    let module = vm.load("devicemodel")?;
    for _ in 0..3 {
        vm.log().mark()?;
        platform::suspend()?;
        let expected = ["devicemodel example suspend", "devicemodel example resume"];
        assert_eq!(vm.log().texts("devicemodel")?, expected);
    }
    assert_eq!(driver().as_deref(), Some(NAME));
    // Without a device there is nobody to tell.
    platform::unbind(NAME, NAME)?;
    vm.log().mark()?;
    platform::suspend()?;
    assert_eq!(vm.log().texts("devicemodel")?, [""; 0]);
    module.unload()
}

fn they_part_and_find_each_other(vm: &mut Vm) -> Result {
    let module = vm.load("devicemodel")?;
    for _ in 0..3 {
        assert_eq!(platform::bind(NAME, NAME), Err(Errno::BUSY));
        vm.log().mark()?;
        platform::unbind(NAME, NAME)?;
        assert_eq!(vm.log().texts("devicemodel")?, [PARTED]);
        assert_eq!(driver(), None);
        assert_eq!(platform::unbind(NAME, NAME), Err(Errno::NODEV));
        vm.log().mark()?;
        platform::bind(NAME, NAME)?;
        assert_eq!(vm.log().texts("devicemodel")?, FOUND);
        assert_eq!(driver().as_deref(), Some(NAME));
    }
    platform::unbind(NAME, NAME)?;
    vm.log().mark()?;
    module.unload()?;
    assert_eq!(vm.log().texts("devicemodel")?, ["devicemodel exit"]);
    Ok(())
}

/// The guide's module takes whatever a device has for its own text: for most devices that is
/// the address 0.
fn a_foreign_device_is_refused(vm: &mut Vm) -> Result {
    const DEVICE: &str = "lkmpg_dma_demo";
    let other = vm.load("dma")?;
    platform::unbind(DEVICE, DEVICE)?;
    let module = vm.load("devicemodel")?;
    vm.log().mark()?;
    // It is not asked.
    assert_eq!(platform::bind(NAME, DEVICE), Err(Errno::NODEV));
    for _ in 0..3 {
        platform::give_to(DEVICE, NAME)?;
        assert_eq!(platform::bind(NAME, DEVICE), Err(Errno::NODEV));
        assert_eq!(platform::driver_of(DEVICE), None);
    }
    assert_eq!(vm.log().texts("devicemodel")?, [""; 0]);
    assert_eq!(driver().as_deref(), Some(NAME));
    platform::give_to(DEVICE, "")?;
    platform::bind(DEVICE, DEVICE)?;
    assert_eq!(platform::driver_of(DEVICE).as_deref(), Some(DEVICE));
    module.unload()?;
    other.unload()
}

/// A module that fails leaves nothing, also of what it has not made.
fn a_name_is_had_by_one(vm: &mut Vm) -> Result {
    let module = vm.load("devicemodel")?;
    let again = Module::load_renamed("devicemodel", "another_one", &[]);
    let error = again.map(drop).unwrap_err();
    assert_eq!(errno(&error), Some(Errno::BUSY));
    vm.log().expect("Unable to register driver")?;
    assert_eq!(driver().as_deref(), Some(NAME));
    module.unload()
}

fn unloading_while_it_is_asked_for(vm: &mut Vm) -> Result {
    let ask = || {
        let _ = platform::unbind(NAME, NAME);
        let _ = platform::bind(NAME, NAME);
        let _ = fs::read_to_string(format!("/sys/bus/platform/devices/{NAME}/uevent"));
        Ok(())
    };
    while_others(3, ask, || {
        for _ in 0..vm.fewer(50) {
            vm.load("devicemodel")?.unload()?;
        }
        Ok(())
    })?;
    assert!(!platform::has_driver(NAME));
    Ok(())
}

fn unloading_at_once(vm: &mut Vm) -> Result {
    vm.rounds(|vm| vm.load("devicemodel")?.unload())
}
