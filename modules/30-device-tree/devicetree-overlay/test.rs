// SPDX-License-Identifier: GPL-2.0-only

use crate::{platform, prelude::*};

pub const EXAMPLE: Example = Example {
    demo: &[
        "ls /proc/device-tree /sys/bus/platform/devices",
        "cat /proc/device-tree/lkmpg_device@40000000/label",
    ],
    tests: tests![
        adds_nodes_and_devices,
        adds_other_nodes,
        nodes_that_there_are_not,
        unloading_at_once,
    ],
    ..Example::EMPTY
};

const TREE: &str = "/proc/device-tree";

fn property(path: &str) -> Result<Vec<u8>> {
    let path = format!("{TREE}/{path}");
    fs::read(&path).context(path)
}

fn numbers(list: [u32; 4]) -> Vec<u8> {
    list.iter()
        .flat_map(|number| number.to_be_bytes())
        .collect()
}

/// What the guide's file should say: its addresses are of two numbers, and have one.
fn adds_nodes_and_devices(vm: &mut Vm) -> Result {
    assert!(Path::new(TREE).exists());
    let cells = property("#address-cells")?;
    let module = vm.load("devicetree-overlay")?;
    for (address, compatible, label, value) in [
        (
            0x4000_0000,
            "lkmpg,example-device",
            "LKMPG Test Device",
            100,
        ),
        (
            0x4000_1000,
            "lkmpg,another-device",
            "LKMPG Secondary Device",
            200_u32,
        ),
    ] {
        let node = format!("lkmpg_device@{address:x}");
        for (name, bytes) in [
            ("compatible", format!("{compatible}\0").into_bytes()),
            ("label", format!("{label}\0").into_bytes()),
            ("reg", numbers([0, address, 0, 0x1000])),
            ("lkmpg,custom-value", value.to_be_bytes().into()),
            ("status", b"okay\0".into()),
        ] {
            assert_eq!(property(&format!("{node}/{name}"))?, bytes, "{node} {name}");
        }
        let has_clock = Path::new(TREE).join(&node).join("lkmpg,has-clock");
        assert_eq!(has_clock.exists(), value == 100);
        let device = format!("{address:x}.lkmpg_device");
        assert!(platform::exists(&device));
        assert_eq!(platform::driver_of(&device), None);
        let modalias = format!("/sys/bus/platform/devices/{device}/modalias");
        let modalias = fs::read_to_string(modalias)?;
        assert!(modalias.trim_end().ends_with(compatible), "{modalias}");
    }
    module.unload()?;
    let left = [TREE, "/sys/bus/platform/devices"].map(names);
    for names in left {
        assert!(!names?.iter().any(|name| name.contains("lkmpg")));
    }
    // The root is as it was.
    assert_eq!(property("#address-cells")?, cells);
    Ok(())
}

fn adds_other_nodes(vm: &mut Vm) -> Result {
    for (nodes, devices) in [
        (
            "plain",
            &["lkmpg_plain", "lkmpg_second_choice", "lkmpg_foreign"] as &[_],
        ),
        (
            "bad",
            &[
                "lkmpg_no_text",
                "lkmpg_empty_text",
                "lkmpg_two_numbers",
                "lkmpg_short_number",
                "lkmpg_no_number",
            ],
        ),
    ] {
        let module = vm.load_with("devicetree-overlay", &format!("nodes={nodes}"))?;
        assert!(devices.iter().all(|device| platform::exists(device)));
        let is_disabled = Path::new(TREE).join("lkmpg_disabled").exists();
        assert_eq!(is_disabled, nodes == "plain");
        assert!(!platform::exists("lkmpg_disabled"));
        module.unload()?;
        assert!(!devices.iter().any(|device| platform::exists(device)));
    }
    Ok(())
}

fn nodes_that_there_are_not(vm: &mut Vm) -> Result {
    let failed = vm.load_fails("devicetree-overlay", "nodes=other")?;
    assert_eq!(failed, Errno::INVAL);
    Ok(())
}

fn unloading_at_once(vm: &mut Vm) -> Result {
    vm.rounds(|vm| vm.load("devicetree-overlay")?.unload())
}
