// SPDX-License-Identifier: GPL-2.0-only

use crate::{platform, prelude::*};

pub const EXAMPLE: Example = Example {
    demo: &[
        "insmod /lib/modules/devicetree-overlay.ko",
        "dmesg | tail -n 10",
        "rmmod devicetree_overlay && dmesg | tail -n 2",
    ],
    tests: tests![
        says_which_devices_it_is_for,
        finds_its_devices,
        the_devices_come_later,
        with_as_little_as_there_can_be,
        malformed_properties_are_refused,
        a_device_in_no_tree_is_refused,
        unloading_at_once,
    ],
    ..Example::EMPTY
};

const NAME: &str = "lkmpg_devicetree";
const DEVICES: [&str; 2] = ["40000000.lkmpg_device", "40001000.lkmpg_device"];

/// What it says of a device.
fn found(node: &str, label: &str, reg: Option<&str>, value: u32, clock: &str) -> Vec<String> {
    let mut lines = vec![
        format!("Device tree probe called for {node}"),
        format!("Found label property: {label}"),
    ];
    lines.extend(reg.map(|reg| format!("Found reg property: {reg}")));
    lines.push(format!("Found custom-value property: {value}"));
    lines.push(format!("has-clock property: {clock}"));
    lines.push("Device probe successful".to_owned());
    lines
}

fn first() -> Vec<String> {
    found(
        "lkmpg_device@40000000",
        "LKMPG Test Device",
        Some("0x40000000"),
        100,
        "present",
    )
}

fn second() -> Vec<String> {
    found(
        "lkmpg_device@40001000",
        "LKMPG Secondary Device",
        Some("0x40001000"),
        200,
        "absent",
    )
}

/// Programs load it for a device of such a kind.
fn says_which_devices_it_is_for(_vm: &mut Vm) -> Result {
    let modinfo = modinfo("devicetree")?;
    let mut aliases = modinfo.all("alias");
    aliases.sort_unstable();
    let expected = [
        "of:N*T*Clkmpg,another-device",
        "of:N*T*Clkmpg,another-deviceC*",
        "of:N*T*Clkmpg,example-device",
        "of:N*T*Clkmpg,example-deviceC*",
    ];
    assert_eq!(aliases, expected);
    Ok(())
}

/// The guide's module says that the first is at 0, which is the upper half of its address.
fn finds_its_devices(vm: &mut Vm) -> Result {
    let overlay = vm.load("devicetree-overlay")?;
    let module = vm.load("devicetree")?;
    let said = vm.log().texts("devicetree")?;
    assert_eq!(said[0], "Initializing device tree example module");
    // It can be either of them first.
    let (mut devices, half) = ([first(), second()], 1 + first().len());
    if said[1] != devices[0][0] {
        devices.reverse();
    }
    assert_eq!(said[1..half], devices[0]);
    assert_eq!(said[half..said.len() - 1], devices[1]);
    assert_eq!(said.last().unwrap(), "Module loaded successfully");
    for device in DEVICES {
        assert_eq!(platform::driver_of(device).as_deref(), Some(NAME));
    }
    vm.log().mark()?;
    module.unload()?;
    let mut said = vm.log().texts("devicetree")?;
    assert_eq!(said.remove(0), "Cleaning up device tree example module");
    said.sort();
    let removed = [
        "Removing device LKMPG Secondary Device",
        "Removing device LKMPG Test Device",
    ];
    assert_eq!(said, removed);
    overlay.unload()
}

/// Each time.
fn the_devices_come_later(vm: &mut Vm) -> Result {
    let module = vm.load("devicetree")?;
    for _ in 0..3 {
        vm.log().mark()?;
        let overlay = vm.load("devicetree-overlay")?;
        let said = vm.log().texts("devicetree")?;
        assert!(said == [first(), second()].concat() || said == [second(), first()].concat());
        vm.log().mark()?;
        overlay.unload()?;
        assert_eq!(vm.log().count("devicetree: Removing device LKMPG")?, 2);
    }
    module.unload()
}

fn with_as_little_as_there_can_be(vm: &mut Vm) -> Result {
    let module = vm.load("devicetree")?;
    vm.log().mark()?;
    let overlay = vm.load_with("devicetree-overlay", "nodes=plain")?;
    for (device, driver) in [
        ("lkmpg_plain", Some(NAME)),
        ("lkmpg_second_choice", Some(NAME)),
        ("lkmpg_foreign", None),
    ] {
        assert_eq!(platform::driver_of(device).as_deref(), driver, "{device}");
    }
    let said = vm.log().texts("devicetree")?;
    let lines = |name: &str| {
        let first = format!("Device tree probe called for {name}");
        let lines = said.iter().skip_while(|line| **line != first).skip(1);
        lines
            .take_while(|line| *line != "Device probe successful")
            .map(String::as_str)
            .collect::<Vec<_>>()
    };
    let plain = [
        "No label property found, using default",
        "No custom-value found, using default: 42",
        "has-clock property: absent",
    ];
    assert_eq!(lines("lkmpg_plain"), plain);
    // It is there, whatever its value is.
    let second = [
        "Found label property: ",
        "No custom-value found, using default: 42",
        "has-clock property: present",
    ];
    assert_eq!(lines("lkmpg_second_choice"), second);
    vm.log().mark()?;
    overlay.unload()?;
    vm.log().expect("devicetree: Removing device unnamed")?;
    module.unload()
}

/// And the devices have no driver then.
fn malformed_properties_are_refused(vm: &mut Vm) -> Result {
    let overlay = vm.load_with("devicetree-overlay", "nodes=bad")?;
    let module = vm.load("devicetree")?;
    for device in [
        "lkmpg_no_text",
        "lkmpg_empty_text",
        "lkmpg_two_numbers",
        "lkmpg_short_number",
        "lkmpg_no_number",
    ] {
        assert!(platform::exists(device));
        assert_eq!(platform::driver_of(device), None, "{device}");
        assert_eq!(platform::bind(NAME, device), Err(Errno::INVAL), "{device}");
    }
    assert_eq!(vm.log().count("Device probe successful")?, 0);
    assert_eq!(vm.log().count("Removing device")?, 0);
    module.unload()?;
    overlay.unload()
}

/// The guide's module looks for the name of a node that is not there.
fn a_device_in_no_tree_is_refused(vm: &mut Vm) -> Result {
    const DEVICE: &str = "lkmpg_dma_demo";
    let other = vm.load("dma")?;
    platform::unbind(DEVICE, DEVICE)?;
    let module = vm.load("devicetree")?;
    platform::give_to(DEVICE, NAME)?;
    assert_eq!(platform::bind(NAME, DEVICE), Err(Errno::NODEV));
    assert_eq!(platform::driver_of(DEVICE), None);
    module.unload()?;
    other.unload()
}

fn unloading_at_once(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let module = vm.load("devicetree")?;
        let overlay = vm.load("devicetree-overlay")?;
        // Either goes first.
        module.unload()?;
        let module = vm.load("devicetree")?;
        overlay.unload()?;
        module.unload()
    })
}
