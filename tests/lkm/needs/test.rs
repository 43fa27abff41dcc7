// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    tests: tests![gets_what_it_needs],
    ..Example::EMPTY
};

/// QEMU's device for teaching: vendor and device.
const EDU: (&str, &str) = ("0x1234\n", "0x11e8\n");

fn gets_what_it_needs(vm: &mut Vm) -> Result {
    let _module = vm.load("needs")?;
    let mut devices = Vec::new();
    for entry in fs::read_dir("/sys/bus/pci/devices")? {
        let read = |file| fs::read_to_string(entry.as_ref().unwrap().path().join(file));
        devices.push((read("vendor")?, read("device")?));
    }
    let edu = devices.iter().filter(|(v, d)| (&**v, &**d) == EDU);
    assert_eq!(edu.count(), 1, "{devices:?}");

    assert_eq!(vm.sh("grep -c ^processor /proc/cpuinfo")?, "3\n");
    let cmdline = fs::read_to_string("/proc/cmdline")?;
    assert!(cmdline.contains(" lkm_needs=everything"), "{cmdline}");
    // Some of it is the kernel's own.
    let total = vm.sh("sed -n 's/^MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo")?;
    let total: u32 = total.trim().parse()?;
    assert!((256 << 10..448 << 10).contains(&total), "{total} KiB");
    Ok(())
}
